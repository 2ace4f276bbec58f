"""The evaluations that work on any manifest: retrieval, zero-shot, space, probes of facts, learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings, embed, only_groups
from radalign.evaluate.findings import prompt_texts, prompted
from radalign.evaluate.fine_tune import FineTuneSettings
from radalign.evaluate.learning import learn_from_labels
from radalign.evaluate.local_similarity import with_local
from radalign.evaluate.own_classes import need_own_classes, own_classes_note, with_own_classes
from radalign.evaluate.plan import Plan
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.probing import ProbeSettings
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.provenance import Stopwatch
from radalign.evaluate.results import Result
from radalign.evaluate.retrieval import (
    RetrievalSettings,
    Similarity,
    evaluate_retrieval,
    frequent_labels,
    known_labels,
)
from radalign.evaluate.space import evaluate_space
from radalign.evaluate.zero_shot import ZeroShotSettings, evaluate_zero_shot
from radalign.study import Manifest

OWN_PROMPTS = "chest-findings"


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


def _embedded(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, watch: Stopwatch, progress: Progress | None,
    reports: bool = True,
) -> dict[str, StudyEmbeddings]:  # fmt: skip
    named = {name: embed(system, studies, progress, reports) for name, system in systems.items()}
    watch.step("embed")
    return {name: only_groups(given, plan.subgroups) for name, given in named.items()}


def _retrieval(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, manifest: Manifest,
    watch: Stopwatch, progress: Progress | None,
) -> Result:  # fmt: skip
    # Before the embedding, which may take long.
    known_labels(plan.labels, {name for study in manifest for name in study.labels})
    named = _embedded(plan, systems, studies, watch, progress)
    if plan.similarity != "global":
        named = {name: with_local(systems[name], given, studies, progress) for name, given in named.items()}
        watch.step("local similarity")
    settings = RetrievalSettings(
        labels=plan.labels,
        exclude_own_report=plan.exclude_own_report,
        similarity=cast("Similarity", plan.similarity),
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
    prompts = load_prompts(plan.prompts or OWN_PROMPTS)
    if not prompts.findings:
        raise EvaluationError(f"{plan.prompts!r} holds no findings; choose a set with [[finding]] tables.")
    if plan.own_classes:
        need_own_classes(systems)
    named = _embedded(plan, systems, studies, watch, progress, reports=False)
    validate = manifest.where(split="validate")
    tune = plan.split == "test" and len(validate) > 0
    tuning = _embedded(plan, systems, validate, watch, progress, reports=False) if tune else {}
    if plan.similarity != "global":
        texts = prompt_texts(prompts)
        named, tuning = (
            {n: with_local(systems[n], given, manifest, progress, texts) for n, given in part.items()}
            for part in (named, tuning)
        )
        watch.step("local similarity")
    notes: tuple[str, ...] = ()
    if plan.own_classes:
        named, tuning = (
            {n: with_own_classes(systems[n], given, manifest, prompts, progress) for n, given in part.items()}
            for part in (named, tuning)
        )
        notes = tuple(filter(None, (own_classes_note(n, systems[n], prompts) for n in systems)))
    given = {n: prompted(systems[n], named[n], prompts, tuning.get(n), plan.similarity) for n in systems}
    watch.step("embed")
    settings = ZeroShotSettings(Pooling(plan.pooling) if plan.pooling else None, plan.resamples, plan.seed)
    result = evaluate_zero_shot(given, prompts, settings)
    watch.step("measure")
    facts = dict(result.settings) | {"similarity": plan.similarity}
    return replace(result, settings=facts, notes=(*result.notes, *notes))


def _space(
    plan: Plan, systems: Mapping[str, Any], studies: Manifest, manifest: Manifest,
    watch: Stopwatch, progress: Progress | None,
) -> Result:  # fmt: skip
    result = evaluate_space(_embedded(plan, systems, studies, watch, progress), plan.resamples, plan.seed)
    watch.step("measure")
    return result


def _learn(
    plan: Plan,
    systems: Mapping[str, Any],
    studies: Manifest,
    manifest: Manifest,
    watch: Stopwatch,
    progress: Progress | None,
) -> Result:
    known_labels(plan.labels, {name for study in manifest for name in study.labels})
    labels = plan.labels or frequent_labels([frozenset(s.positives) for s in manifest])
    settings = ProbeSettings(labels, resamples=plan.resamples, seed=plan.seed)
    tune = FineTuneSettings(seed=plan.seed) if plan.task == "fine-tune" else None
    result = learn_from_labels(systems, manifest, settings, tune, progress)
    watch.step("learn")
    return result


def _sensitivity(*given: Any) -> Result:
    """Imported when it is asked for: it draws studies, with all that this needs."""
    from radalign.evaluate.probe_tasks import sensitivity_task

    return sensitivity_task(*given)


def _report_edits(*given: Any) -> Result:
    """Imported with its neighbour."""
    from radalign.evaluate.probe_tasks import report_edits_task

    return report_edits_task(*given)


TASKS: dict[str, Callable[..., Result]] = {
    "retrieval": _retrieval,
    "zero-shot": _zero_shot,
    "space": _space,
    "sensitivity": _sensitivity,
    "report-edits": _report_edits,
    "probe": _learn,
    "fine-tune": _learn,
}
