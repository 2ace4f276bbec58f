from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

from radalign.evaluate.results import Result
from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.cells import Job
from radalign.leaderboard.plan import LeaderboardError, load_plan
from radalign.leaderboard.scores import Drawn
from radalign.train.record import read_log

QUIET = BoardOptions(quiet=True, isolate=False)
VOID = {"meta", "img", "line", "ellipse", "path", "polyline", "circle", "br"}


pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


class Page(HTMLParser):
    """Checks that tags close in order, and collects what a browser would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.fetched, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.fetched += [v for k, v in attrs if k in ("src", "href", "srcset", "data") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def read_page(board):
    text = board.files["page.html"].read_text()
    page = Page()
    page.feed(text)
    assert not page.open
    return text, page


def test_the_page_stands_alone_and_fits_a_phone(board):
    text, page = read_page(board)
    assert not [address for address in page.fetched if not address.startswith(("#", "data:image/png"))]
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe")]
    assert "url(" not in text
    assert "@import" not in text
    viewport = next(a for tag, a in page.tags if tag == "meta" and a.get("name") == "viewport")
    assert viewport["content"] == "width=device-width, initial-scale=1"
    assert "@media print" in text
    assert "@media (max-width" in text
    assert "adapters &lt;d&gt;" in text
    assert "<d>" not in text


def test_every_number_has_its_interval_and_its_protocol(board):
    table = board.files["table.md"].read_text()
    main = table.split("## Systems and tasks")[1].split("## ")[0]
    row = next(line for line in main.splitlines() if line.startswith("| heads"))
    numbers = [cell for cell in row.split("|")[2:-1] if cell.strip()]
    assert len(numbers) >= 8
    assert all(re.search(r"\d \(-?\d[\d.]*–-?\d[\d.]*\)", cell) for cell in numbers)
    assert re.search(
        r"Protocol: retrieval \(strict\), zero-shot \(strict\); split test \(20 studies, 10 patients\); "
        r"prompts chest-findings sha256 [0-9a-f]{12}; data sha256 [0-9a-f]{12}; "
        r"training seeds 0, 1 \(2 of 4 arms\), seed 0 \(2 of 4 arms\); each arm's are listed under Cost;",
        main,
    )


def test_the_sections_of_the_markdown(board):
    titles = re.findall("^## (.*)$", board.files["table.md"].read_text(), re.M)
    assert titles == [
        "In short",
        "Cells without a result",
        "Systems and tasks",
        "Differences to heads",
        "Ablations and variations",
        "Cost",
        "By finding",
        "All numbers",
        "How it was made",
    ]
    _, page = read_page(board)
    assert "learning-curves" in [a.get("id") for tag, a in page.tags if tag == "section"]
    assert "gallery" not in [a.get("id") for tag, a in page.tags if tag == "section"]  # not simulated


def test_a_table_says_what_it_holds_where_a_phone_hides_its_header(board):
    text, _ = read_page(board)
    table = board.files["table.md"].read_text()
    for title in ("zero-shot, AUC", "image to text", "zero-shot"):
        assert f"### {title}\n" in table
        assert f'<h3>{title}</h3><div class="scroll"><table' in text
    assert "### zero-shot, AUC\n\n| system | " in table


def test_an_outline_lies_around_what_it_marks():
    css = style()
    offset = re.search(r"\.right \{[^}]*outline-offset: (-?\d+)px", css)
    assert int(offset[1]) > 0


def style():
    return (resources.files("radalign.leaderboard") / "page.css").read_text()


def rules(css, media):
    """The declarations within `@media <media>`, selector to property to value."""
    begin = css.index(f"@media {media} {{") + len(f"@media {media} {{")
    end = next(m.start() for m in re.finditer(r"^}", css[begin:], re.MULTILINE)) + begin
    found = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", css[begin:end]):
        for selector in selectors.split(","):
            declared = (d.split(":", 1) for d in body.split(";") if ":" in d)
            found.setdefault(selector.strip(), {}).update({k.strip(): v.strip() for k, v in declared})
    return found


def test_print_cuts_no_table_and_leaves_no_heading_behind():
    css = style()
    printed = rules(css, "print")
    assert printed[".scroll"]["overflow"] == "visible"  # what does not fit a box is not hidden by it
    assert printed["thead"]["display"] == "table-header-group"
    assert {printed[name]["break-after"] for name in ("h1", "h2", "h3")} == {"avoid"}
    assert {printed[name]["break-inside"] for name in ("tr", "figure")} == {"avoid"}
    assert printed["html"]["font-size"] == "12px"  # a page counts in rem, so paper has sizes of its own


def test_a_phone_has_no_tiny_print_and_an_interval_stays_on_one_line(board):
    css = style()
    phone = rules(css, "(max-width: 46rem)")
    for wide in (".many", ".many td small"):
        assert float(phone[wide]["font-size"].removesuffix("rem")) * 16 > 12
    assert "td.drawn { white-space: nowrap; }" in css
    text, _ = read_page(board)
    cells = re.findall(r"<td([^>]*)>((?:(?!</td>).)*)</td>", text)
    drawn = ["drawn" in re.split(r'[ "]', kind) for kind, inside in cells if "<svg" in inside]
    assert drawn
    assert all(drawn)


def test_each_arm_s_seeds_stand_beside_its_cost(board):
    cost = board.files["table.md"].read_text().split("## Cost")[1].split("## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:3]] for line in cost.splitlines() if line.startswith("|")
    ]
    assert rows[0] == ["system", "seeds"]
    assert ["heads", "0, 1"] in rows
    assert ["closed form", "0"] in rows


def test_the_board_for_scripts_says_how_it_was_made(board):
    table = json.loads(board.files["board.json"].read_text())
    assert {"radalign", "commit", "packages", "date"} <= table["made_by"].keys()
    assert re.fullmatch("[0-9a-f]{64}", table["data_sha256"])


def test_a_failing_cell_is_on_the_page_and_stops_nobody(board):
    table = board.files["table.md"].read_text()
    assert "- broken, seed 0 failed: The [model] section of" in table
    assert "no_such_setting" in table
    assert sorted(f.parent.name for f in board.out.glob("cells/*/result.json")) == [
        "adapters-d-0", "adapters-d-1", "closed-form-0", "frontal-only-0", "heads-0", "heads-1",
    ]  # fmt: skip


def test_an_arm_is_the_mean_of_its_seeds_and_its_interval_that_of_the_mean(board):
    cells = [board.out / "cells" / f"heads-{seed}" for seed in (0, 1)]
    values, samples = [], []
    for cell in cells:
        result, drawn = Result.read(cell / "result.json"), Drawn.read(cell)
        measure = result["heads", "image to text", "R@5"]
        values.append(measure.value)
        own = drawn.samples["image to text", "R@5", ""]
        assert np.allclose(np.quantile(own, [0.025, 0.975]), [measure.low, measure.high])
        samples.append(own)
    low, high = np.quantile(np.mean(samples, axis=0), [0.025, 0.975])
    scores = json.loads(board.files["board.json"].read_text())["scores"]
    score = next(s for s in scores if (s["arm"], s["task"], s["metric"]) == ("heads", "image to text", "R@5"))
    assert score["value"] == pytest.approx(np.mean(values))
    assert score["spread"] == pytest.approx(np.std(values, ddof=1))
    assert [score["low"], score["high"]] == pytest.approx([low, high])


def test_the_frontal_arm_is_paired_only_where_all_saw_the_same_studies(board):
    gaps = json.loads(board.files["board.json"].read_text())["gaps"]
    tasks = {gap["task"] for gap in gaps if gap["system"] == "frontal only"}
    assert "image to text [with frontal]" in tasks
    assert "zero-shot [with frontal]" in tasks  # thresholds come from validation studies, which differ
    assert all(task.endswith("[with frontal]") for task in tasks)
    whole = {gap["task"] for gap in gaps if gap["system"] == "closed form"}
    assert "image to text" in whole
    assert "image to text [with frontal]" in whole
    cell = Result.read(board.out / "cells" / "frontal-only-0" / "result.json")
    assert cell.settings["tasks"]["retrieval [with frontal]"]["studies"] == 16


def test_an_ablation_is_the_raw_difference(board):
    table = board.files["table.md"].read_text().split("## Ablations and variations")[1].split("## ")[0]
    assert "| adapters <d> − heads |" in table
    assert (
        "“worse” says that it had helped; where training went on from the other, that this had not." in table
    )
    scores = json.loads(board.files["board.json"].read_text())["scores"]
    value = {
        s["arm"]: s["value"]
        for s in scores
        if (s["task"], s["metric"], s["group"]) == ("zero-shot", "mean AUC", "")
    }
    assert f"{value['adapters <d>'] - value['heads']:+.3f} " in table


def test_every_cell_names_the_commit_that_judged_it(board, tmp_path):
    from shutil import copytree

    copytree(board.out, tmp_path / "board")
    path = tmp_path / "board" / "cells" / "heads-1" / "result.json"
    result = json.loads(path.read_text())
    result["made_by"]["commit"] = "fedcba9876543210fedcba9876543210fedcba98+changes"
    path.write_text(json.dumps(result))
    page_only = replace(QUIET, page_only=True)
    files = make_board(load_plan(board.plan), board.data, tmp_path / "board", page_only)
    made = files["table.md"].read_text().split("## How it was made")[1]
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in made.splitlines() if line.startswith("|")]
    commits = {row[0]: row[rows[0].index("commit")] for row in rows[2:]}
    assert commits["heads, seed 1"] == "fedcba987654+changes"
    own = json.loads((path.parents[1] / "heads-0" / "result.json").read_text())["made_by"]["commit"]
    assert commits["heads, seed 0"] == own[:12] + own[40:]


def test_a_result_says_how_it_was_made(board):
    made = Result.read(board.out / "cells" / "adapters-d-1" / "result.json").made_by
    assert made["seeds"] == {"bootstrap": 0, "run": 1}
    assert made["systems"]["adapters <d>"]["recipe"]["model"]["adapter_hidden"] == 4
    assert {"radalign", "commit", "packages", "manifest_sha256", "device"} <= made.keys()
    assert made["latency"]["study_ms"] > 0
    times = made["wall_time_s"]
    assert times["images"] + times["texts"] <= times["all"]


def test_a_second_time_everything_is_done_and_the_page_is_the_same(board):
    before = board.files["table.md"].read_bytes()
    times = {path: path.stat().st_mtime_ns for path in board.out.glob("cells/*/result.json")}
    said: list[str] = []
    make_board(load_plan(board.plan), board.data, board.out, QUIET, said.append)
    assert sum("done before" in line for line in said) == 6
    assert {path: path.stat().st_mtime_ns for path in board.out.glob("cells/*/result.json")} == times
    assert board.files["table.md"].read_bytes() == before


def test_other_settings_than_those_of_a_finished_cell_are_refused(board, tmp_path):
    changed = tmp_path / "plan.toml"
    changed.write_text(board.plan.read_text().replace("adapter_hidden=4", "adapter_hidden=8"))
    with pytest.raises(LeaderboardError, match=r"model.adapter_hidden = 4, but the plan says 8; remove"):
        make_board(load_plan(changed), board.data, board.out, QUIET)


def test_judged_otherwise_a_cell_is_judged_again_and_not_trained(board, tmp_path):
    import shutil

    out = tmp_path / "board"
    shutil.copytree(board.out / "cells" / "closed-form-0", out / "cells" / "closed-form-0")
    head, *arms = board.plan.read_text().split("[[arm]]")
    arm = next(text for text in arms if "closed form" in text)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        head.replace('reference = "heads"', "").replace("resamples = 40", "resamples = 50")
        + "[[arm]]" + arm
    )  # fmt: skip
    said: list[str] = []
    make_board(load_plan(plan), board.data, out, QUIET, said.append)
    assert said == ["Cell 1 of 1: closed form, seed 0: judging ..."]
    assert Drawn.read(out / "cells" / "closed-form-0").samples["zero-shot", "mean AUC", ""].shape == (50,)


def test_a_part_of_a_plan_runs_alone_and_the_page_says_what_is_missing(board, tmp_path):
    out, said = tmp_path / "board", []
    part = replace(QUIET, arms=("closed form", "heads"), seeds=(0,))
    files = make_board(load_plan(board.plan), board.data, out, part, said.append)
    assert said == [
        "Cell 1 of 2: heads, seed 0: training ...",
        "Cell 2 of 2: closed form, seed 0: training ...",
    ]
    assert sorted(path.name for path in (out / "cells").iterdir()) == ["closed-form-0", "heads-0"]
    missing = files["table.md"].read_text().split("## Cells without a result")[1].split("## ")[0]
    assert "with seeds 0, 1: adapters <d>; with seed 0: frontal only, broken; with seed 1: heads." in missing


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"arms": ("haeds",)}, "The plan has no arm haeds; it has heads; adapters <d>; frontal only"),
        ({"seeds": (0, 7)}, "The plan has no seed 7; it has 0; 1"),
        ({"arms": ("closed form",), "seeds": (1,)}, "No arm that was named has a seed that was named"),
        ({"arms": ("haeds",), "page_only": True}, "--page-only runs no cell .* leave --arm, --seed and"),
        ({"seeds": (0,), "page_only": True}, "--page-only runs no cell .* leave --arm, --seed and"),
        ({"judge_again": True, "page_only": True}, "--page-only runs no cell .* leave .* --judge-again out"),
    ],
)
def test_a_part_that_the_plan_does_not_have_is_refused(board, tmp_path, part, sentence):
    with pytest.raises(LeaderboardError, match=sentence):
        make_board(load_plan(board.plan), board.data, tmp_path / "board", replace(QUIET, **part))
    assert not (tmp_path / "board" / "cells").exists()


def test_another_reference_turns_the_differences_round(board, tmp_path):
    from shutil import copytree

    copytree(board.out, tmp_path / "board")
    plan = load_plan(board.plan).compared_with("closed form")
    files = make_board(plan, board.data, tmp_path / "board", replace(QUIET, page_only=True))
    gaps = {
        (g["system"], g["against"]): g["value"]
        for path in (board.files["board.json"], files["board.json"])
        for g in json.loads(path.read_text())["gaps"]
        if (g["task"], g["metric"]) == ("zero-shot", "mean AUC")
    }
    assert gaps["heads", "closed form"] == -gaps["closed form", "heads"] != 0
    assert "## Differences to closed form" in files["table.md"].read_text()
    with pytest.raises(LeaderboardError, match="The plan has no arm haeds; it has heads; adapters <d>;"):
        plan.compared_with("haeds")


def test_images_are_shown_only_when_asked_for(board, tmp_path):
    from shutil import copytree

    out = tmp_path / "board"
    copytree(board.out, out)
    files = make_board(load_plan(board.plan), board.data, out, replace(QUIET, page_only=True, gallery=True))
    page = Page()
    page.feed(files["page.html"].read_text())
    images = [a["src"] for tag, a in page.tags if tag == "img"]
    assert len(images) > 10
    assert all(address.startswith("data:image/png;base64,") for address in images)


def test_a_job_is_read_as_it_was_written(board):
    folder = board.out / "cells" / "heads-1"
    job = Job.read(folder)
    assert job.arm == "heads"
    assert job.seed == 1
    assert job.settings[-1] == "train.seed=1"
    assert len([line for line in read_log(folder / "run" / "log.jsonl") if line["kind"] == "step"]) == 8
