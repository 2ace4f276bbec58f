"""The two tasks that turn one fact at a time: `sensitivity` on simulated studies, `report-edits` on any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radalign.evaluate.embeddings import EvaluationError, Progress, evaluable
from radalign.evaluate.group_scores import group_scores
from radalign.evaluate.plan import Plan
from radalign.evaluate.probe_images import rendered_pairs
from radalign.evaluate.provenance import Stopwatch
from radalign.evaluate.report_edits import edited_studies, evaluate_edits
from radalign.evaluate.results import Result
from radalign.evaluate.sensitivity import CardSettings, evaluate_sensitivity, groups_of
from radalign.study import Manifest

SIZE_PX = 256


def sensitivity_task(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, manifest: Manifest,
    watch: Stopwatch, progress: Progress | None,
) -> Result:  # fmt: skip
    """Render counterfactual pairs of the studies, score them, make the card."""
    chosen = list(studies)
    size_px = chosen[0].views[0].original_width_px or SIZE_PX  # as the simulation rendered them
    with rendered_pairs(chosen, plan.probes, size_px=size_px, progress=progress) as (pairs, rendered):
        watch.step("render")
        groups = groups_of(pairs)
        named = {
            name: group_scores(system, rendered, groups, plan.similarity, progress)
            for name, system in systems.items()
        }
        watch.step("embed")
    result = evaluate_sensitivity(pairs, named, _settings(plan), _blind(systems))
    watch.step("measure")
    return result


def report_edits_task(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, manifest: Manifest,
    watch: Stopwatch, progress: Progress | None,
) -> Result:  # fmt: skip
    """Edit the reports, score texts as written and edited against the images, count."""
    first = next(iter(systems.values()))
    usable = [{s.id for s in evaluable(studies, system)} for system in systems.values()]
    chosen = [study for study in studies if all(study.id in ids for ids in usable)]
    if not chosen:
        raise EvaluationError("No study has an image that every system takes and a report; check --split.")
    edited = edited_studies(chosen, first.recipe.data.text, plan.seed)
    groups = [study.group for study in edited]
    watch.step("edit")
    named = {
        name: group_scores(system, manifest, groups, plan.similarity, progress)
        for name, system in systems.items()
    }
    watch.step("embed")
    result = evaluate_edits(edited, named, _settings(plan))
    watch.step("measure")
    return result


def _settings(plan: Plan) -> CardSettings:
    return CardSettings(plan.probes, plan.similarity, plan.resamples, plan.seed)


def _blind(systems: Mapping[str, Any]) -> list[str]:
    """The systems without a slot for a prior image."""
    slots = {name: system.recipe.data.slots for name, system in systems.items()}
    return [name for name, own in slots.items() if not any(slot.startswith("prior") for slot in own)]
