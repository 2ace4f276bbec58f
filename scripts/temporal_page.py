"""The page docs/results/temporal.md: change accuracy of every cell, with intervals, from the kept embeddings.

cell's z of all pairs ── probe per finding (trained on train, penalty chosen on validate) ─┐
                      └─ cosine to sentences of change ───────────────────────────────────┴ macro accuracy
"""

from __future__ import annotations

import json
import os
import platform
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import torch

from radalign.evaluate import metrics
from radalign.evaluate.bootstrap import Draw, Resamples
from radalign.evaluate.pooling import unit
from radalign.evaluate.probe import fit_classes
from radalign.evaluate.statistic import Statistic, average_of, over
from radalign.study import Manifest, Study

PENALTIES = (10.0, 100.0, 1000.0)
LEAST_TRAIN, LEAST_TEST = 4, 2
CHANGES = ("new", "better", "worse", "stable")
CLASS_OF = {"new": 0, "better": 1, "resolved": 1, "worse": 2, "stable": 3}


def truth_of(pairs: Sequence[Study], finding: str) -> np.ndarray:
    """The change of a finding in every pair, as an index into `CHANGES`; -1 where it is in neither study."""
    rows = ({f.name: f.change for f in study.truth} for study in pairs)
    return np.array([CLASS_OF.get(row.get(finding, ""), -1) for row in rows], dtype=np.int64)


class Judge:
    """Scores cells on the same pairs, findings and resamples.

    Args:
        pairs: Studies with priors, split.
        findings: Candidates; those with too few pairs of a change are left out.
        resamples: Of the test patients.
    """

    def __init__(self, pairs: Sequence[Study], findings: Sequence[str], resamples: int = 1000) -> None:
        self.split = np.array([study.split for study in pairs])
        self.truth = {finding: truth_of(pairs, finding) for finding in findings}
        self.findings = [finding for finding in findings if self._is_usable(finding)]
        if not self.findings or not (self.split == "validate").any():
            raise SystemExit(
                "Too few pairs of every change in train, validate and test; simulate more studies."
            )
        tested = [study.patient_id for study in pairs if study.split == "test"]
        self.resamples = Resamples(tested, resamples, seed=0)

    def counts(self, split: str) -> dict[str, list[int]]:
        """Pairs per finding and change."""
        return {f: np.bincount(self._of(f, split)[1], minlength=4).tolist() for f in self.findings}

    def probe(self, z: np.ndarray) -> tuple[float, Statistic]:
        """Macro accuracy of a linear probe: on validation (its penalty was chosen there) and on test."""
        tried = {penalty: self._predicted(z, penalty) for penalty in PENALTIES}
        values = {penalty: self._accuracy(found, "validate").value for penalty, found in tried.items()}
        best = max(values, key=lambda penalty: values[penalty])
        return values[best], self._accuracy(tried[best], "test")

    def asked(self, z: np.ndarray, words: dict[str, np.ndarray]) -> Statistic:
        """Macro accuracy of the nearest sentence of change on test, words finding/change -> [E]."""
        predicted = {
            f: (unit(z) @ np.stack([words[f"{f}/{c}"] for c in CHANGES], axis=1)).argmax(1)
            for f in self.findings
        }
        return self._accuracy(predicted, "test")

    def draws(self, statistics: Sequence[Statistic]) -> list[Draw]:
        """All on the same resamples."""
        return self.resamples.draw(list(statistics))

    def _of(self, finding: str, split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero((self.split == split) & (self.truth[finding] >= 0))
        return rows, self.truth[finding][rows]

    def _is_usable(self, finding: str) -> bool:
        least = [np.bincount(self._of(finding, s)[1], minlength=4).min() for s in ("train", "test")]
        return bool(least[0] >= LEAST_TRAIN and least[1] >= LEAST_TEST)

    def _predicted(self, z: np.ndarray, penalty: float) -> dict[str, np.ndarray]:
        found = {}
        for finding in self.findings:
            rows, truth = self._of(finding, "train")
            found[finding] = fit_classes(z[rows], truth, len(CHANGES), penalty).logits(z).argmax(1)
        return found

    def _accuracy(self, predicted: dict[str, np.ndarray], split: str) -> Statistic:
        here = np.flatnonzero(self.split == split)
        place = {row: i for i, row in enumerate(here)}
        each = []
        for finding, found in predicted.items():
            rows, truth = self._of(finding, split)
            if not len(rows):
                continue  # a small validation split may lack a finding
            items = np.array([place[row] for row in rows])
            each.append(over(items, metrics.macro_accuracy(found[rows], truth), len(here)))
        return average_of(each)


def words_in(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The stored sentences, those of one change pooled: finding/change -> [E]."""
    grouped: dict[str, list[np.ndarray]] = {}
    for name, row in stored.items():
        if name.startswith("words/"):
            grouped.setdefault("/".join(name.split("/")[1:3]), []).append(row)
    return {name: unit(unit(np.stack(rows)).mean(0)) for name, rows in grouped.items()}


def scored(paths: Sequence[Path], judge: Judge, afterwards: bool) -> tuple[float, Statistic, Statistic]:
    """Validation probe, test probe and test sentences of one arm, averaged over its seeds.

    Args:
        paths: One per seed; z is [N, E], or [N, 3 E] of a system without prior slots: now, before, change.
        judge: Of all arms.
        afterwards: The probe reads all of z. Otherwise it reads what the system makes of the study that it
            is given, the first E numbers; sentences always do.
    """
    values, probes, asked = [], [], []
    for path in paths:
        stored = dict(np.load(path))
        words = words_in(stored)
        alone = stored["z"][:, : len(next(iter(words.values())))]
        value, statistic = judge.probe(stored["z"] if afterwards else alone)
        values.append(value)
        probes.append(statistic)
        asked.append(judge.asked(alone, words))
    return float(np.mean(values)), average_of(probes), average_of(asked)


def table(
    arms: dict[str, list[Path]],
    judge: Judge,
    pairs: Sequence[tuple[str, str]],
    afterwards: Collection[str] = (),
) -> list[str]:
    """Rows of arms, then paired differences; `afterwards` names arms whose probe reads both studies."""
    found = {arm: scored(paths, judge, arm in afterwards) for arm, paths in arms.items()}
    draws = judge.draws([s for _, probe, asked in found.values() for s in (probe, asked)])
    probe = dict(zip(found, draws[::2], strict=True))
    asked = dict(zip(found, draws[1::2], strict=True))
    lines = [
        "| arm | seeds | probe, validation | probe, test | sentences, test |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {arm} | {len(arms[arm])} | {found[arm][0]:.3f} | {_shown(probe[arm])} | {_shown(asked[arm])} |"
        for arm in found
    ]
    known = [(one, two) for one, two in pairs if one in found and two in found]
    if known:
        lines += ["", "| difference on test | probe | sentences |", "|---|---:|---:|"]
    for one, two in known:
        gaps = [draw[one].minus(draw[two]) for draw in (probe, asked)]
        cells = " | ".join(f"{g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for g in gaps)
        lines.append(f"| {one} minus {two} | {cells} |")
    return lines


def _shown(draw: Draw) -> str:
    found = draw.interval
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def by_arm(folder: Path, pattern: str) -> dict[str, list[Path]]:
    """Files `<arm>-<seed>...` grouped by arm, in the order of their names."""
    arms: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(pattern)):
        name = path.stem if path.parent == folder else path.parent.name
        arms.setdefault(name.rpartition("-")[0], []).append(path)
    return arms


def machine() -> str:
    """What the numbers were made on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores ({cpu}), one thread, torch {torch.__version__}"


def runs_table(arms: dict[str, list[Path]]) -> list[str]:
    """Steps, minutes and trainable parameters of the trained systems."""
    lines = ["| run | seed | steps | minutes | trainable |", "|---|---:|---:|---:|---:|"]
    for arm, paths in arms.items():
        for path in paths:
            run = json.loads((path.parent / "run.json").read_text())
            system = tomllib.loads((path.parent / "last" / "recipe.toml").read_text())
            trainable = run["details"]["parameters"]["total"]["trainable"]
            row = [arm, system["train"]["seed"], run["steps"], f"{run['wall_s'] / 60:.1f}", f"{trainable:,}"]
            lines.append(f"| {' | '.join(map(str, row))} |")
    return lines


def head(manifest: Manifest, judge: Judge, size_px: int) -> list[str]:
    """What was done, on what."""
    sizes = {name: int((judge.split == name).sum()) for name in ("train", "validate", "test")}
    train, test = judge.counts("train"), judge.counts("test")
    rows = [f"| {f} | {' | '.join(map(str, [*train[f], *test[f]]))} |" for f in judge.findings]
    columns = [f"{split} {change}" for split in ("train", "test") for change in CHANGES]
    return [
        f"Data: {len(manifest)} simulated studies (`radalign data simulate`, manifest "
        f"{manifest.sha256()[:12]}), of them {sizes['train']} pairs to train, {sizes['validate']} to "
        f"validate and {sizes['test']} to test; split by patient.",
        f"Encoders: the packaged DINOv2-S-derived ViT-S/14 at {size_px} px, and MiniLM-L6. "
        f"Machine: {machine()}; other work beside.",
        "Truth: what the simulator placed. A finding is new, better (or resolved), worse or stable.",
        "",
        "Number: macro accuracy over the four changes, mean over findings; chance is 0.25. The probe is "
        "linear, one per finding, trained on the training pairs' embeddings, its penalty chosen on "
        "validation. Sentences: the nearest of four pooled sentences per finding, untuned. "
        "Intervals: 95 %, 1,000 resamples of test patients; differences are paired; the spread over seeds is "
        "not in them.",
        "",
        f"| finding | {' | '.join(columns)} |",
        "|---" + "|---:" * len(columns) + "|",
        *rows,
    ]
