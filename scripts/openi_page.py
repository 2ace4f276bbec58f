"""The page of scripts/openi_slice.py: tables with intervals, and paired differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from openi_slice import ALONE, BAR, LONG, LONG_FULL, MAIN, Cell, cells, read_cell

import radalign
from radalign.evaluate.findings import Prompted
from radalign.evaluate.prompt_sets import PromptSet
from radalign.evaluate.results import Result
from radalign.evaluate.retrieval import RetrievalSettings, evaluate_retrieval
from radalign.evaluate.zero_shot import evaluate_zero_shot
from radalign.leaderboard.scores import verdict as verdict_of

COLUMNS = {
    "i2t R@1": ("image to text", "R@1"),
    "i2t R@5": ("image to text", "R@5"),
    "i2t R@10": ("image to text", "R@10"),
    "t2i R@1": ("text to image", "R@1"),
    "t2i R@5": ("text to image", "R@5"),
    "t2i R@10": ("text to image", "R@10"),
    "i2t P@5": ("image to text", "macro P@5"),
    "t2i P@10": ("text to image", "macro P@10"),
    "mean AUC": ("zero-shot", "mean AUC"),
}
BAR_COLUMNS = ("i2t R@10", "t2i R@10", "mean AUC")
Pair = tuple[Result, Result]


class Budget(NamedTuple):
    """What every trained cell had, and those of the longer arms."""

    minutes: float
    long_minutes: float
    threads: int


def page(done: dict[Cell, Path], manifest: radalign.Manifest, prompts: PromptSet, budget: Budget) -> str:
    """The whole page as Markdown."""
    named = {label(cell): read_cell(out, manifest) for cell, out in done.items() if cell[0] != ALONE}
    first = label((MAIN, 0))
    both = results({first: named[first], **named}, prompts)
    rivals = {name: v for name, v in named.items() if name.startswith((BAR, "canonical", LONG_FULL))}
    against = {
        cell: both if cell == (MAIN, 0) else results({label(cell): named[label(cell)], **rivals}, prompts)
        for cell in done
        if cell[0] in (MAIN, LONG)
    }
    parts = [opening(done, manifest, prompts, budget), verdict(against), table(both, done), gaps(both)]
    parts += [gaps(pair) for cell, pair in against.items() if cell != (MAIN, 0)]
    parts.append(auc_table(both))
    if any(cell[0] == ALONE for cell in done):
        parts.append(lateral(done, manifest, prompts))
    return "\n\n".join(parts) + "\n"


def label(cell: Cell) -> str:
    """How a cell is called in tables."""
    return f"{cell[0]}, seed {cell[1]}"


def results(named: dict[str, Prompted], prompts: PromptSet) -> Pair:
    """Retrieval and zero-shot of several cells, with paired gaps of the first to the others."""
    retrieval = evaluate_retrieval({k: v.studies for k, v in named.items()}, RetrievalSettings())
    return retrieval, evaluate_zero_shot(named, prompts)


def waiting(done: dict[Cell, Path]) -> str:
    """The planned cells that there are no numbers of, as a sentence."""
    missing = [label(cell) for cell in cells() if cell not in done]
    return f" Not trained: {'; '.join(missing)}." if missing else ""


def opening(done: dict[Cell, Path], manifest: radalign.Manifest, prompts: PromptSet, budget: Budget) -> str:
    """What was done, on what."""
    counts = {split: len(manifest.where(split=split)) for split in ("train", "validate", "test")}
    run = read_run(next(iter(done.values())))
    return "\n".join(
        [
            "# ClinVLA on Open-i: the first slice",
            "",
            f"Open-i (development part), {len(manifest)} studies, one per patient, patient split (seed 0): "
            + ", ".join(f"{n} {split}" for split, n in counts.items())
            + ". Text: findings and impression.",
            "Encoders: DINOv2-S-derived ViT-S/14 at 224 px and MiniLM-L6, both 384 wide. "
            f"Prompts: `{prompts.name}` (sha256 {prompts.sha256[:12]}), written before any result was seen.",
            f"Every trained cell had {budget.minutes:g} minutes on {budget.threads} CPU thread"
            f"{'s' * (budget.threads > 1)} ({run.get('processor', 'x86-64')}, {run.get('precision', '')}), "
            f"other work beside (those called *longer*: {budget.long_minutes:g} minutes); the rate's cosine "
            "ended with that time. Nothing was selected: the last weights are evaluated. Intervals: 95 % "
            "bootstrap over patients; all test studies compete.",
            "Closed forms and warm starts also need the frozen features of the training studies: about three",
            "minutes here, computed once and kept, not in the minutes below." + waiting(done),
            "",
            f"Made by `python scripts/openi_slice.py --data FOLDER/manifest.csv --minutes {budget.minutes:g} "
            f"--long-minutes {budget.long_minutes:g} --threads {budget.threads}`.",
        ]
    )


def verdict(against: dict[Cell, Pair]) -> str:
    """Which measures of the bar each run reaches: its gaps to the closed forms, with a word for each."""
    rows = [
        [label(cell), rival, *(judged(pair, rival, *COLUMNS[name]) for name in BAR_COLUMNS)]
        for cell, pair in against.items()
        for rival in (BAR, "canonical correlation")
    ]
    return "\n".join(
        [
            "## In short",
            "",
            "The run minus the closed form, paired by patient; *tie*: the interval includes 0.",
            "",
            grid(["run", "against", *BAR_COLUMNS], rows),
            "",
            "`docs/log.md` says what else was tried, what failed, and that the warm recipe's last change "
            "came after a look at this split.",
        ]
    )


def judged(pair: Pair, rival: str, task: str, metric: str) -> str:
    """One gap to a closed form, and what its interval says."""
    for g in (*pair[0].gaps, *pair[1].gaps):
        if g.against.startswith(rival) and (g.task, g.metric) == (task, metric) and not g.group:
            return f"{verdict_of(g)}, {g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}]"
    return ""


def table(pair: Pair, done: dict[Cell, Path]) -> str:
    """One row per cell, then chance."""
    facts = {label(cell): run_facts(out) for cell, out in done.items()}
    head = ["system", *COLUMNS, "trainable", "minutes", "steps", "peak memory"]
    rows = [
        [name, *(number(pair, name, *key) for key in COLUMNS.values()), *facts.get(name, [""] * 4)]
        for name in pair[0].systems
    ]
    chance = [measure(pair, pair[0].systems[0], *key).chance for key in COLUMNS.values()]
    rows.append(["chance", *("" if c is None else f"{c:.3f}" for c in chance), *[""] * 4])
    return "## Test split\n\n" + grid(head, rows)


def gaps(pair: Pair) -> str:
    """The first system minus every other, paired by patient."""
    wanted = {COLUMNS[name]: name for name in BAR_COLUMNS}
    found = [g for g in (*pair[0].gaps, *pair[1].gaps) if (g.task, g.metric) in wanted and not g.group]
    others = list(dict.fromkeys(g.against for g in found))
    cell = {(g.against, g.task, g.metric): f"{g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for g in found}
    rows = [[o, *(cell.get((o, *COLUMNS[name]), "") for name in BAR_COLUMNS)] for o in others]
    return f"## {pair[0].systems[0]}, minus ...\n\n" + grid(["... this", *BAR_COLUMNS], rows)


def auc_table(pair: Pair) -> str:
    """Zero-shot AUC of every finding."""
    findings = sorted(
        {m.group for m in pair[1].measures if m.metric == "AUC" and m.group and ":" not in m.group}
    )
    rows = []
    for name in pair[1].systems:
        found = {m.group: m for m in pair[1].measures if m.system == name and m.metric == "AUC"}
        rows.append([name, *(f"{found[f].value:.3f}" if f in found else "" for f in findings)])
    return "## Zero-shot AUC by finding\n\n" + grid(["system", *findings], rows)


def lateral(done: dict[Cell, Path], manifest: radalign.Manifest, prompts: PromptSet) -> str:
    """With and without the lateral view, on the test studies that have a frontal one."""
    alone = {cell: out for cell, out in done.items() if cell[0] == ALONE}
    ids = set.intersection(*({str(i) for i in np.load(out / "test.npz")["ids"]} for out in alone.values()))
    both = {cell: out for cell, out in done.items() if cell[0] in (MAIN, ALONE)}
    named = {label(cell): read_cell(out, manifest, ids) for cell, out in both.items()}
    pair = results(named, prompts)
    rows = [[name, *(number(pair, name, *COLUMNS[c]) for c in BAR_COLUMNS)] for name in named]
    text = f"## With and without the lateral view\n\nOn the {len(ids)} test studies with a frontal view.\n\n"
    return text + grid(["system", *BAR_COLUMNS], rows) + "\n\n" + gaps(pair)


def measure(pair: Pair, system: str, task: str, metric: str) -> Any:
    """One number of one system."""
    return (pair[1] if task == "zero-shot" else pair[0])[system, task, metric]


def number(pair: Pair, system: str, task: str, metric: str) -> str:
    """A value with its interval."""
    m = measure(pair, system, task, metric)
    return f"{m.value:.3f} [{m.low:.3f}, {m.high:.3f}]" if m.low is not None else f"{m.value:.3f}"


def grid(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def read_run(out: Path) -> dict[str, Any]:
    """What the run recorded of itself."""
    found: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return found | found.get("details", {})


def run_facts(out: Path) -> list[str]:
    """Trainable share, minutes, steps and memory of a run."""
    run = read_run(out)
    total = run.get("parameters", {}).get("total", {"all": 1, "trainable": 0})
    share = f"{total['trainable']:,} ({100 * total['trainable'] / total['all']:.1f} %)"
    memory = run.get("peak_memory_bytes", 0) / 2**30
    return [share, f"{run.get('wall_s', 0) / 60:.1f}", str(run.get("steps", "")), f"{memory:.1f} GiB"]
