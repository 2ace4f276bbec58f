"""Evaluate a trained system on a manifest and write the result: JSON, Markdown table, figure.

run folder ──load──┐
--baseline ──load──┼─ embed the split once per system ─ a task ─> result.json, table.md, plot.png
manifest ──────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings, embed
from radalign.evaluate.findings import prompted
from radalign.evaluate.plots import interval_plot
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.provenance import Stopwatch, provenance
from radalign.evaluate.results import Result
from radalign.evaluate.retrieval import RetrievalSettings, evaluate_retrieval
from radalign.evaluate.tables import markdown
from radalign.evaluate.unadapted import unadapted
from radalign.evaluate.zero_shot import ZeroShotSettings, evaluate_zero_shot
from radalign.study import Manifest

UNADAPTED = "unadapted"


@dataclass(frozen=True)
class Plan:
    """What to evaluate, on what, against what.

    Args:
        run: Folder of a trained system, or of the run that made it.
        data: A manifest.
        task: `retrieval` or `zero-shot`.
        split: The manifest's split; "" takes every study.
        baselines: `unadapted`, or folders of other runs.
        prompts: For zero-shot: a packaged prompt set or a TOML file.
        pooling: For zero-shot: how prompts are pooled; "" takes the set's own way.
        labels: For retrieval: the labels of P@k; empty takes the frequent ones.
        exclude_own_report: For retrieval: hide the own report from P@k.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.
        device: Where the systems run.
    """

    run: str
    data: Path
    task: str = "retrieval"
    split: str = "test"
    baselines: tuple[str, ...] = ()
    prompts: str = "chest-findings"
    pooling: str = ""
    labels: tuple[str, ...] = ()
    exclude_own_report: bool = False
    resamples: int = 1000
    seed: int = 0
    device: str = "cpu"


def evaluate_run(plan: Plan, progress: Progress | None = None) -> Result:
    """Load the systems, embed the studies, and evaluate.

    Raises:
        EvaluationError: If the task is unknown or the split is empty.
        ManifestError: If the manifest cannot be read.
    """
    if plan.task not in TASKS:
        raise EvaluationError(f"There is no task {plan.task!r}; choose one of {', '.join(TASKS)}.")
    watch = Stopwatch()
    manifest = Manifest.read(plan.data)
    studies = chosen_split(manifest, plan.split)
    systems = _systems(plan)
    watch.step("load")
    result = TASKS[plan.task](plan, systems, studies, manifest, watch, progress)
    made = provenance(systems, studies.sha256(), {"bootstrap": plan.seed}, watch.times_s, plan.device)
    return replace(result, made_by=made, settings=dict(result.settings) | {"split": plan.split})


def write_result(result: Result, folder: str | Path) -> dict[str, Path]:
    """Write `result.json`, `table.md` and `plot.png` into a folder."""
    folder = Path(folder)
    files = {name: folder / name for name in ("result.json", "table.md", "plot.png")}
    result.write(files["result.json"])
    files["table.md"].write_text(markdown(result) + "\n", encoding="utf-8")
    interval_plot(result, files["plot.png"])
    return files


def chosen_split(manifest: Manifest, split: str) -> Manifest:
    """The studies of a split, priors still resolved; every study for "".

    Raises:
        EvaluationError: If the split is empty, with the splits there are.
    """
    studies = manifest if not split else manifest.where(split=split)
    if not len(studies):
        there = sorted({s.split for s in manifest if s.split})
        has = (
            f"it has {', '.join(there)}"
            if there
            else "it is not split; run `radalign data split`, or give --split all"
        )
        raise EvaluationError(f"The manifest has no studies in the split {split!r}; {has}.")
    return studies


def _systems(plan: Plan) -> dict[str, Any]:
    from radalign.systems.base import load

    first = load(plan.run, plan.device)
    systems: dict[str, Any] = {first.recipe.name: first}
    for baseline in plan.baselines:
        other = unadapted(first) if baseline == UNADAPTED else load(baseline, plan.device)
        name = UNADAPTED if baseline == UNADAPTED else other.recipe.name
        systems[name if name not in systems else f"{name} ({Path(baseline).name})"] = other
    return systems


def _embedded(
    systems: Mapping[str, Any],
    studies: Manifest,
    watch: Stopwatch,
    progress: Progress | None,
    reports: bool = True,
) -> dict[str, StudyEmbeddings]:
    named = {name: embed(system, studies, progress, reports) for name, system in systems.items()}
    watch.step("embed")
    return named


def _retrieval(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, manifest: Manifest,
    watch: Stopwatch, progress: Progress | None,
) -> Result:  # fmt: skip
    named = _embedded(systems, studies, watch, progress)
    settings = RetrievalSettings(
        labels=plan.labels,
        exclude_own_report=plan.exclude_own_report,
        resamples=plan.resamples,
        seed=plan.seed,
    )
    result = evaluate_retrieval(named, settings, progress)
    watch.step("measure")
    return result


def _zero_shot(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, manifest: Manifest,
    watch: Stopwatch, progress: Progress | None,
) -> Result:  # fmt: skip
    prompts = load_prompts(plan.prompts)
    if not prompts.findings:
        raise EvaluationError(
            f"{plan.prompts!r} holds classes, not findings; choose a set with [[finding]] tables."
        )
    named = _embedded(systems, studies, watch, progress, reports=False)
    validate = manifest.where(split="validate")
    tune = plan.split == "test" and len(validate) > 0
    tuning = _embedded(systems, validate, watch, progress, reports=False) if tune else {}
    given = {n: prompted(systems[n], named[n], prompts, tuning.get(n)) for n in systems}
    watch.step("embed")
    settings = ZeroShotSettings(Pooling(plan.pooling) if plan.pooling else None, plan.resamples, plan.seed)
    result = evaluate_zero_shot(given, prompts, settings)
    watch.step("measure")
    return result


TASKS: dict[str, Callable[..., Result]] = {"retrieval": _retrieval, "zero-shot": _zero_shot}
