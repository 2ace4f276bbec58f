"""Zero-shot classification: does the study lie closer to "present" than to "absent" sentences?

    image [N, E] ─┬─ cosine to pooled present prompts ─┐
                  └─ cosine to pooled absent prompts ──┴─ difference = score ──> AUC, AUPRC per finding

With validation studies at hand, a threshold and a temperature are chosen there, and F1, MCC, accuracy and ECE
are reported too; never with a threshold from the reported studies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate import metrics
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.calibration import expected_calibration_error, fit_temperature, reliability
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings, same_studies
from radalign.evaluate.findings import Prompted, finding_scores, finding_truth, pair_cosines
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.prompt_sets import FindingPrompts, PromptSet
from radalign.evaluate.results import Measure, Result
from radalign.evaluate.statistic import Floats, Statistic, average_of, mean_of, over
from radalign.evaluate.subgroups import subgroup_numbers, subgroups
from radalign.evaluate.thresholds import best_threshold

REVERSED_BELOW = 0.4
TASK = "zero-shot"


@dataclass(frozen=True)
class ZeroShotSettings:
    """What decides the numbers.

    Args:
        pooling: How prompts are pooled; None takes the prompt set's own way.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.
        least: A finding with fewer present or absent cases than this is left out, and said so.
    """

    pooling: Pooling | None = None
    resamples: int = 1000
    seed: int = 0
    least: int = 2


def evaluate_zero_shot(
    named: Mapping[str, Prompted], prompts: PromptSet, settings: ZeroShotSettings | None = None
) -> Result:
    """AUC and AUPRC of every finding and their means; thresholded metrics where validation studies are given.

    Raises:
        EvaluationError: If no finding has enough present and absent studies.
    """
    settings = settings or ZeroShotSettings()
    pooling = settings.pooling or prompts.pooling
    first = same_studies({name: given.studies for name, given in named.items()})
    usable, notes = _usable(first, prompts, settings.least)
    resamples = Resamples(first.patient_ids, settings.resamples, settings.seed)
    numbers = {(name, TASK): _numbers(given, usable, pooling) for name, given in named.items()}
    measures, gaps = compare(numbers, resamples)
    facts = {
        "pooling": pooling.value, "prompts": prompts.name, "prompts_sha256": prompts.sha256,
        "prompts_source": prompts.source, "studies": len(first), "patients": resamples.patients,
    } | _chosen(named, usable, pooling)  # fmt: skip
    notes += _without_threshold(facts["thresholds"], usable)
    notes += [_reversed(m) for m in measures if m.metric == "AUC" and m.group and m.value < REVERSED_BELOW]
    curves = {"reliability": {name: _reliability(given, usable, pooling) for name, given in named.items()}}
    drawn = {figure: found for figure, found in curves.items() if any(found.values())}
    return Result(TASK, "strict", measures, gaps, asdict(settings) | facts, notes=tuple(notes), curves=drawn)


def _usable(
    studies: StudyEmbeddings, prompts: PromptSet, least: int
) -> tuple[list[tuple[FindingPrompts, NDArray[np.int8]]], list[str]]:
    """Findings with enough cases and their truth, and a sentence about each that was left out."""
    usable, notes = [], []
    for finding in prompts.findings:
        truth = finding_truth(studies.labels, finding.labels)
        present, absent = int((truth == 1).sum()), int((truth == 0).sum())
        if min(present, absent) >= least:
            usable.append((finding, truth))
        else:
            notes.append(f"{finding.name} was left out: {present} studies present, {absent} absent.")
    if not usable:
        raise EvaluationError(
            f"None of the findings of {prompts.name!r} has {least} present and {least} absent studies; "
            "choose prompts whose `labels` are the manifest's."
        )
    return usable, notes


def _numbers(
    given: Prompted, usable: Sequence[tuple[FindingPrompts, NDArray[np.int8]]], pooling: Pooling
) -> dict[Name, Number]:
    by_metric: dict[str, dict[str, Number]] = {}
    for finding, truth in usable:
        for metric, number in _finding_numbers(given, finding, truth, pooling).items():
            by_metric.setdefault(metric, {})[finding.name] = number
    found: dict[Name, Number] = {}
    for metric, numbers in by_metric.items():
        found[f"mean {metric}", ""] = _mean_over(list(numbers.values()))
        found |= {(metric, name): number for name, number in numbers.items()}
    return found | _by_subgroup(given, usable, pooling)


def _by_subgroup(
    given: Prompted, usable: Sequence[tuple[FindingPrompts, NDArray[np.int8]]], pooling: Pooling
) -> dict[Name, Number]:
    """Mean AUC in every subgroup, over the findings that have both answers there."""
    scores = {f.name: finding_scores(given, f.name, pooling) for f, _ in usable}

    def aucs(members: NDArray[np.bool_]) -> list[Statistic]:
        return [_auc(scores[f.name], truth, members) for f, truth in usable]

    return subgroup_numbers("mean AUC", aucs, subgroups(given.studies.groups))


def _auc(scores: Floats, truth: NDArray[np.int8], members: NDArray[np.bool_]) -> Statistic:
    known = np.flatnonzero((truth >= 0) & members)
    if not len(known):
        return mean_of(np.full(len(truth), np.nan))
    return over(known, metrics.auc(scores[known], truth[known] == 1), len(truth))


def _finding_numbers(
    given: Prompted, finding: FindingPrompts, truth: NDArray[np.int8], pooling: Pooling
) -> dict[str, Number]:
    known = np.flatnonzero(truth >= 0)
    scores, present = finding_scores(given, finding.name, pooling)[known], truth[known] == 1
    found = {
        "AUC": Number(metrics.auc(scores, present), 0.5),
        "AUPRC": Number(metrics.average_precision(scores, present), float(present.mean())),
    }
    chosen = _tuned(given, finding, pooling)
    if chosen is not None:
        threshold, temperature = chosen
        guess = scores > threshold
        found |= {
            "F1": Number(metrics.f1(guess, present)),
            "MCC": Number(metrics.mcc(guess, present), 0.0),
            "accuracy": Number(metrics.accuracy(guess, present)),
            "ECE": Number(expected_calibration_error(_sigmoid(scores / temperature), present)),
        }
    return {name: Number(over(known, n.statistic, len(truth)), n.chance) for name, n in found.items()}


def _tuned(given: Prompted, finding: FindingPrompts, pooling: Pooling) -> tuple[float, float] | None:
    """Threshold and temperature from the validation studies, None when they cannot give them."""
    if given.tuning is None:
        return None
    truth = finding_truth(given.tuning.labels, finding.labels)
    known = truth >= 0
    present = truth[known] == 1
    if not present.any() or present.all():
        return None
    cosines = pair_cosines(given, finding.name, pooling, tuning=True)[known]
    scores = cosines[:, 0] - cosines[:, 1]
    return best_threshold(scores, present), fit_temperature(cosines, np.where(present, 0, 1))


def _chosen(
    named: Mapping[str, Prompted], usable: Sequence[tuple[FindingPrompts, NDArray[np.int8]]], pooling: Pooling
) -> dict[str, Any]:
    """Thresholds and temperatures by system and finding, of the systems that have validation studies."""
    found: dict[str, Any] = {"thresholds": {}, "temperatures": {}}
    for name, given in named.items():
        if given.tuning is None:
            continue
        each = {finding.name: _tuned(given, finding, pooling) for finding, _ in usable}
        known = {finding: chosen for finding, chosen in each.items() if chosen is not None}
        found["thresholds"][name] = {finding: threshold for finding, (threshold, _) in known.items()}
        found["temperatures"][name] = {finding: temperature for finding, (_, temperature) in known.items()}
    return found


def _without_threshold(
    thresholds: Mapping[str, Mapping[str, float]],
    usable: Sequence[tuple[FindingPrompts, NDArray[np.int8]]],
) -> list[str]:
    """A sentence on findings that the means of thresholded metrics leave out; one if all systems agree."""
    systems: dict[str, list[str]] = {}
    for system, own in thresholds.items():
        missing = ", ".join(finding.name for finding, _ in usable if finding.name not in own)
        systems.setdefault(missing, []).append(system)
    return [
        f"{'' if len(systems) == 1 else ', '.join(names) + ': '}The validation studies do not show both "
        f"present and absent of {missing}, so there is no threshold: F1, MCC, accuracy and ECE and their "
        "means leave that out."
        for missing, names in systems.items()
        if missing
    ]


def _reliability(
    given: Prompted, usable: Sequence[tuple[FindingPrompts, NDArray[np.int8]]], pooling: Pooling
) -> dict[str, dict[str, list[float]]]:
    """Per finding, the calibrated probabilities binned; what could not be calibrated is left out."""
    found = {}
    for finding, truth in usable:
        chosen = _tuned(given, finding, pooling)
        if chosen is not None:
            known = truth >= 0
            probabilities = _sigmoid(finding_scores(given, finding.name, pooling)[known] / chosen[1])
            curve = reliability(probabilities, truth[known] == 1)
            found[finding.name] = {name: values.tolist() for name, values in vars(curve).items()}
    return found


def _sigmoid(logits: Floats) -> Floats:
    probabilities: Floats = (1 + np.tanh(logits / 2)) / 2  # exp would overflow for very sure systems
    return probabilities


def _mean_over(numbers: Sequence[Number]) -> Number:
    expected = [n.chance for n in numbers]
    known = [c for c in expected if c is not None]
    chance = float(np.mean(known)) if len(known) == len(expected) else None
    return Number(average_of([n.statistic for n in numbers]), chance)


def _reversed(measure: Measure) -> str:
    return (
        f"{measure.system}: the AUC of {measure.group} is {measure.value:.2f}, below {REVERSED_BELOW}; "
        "its label or its prompts may be reversed."
    )
