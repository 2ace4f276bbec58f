"""Evaluate a trained system on a manifest and write the result: JSON, Markdown table, figure.

run folder ──load──┐
--baseline ──load──┼─ embed the split once per system ─ a task ─> result.json, table.md, plot.png
manifest ──────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from radalign.evaluate.embeddings import EvaluationError, Progress
from radalign.evaluate.figures import reliability_plot, space_plot
from radalign.evaluate.plan import Plan
from radalign.evaluate.plots import interval_plot
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.protocols import PROTOCOLS, find_protocol
from radalign.evaluate.protocols.protocol import Options
from radalign.evaluate.provenance import Stopwatch, data_sha256, provenance
from radalign.evaluate.readable import ask_of_readable, without
from radalign.evaluate.results import Result
from radalign.evaluate.subgroup_figure import subgroup_plot
from radalign.evaluate.tables import markdown
from radalign.evaluate.tasks import TASKS, chosen_split
from radalign.evaluate.unadapted import unadapted
from radalign.files import whole_file
from radalign.study import Manifest

UNADAPTED = "unadapted"


def _card_plot(curves: Mapping[str, Any], path: Path) -> Path:
    """The sensitivity card; what draws studies is imported for it alone, as for its task."""
    from radalign.evaluate.card_figure import card_plot

    return card_plot(curves, path)


FIGURES: dict[str, Callable[..., Path]] = {
    "reliability": reliability_plot,
    "space": space_plot,
    "sensitivity": _card_plot,
}


def evaluate_run(plan: Plan, progress: Progress | None = None) -> Result:
    """Load the systems, embed the studies, and evaluate.

    Raises:
        EvaluationError: If the task is unknown or the split is empty.
        ManifestError: If the manifest cannot be read.
    """
    if plan.task not in (*TASKS, *PROTOCOLS):
        raise EvaluationError(
            f"There is no task {plan.task!r}; choose one of {', '.join((*TASKS, *PROTOCOLS))}."
        )
    watch = Stopwatch()
    return _protocol(plan, watch, progress) if plan.task in PROTOCOLS else _on_manifest(plan, watch, progress)


def _on_manifest(plan: Plan, watch: Stopwatch, progress: Progress | None) -> Result:
    manifest = Manifest.read(plan.data)
    studies = chosen_split(manifest, plan.reported_split)
    systems = _systems(plan)
    watch.step("load")

    def ask(held: Manifest) -> Result:
        asked = chosen_split(held, plan.reported_split)
        return TASKS[plan.task](plan, systems, asked, held, watch, progress)

    result, gone = ask_of_readable(ask, manifest, studies, systems.values(), progress)
    result = without(result, gone)
    return _signed(result, plan, systems, studies.sha256(), watch)


def _protocol(plan: Plan, watch: Stopwatch, progress: Progress | None) -> Result:
    protocol = find_protocol(plan.task)
    if not plan.data.exists():
        raise EvaluationError(f"There is nothing at {plan.data}; {protocol.name} needs: {protocol.layout}")
    systems = _systems(plan)
    watch.step("load")
    pooling = Pooling(plan.pooling) if plan.pooling else None
    options = Options(
        plan.mode, pooling, plan.resamples, plan.seed, progress, plan.fine_tune, plan.prompts,
        plan.similarity, plan.subgroups,
    )  # fmt: skip
    result = protocol.run(systems, plan.data, options)
    watch.step("evaluate")
    return _signed(result, plan, systems, data_sha256(plan.data), watch)


def _signed(result: Result, plan: Plan, systems: Mapping[str, Any], content: str, watch: Stopwatch) -> Result:
    made = provenance(systems, content, {"bootstrap": plan.seed}, watch.times_s, plan.device)
    asked = asdict(plan) | {"data": str(plan.data)}
    own = {} if plan.task in PROTOCOLS else {"split": plan.reported_split}  # a protocol has lists of its own
    return replace(result, made_by=made | {"plan": asked}, settings=dict(result.settings) | own)


def write_result(result: Result, folder: str | Path) -> dict[str, Path]:
    """Write `result.json`, `table.md`, `plot.png` and the figures of the task into a folder."""
    folder = Path(folder)
    files = {name: folder / name for name in ("result.json", "table.md", "plot.png")}
    result.write(files["result.json"])
    with whole_file(files["table.md"]) as partial:
        partial.write_text(markdown(result) + "\n", encoding="utf-8")
    interval_plot(result, files["plot.png"])
    for name, draw in FIGURES.items():
        if result.curves.get(name):
            files[f"{name}.png"] = draw(result.curves[name], folder / f"{name}.png")
    subgroups = subgroup_plot(result, folder / "subgroups.png")
    if subgroups is not None:
        files["subgroups.png"] = subgroups
    return files


def _systems(plan: Plan) -> dict[str, Any]:
    from radalign.systems.base import load

    ends = distinguishing_ends([plan.run, *plan.baselines])
    first = load(plan.run, plan.device)
    systems: dict[str, Any] = {first.recipe.name: first}
    for baseline, end in zip(plan.baselines, ends[1:], strict=True):
        other = unadapted(first) if baseline == UNADAPTED else load(baseline, plan.device)
        name = UNADAPTED if baseline == UNADAPTED else other.recipe.name
        systems[name if name not in systems else f"{name} ({end})"] = other
    if plan.allow_transductive:
        _let_see_batches(systems)
    return systems


def _let_see_batches(systems: Mapping[str, Any]) -> None:
    """Turn on the switch of the systems that have it; where none does, the option would do nothing."""
    switched = [system for system in systems.values() if hasattr(system, "allow_transductive")]
    if not switched:
        raise EvaluationError(
            f"No system here ({', '.join(systems)}) heeds --allow-transductive, which is for NEARL-CLIP; "
            "leave it out."
        )
    for system in switched:
        system.allow_transductive = True


def distinguishing_ends(paths: Sequence[str]) -> list[str]:
    """The shortest end of every path that no other path has, so that no system hides another in a table.

    Raises:
        EvaluationError: If two are the same.

    >>> distinguishing_ends(["a/run", "b/run", "c"])
    ['a/run', 'b/run', 'c']
    """
    parts = [Path(path).absolute().resolve().parts for path in paths]
    twice = [path for i, path in enumerate(paths) if parts[i] in parts[:i]]
    if twice:
        raise EvaluationError(
            f"{twice[0]} is named twice; give every system once, as the run or a --baseline."
        )

    def end(own: tuple[str, ...], others: list[tuple[str, ...]]) -> str:
        for length in range(1, len(own) + 1):
            if all(own[-length:] != other[-length:] for other in others):
                return "/".join(own[-length:])
        return "/".join(own)

    return [end(own, parts[:i] + parts[i + 1 :]) for i, own in enumerate(parts)]
