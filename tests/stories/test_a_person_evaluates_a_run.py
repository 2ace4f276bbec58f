"""A person evaluates a saved system and finds numbers, a table and a figure in its folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from radalign.cli.evaluate import evaluate
from radalign.data.phantom.counterfactual import FACTORS
from radalign.data.phantom.simulate import Settings, simulate
from radalign.study import Manifest, Report, Study, View

TINY = "width=16, depth=2, heads=2, mlp_width=32"
REPORTS = {
    "normal": "The lungs are clear. No acute disease.",
    "Cardiomegaly": "The heart is enlarged. No pleural effusion.",
    "Pleural Effusion": "Small left pleural effusion. The heart is normal in size.",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A saved, untrained, tiny system whose adapters were nudged, and a manifest of 30 studies."""
    import torch

    from radalign.systems.base import create

    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)  # or the numbers below tie in one run of many
    system = create(
        "clinvla",
        [
            f"backbones.vision={{random={{{TINY}, patch_px=16, image_px=32}}}}",
            f"backbones.text={{random={{{TINY}, vocabulary=300, max_tokens=64}}}}",
            "backbones.max_tokens=32",
            "data.size_px=32",
        ],
    )
    with torch.no_grad():
        for name, tensor in system.named_parameters():
            if "adapter" in name and tensor.requires_grad:
                tensor.add_(torch.randn_like(tensor) * 0.1)
    system.save(folder / "system")
    studies = list(_studies(folder))
    Manifest(studies, folder).write(folder / "studies.parquet")
    return folder


def _studies(folder):
    random = np.random.default_rng(0)
    for i in range(40):
        label = sorted(REPORTS)[i % 3]
        pixels = random.integers(0, 80, (32, 32)) + 60 * (i % 3)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        labels = {name: int(name == label) for name in REPORTS}
        split = "test" if i < 30 else "validate"
        yield Study(
            f"s{i}",
            f"p{i // 2}",
            (View(f"{i}.png", "PA"),),
            Report(findings=REPORTS[label], impression=f"{label}."),
            labels,
            split,
            sex="FM"[i % 2],
            age_years=30.0 + 50 * (i % 2),
        )


def radalign(*words):
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_retrieval_against_the_unadapted_encoders(run):
    done = radalign(
        run / "system", "--data", run / "studies.parquet", "--baseline", "unadapted", "--resamples", 50
    )
    assert done.exit_code == 0
    assert "image to text" in done.stdout
    folder = run / "system" / "evaluation" / "retrieval-test"
    result = json.loads((folder / "result.json").read_text())
    assert {m["system"] for m in result["measures"]} == {"clinvla", "unadapted"}
    recall = next(m for m in result["measures"] if (m["task"], m["metric"]) == ("text to image", "R@10"))
    assert recall["chance"] == pytest.approx(10 / 30)
    assert recall["n"] == 30
    assert recall["patients"] == 15
    made = result["made_by"]
    assert made["manifest_sha256"] == Manifest.read(run / "studies.parquet").where(split="test").sha256()
    assert made["systems"]["clinvla"]["recipe"]["system"] == "clinvla"
    assert made["systems"]["clinvla"]["identity"] != made["systems"]["unadapted"]["identity"]
    assert set(made["wall_time_s"]) == {"load", "embed", "measure"}
    assert result["gaps"]
    with Image.open(folder / "plot.png") as figure:
        assert figure.size[0] > 500


def test_zero_shot_as_json_with_thresholds_from_the_validation_split(run, tmp_path):
    done = radalign(
        run / "system", "--data", run / "studies.parquet", "--task", "zero-shot", "--json", "--out", tmp_path,
        "--resamples", 20,
    )  # fmt: skip
    result = json.loads(done.stdout)
    groups = {m["group"] for m in result["measures"] if m["metric"] == "AUC"}
    assert groups == {"normal", "cardiomegaly", "effusion"}
    assert {m["metric"] for m in result["measures"]} >= {"mean AUC", "mean F1", "mean ECE", "MCC"}
    assert any("atelectasis was left out" in note for note in result["notes"])
    assert (tmp_path / "table.md").read_text().startswith("# zero-shot (strict mode)")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--task", "grading"), "no task 'grading'"),
        (("--split", "train"), "it has test, validate"),
        (("--task", "zero-shot", "--prompts", "nothing"), "no prompt set 'nothing'"),
        (("--task", "zero-shot", "--prompts", "gloria-classes"), "holds no findings; choose a set"),
        (("--baseline", "nowhere"), "no trained system in nowhere"),
    ],
)
def test_a_wrong_option_is_answered_with_a_sentence(run, words, sentence):
    with pytest.raises(ValueError, match=sentence):
        radalign(run / "system", "--data", run / "studies.parquet", *words)


def test_a_result_is_made_again_and_compared(run, tmp_path):
    radalign(run / "system", "--data", run / "studies.parquet", "--resamples", 20, "--out", tmp_path)
    again = radalign("--check", tmp_path / "result.json")
    assert again.exit_code == 0
    assert "the result repeats" in again.stdout
    text = (tmp_path / "result.json").read_text()
    result = json.loads(text)
    result["measures"][0]["value"] += 0.01
    (tmp_path / "changed.json").write_text(json.dumps(result))
    changed = radalign("--check", tmp_path / "changed.json", "--json")
    assert changed.exit_code == 1
    assert len(json.loads(changed.stdout)["differences"]) == 1


def test_the_look_of_the_space(run, tmp_path):
    done = radalign(
        run / "system", "--data", run / "studies.parquet", "--task", "space", "--baseline", "unadapted",
        "--resamples", 10, "--out", tmp_path,
    )  # fmt: skip
    assert "modality gap" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "table.md", "plot.png", "space.png"}


def test_a_protocol_by_name(run):
    done = radalign(
        run / "system", "--data", run / "studies.parquet", "--task", "report-to-report", "--mode", "paper",
        "--resamples", 10,
    )  # fmt: skip
    assert "report-to-report (paper mode)" in done.stdout
    assert (run / "system" / "evaluation" / "report-to-report-paper" / "result.json").is_file()


def test_a_sensitivity_card_is_made_checked_and_cannot_be_tampered_with(run, tmp_path):
    simulate(tmp_path / "sim", 2, Settings(size_px=64, priors=0.0, laterals=0.0))
    words = ("--data", tmp_path / "sim" / "manifest.parquet", "--task", "sensitivity", "--split", "all")
    done = radalign(
        run / "system", *words, "--probes", 2, "--resamples", 20, "--similarity", "both", "--baseline",
        "unadapted", "--out", tmp_path / "card",
    )  # fmt: skip
    assert "right sentence of two" in done.stdout
    files = {path.name for path in (tmp_path / "card").iterdir()}
    assert files == {"result.json", "table.md", "plot.png", "sensitivity.png"}
    result = json.loads((tmp_path / "card" / "result.json").read_text())
    value = {(m["system"], m["metric"]): m["value"] for m in result["measures"] if not m["group"]}
    assert value["clinvla", "change"] == 0.5  # no slot for a prior
    assert any("takes no prior image" in note for note in result["notes"])
    assert result["settings"]["counts"] == dict.fromkeys(FACTORS, 2)
    again = radalign("--check", tmp_path / "card" / "result.json")
    assert again.exit_code == 0, again.stdout
    result["gaps"][0]["p"] = 0.0001
    (tmp_path / "tampered.json").write_text(json.dumps(result))
    told = radalign("--check", tmp_path / "tampered.json")
    assert told.exit_code == 1
    assert "does not repeat: 1 differences" in told.stdout
    with pytest.raises(ValueError, match="--task report-edits"):
        radalign(run / "system", "--data", run / "studies.parquet", *words[2:])


def test_reports_are_edited_and_the_edits_counted(run, tmp_path):
    words = (run / "system", "--data", run / "studies.parquet", "--resamples", 20, "--out", tmp_path)
    done = radalign(*words, "--task", "report-edits", "--similarity", "local", "--json")
    result = json.loads(done.stdout)
    # Ten reports each: "The heart is enlarged." and "No pleural effusion."; "Small left pleural effusion." and
    # "The heart is normal in size."; "The lungs are clear." and "No acute disease." are not one finding.
    # The impressions "Cardiomegaly." and "Pleural Effusion." can be denied, too.
    assert result["settings"]["edits"] == {"side": 10, "severity": 10, "negation": 60}
    assert result["settings"]["similarity"] == "local"
    assert (tmp_path / "sensitivity.png").is_file()


def test_subgroups_are_chosen(run, tmp_path):
    words = (run / "system", "--data", run / "studies.parquet", "--resamples", 5, "--out", tmp_path, "--json")
    with pytest.raises(ValueError, match="no subgroup 'colour'"):
        radalign(*words, "--subgroups", "colour")
    found = json.loads(radalign(*words, "--subgroups", "sex").stdout)
    groups = {m["group"] for m in found["measures"] if ": " in m["group"]}
    assert groups == {"sex: F", "sex: M"}


def test_zero_shot_by_patches_and_words(run, tmp_path):
    words = (run / "system", "--data", run / "studies.parquet", "--task", "zero-shot", "--resamples", 5)
    means = []
    for similarity in ("global", "local", "both"):
        done = radalign(*words, "--similarity", similarity, "--json", "--out", tmp_path)
        result = json.loads(done.stdout)
        assert result["settings"]["similarity"] == similarity
        means.append(next(m["value"] for m in result["measures"] if m["metric"] == "mean AUC"))
    assert len(set(means)) > 1


def test_retrieval_by_patches_and_words(run, tmp_path):
    words = (
        run / "system",
        "--data",
        run / "studies.parquet",
        "--resamples",
        10,
        "--out",
        tmp_path,
        "--json",
    )
    results = {s: json.loads(radalign(*words, "--similarity", s).stdout) for s in ("global", "local", "both")}
    assert {r["settings"]["similarity"] for r in results.values()} == {"global", "local", "both"}
    numbers = {s: [m["value"] for m in r["measures"]] for s, r in results.items()}
    assert (
        len({str(values) for values in numbers.values()}) == 3
    )  # a few studies may tie in one number, not in all
    with pytest.raises(ValueError, match="no similarity 'cosine'"):
        radalign(*words, "--similarity", "cosine")
