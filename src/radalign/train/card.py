"""The run card: what was trained on what, how it went, what it is not for, and the curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radalign.files import writing
from radalign.train.checkpoint import Place
from radalign.train.record import Line, read_log
from radalign.train.result import RunResult

SHOWN = (
    ("r1", "R@1, both ways"),
    ("r5", "R@5, both ways"),
    ("r10", "R@10, both ways"),
    ("mrr", "mean reciprocal rank"),
    ("median_rank", "median rank"),
    ("positive", "cosine to the own report"),
    ("negative", "cosine to other reports"),
    ("effective_rank", "effective rank"),
    ("spread", "spread (1 = uniform sphere)"),
)
NOT_FOR = "Research use only; not a medical device, not for diagnosis."


def model_card(system: Any, place: Place, select: str) -> str:
    """The card of a system that a run keeps: `best/README.md`, `last/README.md`."""
    recipe = system.recipe
    lines = [
        f"# {recipe.name}",
        "",
        recipe.description or f"A radalign system of kind `{recipe.system}`.",
        NOT_FOR,
        "",
        f"Trained for {place.step} steps; validation ({select} picks the best):",
        "",
        *numbers_table({"": place.last_numbers}),
        "",
        "Load it with `radalign.load(folder)`. The run's card is one folder up.",
        "",
    ]
    return "\n".join(lines)


def write_card(result: RunResult) -> None:
    """Write `README.md` and `curves.png` into the run's folder, from its log and its result."""
    log = read_log(result.folder / "log.jsonl")
    curves, card = result.folder / "curves.png", result.folder / "README.md"
    with writing(curves):
        has_curves = draw_curves(log, curves, result.select)
    with writing(card):
        card.write_text(card_text(result, log, has_curves), encoding="utf-8")


def card_text(result: RunResult, log: Sequence[Line], has_curves: bool) -> str:
    """The run card in Markdown."""
    d = result.details
    recipe = d["recipe"]
    messages = _messages(log)
    parts = [
        f"# Run: {recipe['name']}",
        "",
        recipe.get("description", ""),
        NOT_FOR,
        "",
        result.sentence().replace(f"The system is in {result.folder}.", "The system is in `best/`."),
        "",
        *numbers_table({"best": result.best_numbers, "last": result.last_numbers}),
        "",
        *(["![Curves](curves.png)", ""] if has_curves else []),
        *_notes(messages),
        "## Data",
        "",
        *_rows(
            {
                "training studies": d["studies"]["train"],
                "validation studies": d["studies"]["validate"],
                "left out": ", ".join(f"{n} ({why})" for why, n in d["excluded"].items()) or "none",
                "unreadable images": d["unreadable_images"],
                "manifest SHA-256": d["manifest_sha256"],
            }
        ),
        "## Parameters",
        "",
        *_parameters(d["parameters"]),
        "## How it was made",
        "",
        *_rows(_making(result)),
        "The full recipe and versions are in `run.json`; every step is in `log.jsonl`.",
        "",
    ]
    return "\n".join(parts)


def numbers_table(columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A Markdown table of validation numbers, one column per name."""
    filled = {name: numbers for name, numbers in columns.items() if numbers}
    if not filled:
        return ["There was no validation."]
    head = [
        "| number | " + " | ".join(name or "value" for name in filled) + " |",
        "|---|" + "---:|" * len(filled),
    ]
    first = next(iter(filled.values()))
    shown = SHOWN if "r1" in first else [(name, name.replace("_", " ")) for name in first]
    rows = [
        f"| {label} | " + " | ".join(f"{numbers[key]:.4g}" for numbers in filled.values()) + " |"
        for key, label in shown
    ]
    return head + rows


def draw_curves(log: Sequence[Line], path: Path, select: str) -> bool:
    """Draw the loss and its terms, the selecting number, and the collapse monitor over the epochs.

    Returns:
        Whether there was anything to draw.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [line for line in log if line["kind"] == "step"]
    checks = [line for line in log if line["kind"] == "validation"]
    if not steps and len(checks) < 2:
        return False
    figure = Figure(figsize=(12, 3.6))
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.05, right=0.99, top=0.9, bottom=0.14, wspace=0.15)
    for name in _terms(steps):
        left.plot([s["step"] for s in steps], [s[name] for s in steps], label=name, linewidth=1)
    left.set(title="Training loss", xlabel="step")
    names = dict.fromkeys([select, "r1", "r10"])
    _plot_checks(middle, checks, [name for name in names if name != "median_rank"], "Validation")
    _plot_checks(right, checks, ["positive", "negative", "spread"], "Collapse monitor")
    for axes in (left, middle, right):
        if axes.has_data():
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)
    return True


def _plot_checks(axes: Any, checks: Sequence[Line], names: Sequence[str], title: str) -> None:
    for name in [name for name in names if checks and name in checks[0]]:
        axes.plot([c["epoch"] for c in checks], [c[name] for c in checks], "o-", label=name, markersize=3)
    axes.set(title=title, xlabel="epoch")


def _terms(steps: Sequence[Line]) -> list[str]:
    known = {"kind", "step", "epoch", "rate_share", "grad_norm", "studies_per_s", "wait_percent", "left_s"}
    return [name for name in (steps[0] if steps else {}) if name not in known]


def _notes(messages: Sequence[str]) -> list[str]:
    return ["## Notes", "", *(f"- {message}" for message in dict.fromkeys(messages)), ""] if messages else []


def _messages(log: Sequence[Line]) -> list[str]:
    """What was said beside the line of each validation; of the collapse monitor only the latest word."""
    said = [
        line["text"] for line in log if line["kind"] == "message" and not line["text"].startswith("Epoch")
    ]
    collapses = [text for text in said if text.startswith("The embeddings")]
    return [text for text in said if text not in collapses] + collapses[-1:]


def _parameters(report: Mapping[str, Mapping[str, int]]) -> list[str]:
    if not report:
        return ["Not reported by this system.", ""]
    rows = [f"| {part} | {row['all']:,} | {row['trainable']:,} |" for part, row in report.items()]
    total = report.get("total", {"all": 0, "trainable": 0})
    share = 100 * total["trainable"] / max(1, total["all"])
    return [
        "| part | all | trainable |",
        "|---|---:|---:|",
        *rows,
        "",
        f"Trainable share: {share:.2f} %.",
        "",
    ]


def _making(result: RunResult) -> dict[str, Any]:
    d = result.details
    return {
        "radalign": f"{d['radalign']} {d['commit']}".strip(),
        "packages": ", ".join(f"{name} {version}" for name, version in d["packages"].items()),
        "device": f"{d['device']} ({d['processor']}), {d['processes']} process(es), {d['precision']}",
        "backbones": ", ".join(f"{side}: {identity}" for side, identity in d["backbones"].items()),
        "seed": d["seeds"]["run"],
        "wall time": f"{result.wall_s / 60:.1f} min",
        "peak memory": f"{result.peak_memory_bytes / 2**30:.2f} GiB",
        "date": d["date"],
    }


def _rows(pairs: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in pairs.items()), ""]
