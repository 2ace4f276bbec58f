"""The linear-probe evaluation: AUC per label with 1, 10 and 100 % of the training patients.

    train share ─ fit per penalty ─ validate picks the penalty ─ test: AUC per label, interval by patient

Each share below 100 % is drawn several times; the reported score is the mean of the seeds' AUCs on the same
resamples, so its interval covers the test patients and `SD` the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate import metrics
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings
from radalign.evaluate.findings import finding_truth
from radalign.evaluate.probe import PENALTIES, fit_labels, some_patients
from radalign.evaluate.results import DEVIATION, Measure, Result
from radalign.evaluate.statistic import Floats, Statistic, average_of, mean_of, over


@dataclass(frozen=True)
class ProbeSettings:
    """What decides the numbers.

    Args:
        labels: The probed labels.
        shares: Of the training patients.
        seeds: Draws of a share; 100 % is fitted once.
        by: Whether a share is of the training patients or, as papers do, of the images.
        penalties: Tried; the best mean AUC on the validation studies decides.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.
    """

    labels: tuple[str, ...]
    shares: tuple[float, ...] = (0.01, 0.1, 1.0)
    seeds: tuple[int, ...] = (0, 1, 2)
    by: Literal["patient", "image"] = "patient"
    penalties: tuple[float, ...] = PENALTIES
    resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Parts:
    """One system's embeddings of the three splits."""

    train: StudyEmbeddings
    validate: StudyEmbeddings
    test: StudyEmbeddings


Learner = Callable[[NDArray[np.int64]], Floats]
"""From the training studies that may be learnt from (their indices) to the test studies' logits, [N, C]."""


def evaluate_probe(
    named: Mapping[str, Parts], settings: ProbeSettings, progress: Progress | None = None
) -> Result:
    """Probe every system on the same studies.

    Raises:
        EvaluationError: If a patient is in two splits, or no label has both answers in the test split.
    """
    learners = {name: probe_learner(parts, settings) for name, parts in named.items()}
    return evaluate_learners("linear probe", learners, next(iter(named.values())), settings, progress)


def evaluate_learners(
    method: str, learners: Mapping[str, Learner], parts: Parts, settings: ProbeSettings,
    progress: Progress | None = None,
) -> Result:  # fmt: skip
    """Let every system learn from every share of the training studies, and test it.

    Args:
        method: `linear probe`, `fine-tuning`, ...
        learners: Name to how that system learns.
        parts: Who is in which split, and their labels; the same for all.
        settings: Labels, shares, draws.
        progress: Wraps the loop.
    """
    _check_disjoint(parts)
    cells = [(name, share) for name in learners for share in settings.shares]
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    spread: list[Measure] = []
    for name, share in progress(cells, "Learning") if progress else cells:
        task = f"{method}, {100 * share:g} %"
        draws = [learners[name](taken) for taken in _draws(parts.train, share, settings)]
        numbers[name, task] = _numbers(parts.test, draws, settings.labels)
        spread.append(_spread(name, task, parts.test, draws, settings.labels))
    measures, gaps = compare(numbers, Resamples(parts.test.patient_ids, settings.resamples, settings.seed))
    sizes = {split: len(getattr(parts, split)) for split in ("train", "validate", "test")}
    return Result(method, "strict", (*measures, *spread), gaps, asdict(settings) | {"studies": sizes})


def probe_learner(parts: Parts, settings: ProbeSettings) -> Learner:
    """A linear probe on frozen embeddings; the validation studies pick its penalty."""
    truth, held = label_table(parts.train, settings.labels), label_table(parts.validate, settings.labels)

    def learn(taken: NDArray[np.int64]) -> Floats:
        fits = [fit_labels(parts.train.image[taken], truth[taken], penalty) for penalty in settings.penalties]
        quality = [mean_auc(fit.logits(parts.validate.image), held).value for fit in fits]
        best = int(np.nanargmax(quality)) if np.isfinite(quality).any() else len(fits) // 2
        return fits[best].logits(parts.test.image)

    return learn


def _draws(train: StudyEmbeddings, share: float, settings: ProbeSettings) -> list[NDArray[np.int64]]:
    """The training studies of every draw of a share."""
    seeds: Sequence[int] = settings.seeds if share < 1 else settings.seeds[:1]
    owners = train.patient_ids if settings.by == "patient" else train.study_ids
    return [some_patients(owners, share, seed) for seed in seeds]


def label_table(studies: StudyEmbeddings, labels: Sequence[str]) -> NDArray[np.int8]:
    """1 present, 0 absent, -1 unknown, [N, C]."""
    return np.stack([finding_truth(studies.labels, (label,)) for label in labels], axis=1)  # [N, C]


def _numbers(test: StudyEmbeddings, draws: Sequence[Floats], labels: Sequence[str]) -> dict[Name, Number]:
    truth = label_table(test, labels)
    each = {
        label: average_of([_auc(scores[:, c], truth[:, c]) for scores in draws])
        for c, label in enumerate(labels)
    }
    defined = [statistic for statistic in each.values() if np.isfinite(statistic.value)]
    if not defined:
        raise EvaluationError("No label is both present and absent in the test split; choose other labels.")
    found: dict[Name, Number] = {("mean AUC", ""): Number(average_of(defined), 0.5)}
    return found | {("AUC", label): Number(statistic, 0.5) for label, statistic in each.items()}


def _spread(
    name: str, task: str, test: StudyEmbeddings, draws: Sequence[Floats], labels: Sequence[str]
) -> Measure:
    """Standard deviation of the mean AUC over the draws, 0 for a single draw."""
    truth = label_table(test, labels)
    values = [mean_auc(scores, truth).value for scores in draws]
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Measure(name, task, f"{DEVIATION}mean AUC", deviation, n=len(values))


def mean_auc(scores: Floats, truth: NDArray[np.int8]) -> Statistic:
    """Mean AUC over labels, those without both answers left out.

    Args:
        scores: [N, C].
        truth: 1, 0 or -1 for unknown, [N, C].
    """
    return average_of([_auc(scores[:, c], truth[:, c]) for c in range(truth.shape[1])])


def _auc(scores: Floats, truth: NDArray[np.int8]) -> Statistic:
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        return mean_of(np.full(len(truth), np.nan))
    return over(known, metrics.auc(scores[known], truth[known] == 1), len(truth))


def _check_disjoint(parts: Parts) -> None:
    patients = [set(part.patient_ids) for part in (parts.train, parts.validate, parts.test)]
    if len(set(chain(*patients))) != sum(map(len, patients)):
        raise EvaluationError("A patient is in two splits; split by patient with `radalign data split`.")
