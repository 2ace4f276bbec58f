"""What to evaluate, on what, against what: the options of `radalign evaluate` as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.protocols import PROTOCOLS
from radalign.evaluate.results import Mode
from radalign.evaluate.subgroups import KINDS

SIMILARITIES = ("global", "local", "both")
PROMPTED = ("zero-shot", "chexpert-5x200", "rsna", "openi", "ms-cxr-t")
COMPARED = (
    "retrieval", "zero-shot", "sensitivity", "report-edits", "chexpert-8x200", "chexpert-5x200", "rsna",
    "openi", "report-to-report", "ms-cxr-t",
)  # fmt: skip
LEARNING = ("probe", "fine-tune")
LABELLED = ("retrieval", *LEARNING)
TAKES = {
    "prompts": PROMPTED,
    "pooling": PROMPTED,
    "similarity": COMPARED,
    "labels": LABELLED,
    "exclude_own_report": ("retrieval",),
    "fine_tune": ("nih",),
    "own_classes": ("zero-shot",),
    "probes": ("sensitivity",),
    "subgroups": ("retrieval", "zero-shot", "openi"),
}
"""Which tasks heed an option; for any other it would be recorded and do nothing, so it is refused."""

SPELT = {"labels": "label"}


@dataclass(frozen=True)
class Plan:
    """What to evaluate, on what, against what.

    Args:
        run: Folder of a trained system, or of the run that made it.
        data: A manifest, or the folder (or manifest) that a protocol asks for.
        task: `retrieval`, `zero-shot`, `space`, `sensitivity`, `report-edits`, `probe`, `fine-tune`, or a
            protocol's name (see `protocols`).
        mode: For a protocol: `paper` or `strict`.
        split: The manifest's split; "" takes every study. Protocols have lists of their own, and tasks that
            learn from labels report on `test`.
        baselines: `unadapted`, or folders of other runs.
        prompts: For zero-shot: a packaged prompt set or a TOML file; "" takes the task's own.
        pooling: For zero-shot: how prompts are pooled; "" takes the set's own way.
        labels: For retrieval: the labels of P@k; empty takes the frequent ones.
        exclude_own_report: For retrieval: hide the own report from P@k.
        fine_tune: For a protocol with labels: also train copies of the systems on them.
        own_classes: For zero-shot: systems that learned classes from labels score a finding by those.
        subgroups: Kinds of subgroup that retrieval and zero-shot (of `openi`, too) are also reported for.
        similarity: Of images and texts: `global`, `local` (patches and words) or `both`.
        probes: For sensitivity: pairs of images per factor.
        allow_transductive: Let a NEARL-CLIP trained on batches see a test batch as its context.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.
        device: Where the systems run.
    """

    run: str
    data: Path
    task: str = "retrieval"
    mode: Mode = "strict"
    split: str = "test"
    baselines: tuple[str, ...] = ()
    prompts: str = ""
    pooling: str = ""
    labels: tuple[str, ...] = ()
    exclude_own_report: bool = False
    fine_tune: bool = False
    own_classes: bool = False
    subgroups: tuple[str, ...] = KINDS
    similarity: str = "global"
    probes: int = 60
    allow_transductive: bool = False
    resamples: int = 1000
    seed: int = 0
    device: str = "cpu"

    @property
    def reported_split(self) -> str:
        """The split whose studies the numbers are of; "" for every study."""
        return "test" if self.task in LEARNING else self.split

    @property
    def default_folder(self) -> Path:
        """Where the result goes unless the user says otherwise: in the run's folder."""
        name = f"{self.task}-{self.mode if self.task in PROTOCOLS else self.reported_split or 'all'}"
        home = Path("evaluation") if self.run.startswith("hf://") else Path(self.run) / "evaluation"
        return home / name


def make_plan(
    run: str, data: Path | None, mode: str, split: str | None, baselines: Sequence[str] | None,
    labels: Sequence[str] | None, subgroups: Sequence[str] | None = None, probes: int | None = None,
    **rest: Any,
) -> Plan:  # fmt: skip
    """A plan from what a command line gives; None takes the default, which is `test` for the split.

    Raises:
        EvaluationError: If the run or the data are not named, an option is unknown, or the task ignores it.
    """
    if not run or data is None:
        raise EvaluationError(
            "Name the run and its data: `radalign evaluate runs/x --data manifest.parquet`."
        )
    task = rest.get("task", "retrieval")
    if mode not in ("paper", "strict"):
        raise EvaluationError(f"There is no mode {mode!r}; choose paper or strict.")
    _check_values(rest)
    need_heeded(task, rest | {"labels": labels, "subgroups": subgroups, "probes": probes})
    _need_own_split(task, split)
    if task not in PROTOCOLS and mode == "paper":
        raise EvaluationError(
            f"The task {task!r} has no paper mode; leave --mode out, or choose a protocol: "
            f"{', '.join(PROTOCOLS)}."
        )
    numbers = {} if probes is None else {"probes": probes}
    part = "" if split == "all" or task in PROTOCOLS else split or "test"
    return Plan(
        run=run, data=data, mode=cast("Mode", mode), split=part, baselines=tuple(baselines or ()),
        labels=tuple(labels or ()), subgroups=_kinds(subgroups), **rest | numbers,
    )  # fmt: skip


def _check_values(asked: Mapping[str, Any]) -> None:
    """Refuse what no task knows."""
    for name, choices in (("similarity", SIMILARITIES), ("pooling", tuple(Pooling))):
        given = asked.get(name)
        if given and given not in choices:
            raise EvaluationError(f"There is no {name} {given!r}; choose {', '.join(choices)}.")
    if asked.get("seed", 0) < 0:
        raise EvaluationError(f"A seed is 0 or more; {asked['seed']} is less.")


def _need_own_split(task: str, split: str | None) -> None:
    """Refuse a split where it would decide nothing and be recorded."""
    if split is None:
        return
    if task in PROTOCOLS:
        raise EvaluationError(f"The protocol {task!r} has its own lists of studies; leave --split out.")
    if task in LEARNING:
        raise EvaluationError(
            f"The task {task!r} learns on the split train, chooses on validate and reports on test; leave "
            "--split out."
        )


def need_heeded(task: str, asked: Mapping[str, Any]) -> None:
    """Refuse options that a task or protocol would ignore.

    Raises:
        EvaluationError: If one is given.
    """
    for name, tasks in TAKES.items():
        given = asked.get(name)
        unsaid = given is None or given is False or given in ("", "global", (), [])
        if not unsaid and task not in tasks:
            option = f"--{SPELT.get(name, name).replace('_', '-')}"
            raise EvaluationError(f"The task {task!r} ignores {option}; it is for {', '.join(tasks)}.")


def _kinds(asked: Sequence[str] | None) -> tuple[str, ...]:
    """All kinds of subgroup by default, none for `none`."""
    if not asked:
        return KINDS
    chosen = tuple(kind for kind in asked if kind != "none")
    unknown = sorted(set(chosen) - set(KINDS))
    if unknown:
        raise EvaluationError(f"There is no subgroup {unknown[0]!r}; choose {', '.join(KINDS)} or none.")
    return chosen
