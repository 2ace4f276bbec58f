"""A system's sensitivity card: does its score follow the fact that changed, and nothing else?

    two images of one patient that differ in one factor, and the two sentences that tell them apart
      right sentence   of the two sentences, the true one scores higher for the image
      right image      of the two images, the one that the sentence is true of scores higher

Every pair is asked both ways round, so that a system which prefers one of the two sentences (or images)
whatever it is shown scores exactly one half; so does one that cannot see the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.data.phantom.counterfactual import FACTORS
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.group_scores import Group, Scores
from radalign.evaluate.probe_images import Pair
from radalign.evaluate.results import Measure, Result
from radalign.evaluate.statistic import Floats, average_of, mean_of

SENTENCE, IMAGE = "right sentence of two", "right image of two"
EVERY, ALL = "mean of factors", "all edits"
CHANCE = 0.5
ROUNDING = 1e-5
"""Cosines that are no farther apart are the same: one image in two batches differs by up to 1e-6."""


@dataclass(frozen=True)
class CardSettings:
    """What decides the numbers.

    Args:
        probes: Pairs per factor.
        similarity: `global`, `local` or `both`.
        resamples: Bootstrap resamples of patients.
        seed: Of the bootstrap.
    """

    probes: int = 60
    similarity: str = "global"
    resamples: int = 1000
    seed: int = 0


def groups_of(pairs: Sequence[Pair]) -> list[Group]:
    """What a system has to score: the two images against the two sentences."""
    return [Group(pair.ids, pair.sentences) for pair in pairs]


def evaluate_sensitivity(
    pairs: Sequence[Pair], named: Mapping[str, Sequence[Scores]], settings: CardSettings | None = None,
    blind: Sequence[str] = (),
) -> Result:  # fmt: skip
    """The card of every system, with intervals by patient, chance, and gaps of the first one to the others.

    Args:
        pairs: Two versions of a study each.
        named: System to its scores per pair, [2 images, 2 sentences].
        settings: See `CardSettings`.
        blind: Systems that do not take a prior image, for the notes.

    Raises:
        EvaluationError: If there are no pairs.
    """
    if not pairs or not named:
        raise EvaluationError("There is nothing to probe; give simulated studies and at least one system.")
    settings = settings or CardSettings()
    resamples = Resamples([pair.patient_id for pair in pairs], settings.resamples, settings.seed)
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    for name, scores in named.items():
        for task, axis in ((SENTENCE, 1), (IMAGE, 0)):
            numbers[name, task] = by_factor([p.factor for p in pairs], [p.finding for p in pairs],
                                            right_share(np.stack(list(scores)), axis))  # fmt: skip
    measures, gaps = compare(numbers, resamples)
    facts = {
        "probes": settings.probes, "similarity": settings.similarity, "patients": resamples.patients,
        "studies": len({i for pair in pairs for i in pair.ids}), "resamples": settings.resamples,
        "counts": counts([p.factor for p in pairs]),
    }  # fmt: skip
    curves = {"sensitivity": card(measures)}
    return Result("sensitivity", "strict", measures, gaps, facts, notes=_notes(pairs, blind), curves=curves)


def right_share(scores: NDArray[Any], axis: int) -> Floats:
    """Per pair, how often the right one of two wins, ties half: 0, 0.25, ... 1, [N].

    Args:
        scores: [N, 2, 2], image by sentence; the right ones are on the diagonal.
        axis: 1 compares the sentences of an image, 0 the images of a sentence.

    >>> right_share(np.array([[[0.9, 0.1], [0.8, 0.2]]]), axis=1).tolist()  # always the first sentence
    [0.5]
    >>> right_share(np.array([[[0.9, 0.1], [0.8, 0.2]]]), axis=0).tolist()  # both images are told
    [1.0]
    """
    given = np.asarray(scores, dtype=np.float64)
    right = np.diagonal(given, axis1=1, axis2=2)  # [N, 2]
    wrong = np.stack([given[:, 0, 1], given[:, 1, 0]], axis=1)  # by image: the other sentence
    if axis == 0:
        wrong = wrong[:, ::-1]  # by sentence: the other image
    shares: Floats = wins(right, wrong).mean(axis=1)
    return shares


def wins(right: NDArray[Any], wrong: NDArray[Any]) -> Floats:
    """1 where the right one scores higher, 0 where lower, 0.5 where both score the same but for rounding.

    >>> wins(np.array([0.2, 0.1, 0.1]), np.array([0.1, 0.1 + 1e-7, 0.2])).tolist()
    [1.0, 0.5, 0.0]
    """
    ahead = np.asarray(right, np.float64) - np.asarray(wrong, np.float64)
    found: Floats = (np.sign(np.where(np.abs(ahead) > ROUNDING, ahead, 0.0)) + 1) / 2
    return found


def by_factor(
    factors: Sequence[str], findings: Sequence[str], values: Floats, chance: float = CHANCE, last: str = EVERY
) -> dict[Name, Number]:
    """The mean of the values for every factor and for every finding within it, and one number over all.

    Args:
        factors: Of every item.
        findings: Of every item.
        values: Of every item.
        chance: What a system that knows nothing is expected to score.
        last: `EVERY`, the mean of the factors' means, or `ALL`, the mean over items.
    """
    kinds, names = np.array(factors), np.array(findings)
    order = [factor for factor in FACTORS if factor in set(factors)]
    of = {factor: mean_of(np.where(kinds == factor, values, np.nan)) for factor in order}
    found: dict[Name, Number] = {(factor, ""): Number(of[factor], chance) for factor in order}
    found[last, ""] = Number(average_of(list(of.values())) if last == EVERY else mean_of(values), chance)
    for factor in order:
        for finding in sorted(set(names[kinds == factor])):
            here = (kinds == factor) & (names == finding)
            found[factor, str(finding)] = Number(mean_of(np.where(here, values, np.nan)), chance)
    return found


def counts(factors: Sequence[str]) -> dict[str, int]:
    """How many items each factor has, in the order of the card.

    >>> counts(["change", "side", "side"])
    {'side': 2, 'change': 1}
    """
    return {factor: list(factors).count(factor) for factor in FACTORS if factor in factors}


def card(measures: Sequence[Measure]) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """What the figure is drawn from: system, task, factor to value, bounds, n and chance."""
    found: dict[str, dict[str, dict[str, list[float | None]]]] = {}
    for m in measures:
        if not m.group:
            row = [m.value, m.low, m.high, float(m.n), m.chance]
            found.setdefault(m.system, {}).setdefault(m.task, {})[m.metric] = row
    return found


def _notes(pairs: Sequence[Pair], blind: Sequence[str]) -> tuple[str, ...]:
    each = ", ".join(f"{factor} {n}" for factor, n in counts([p.factor for p in pairs]).items())
    notes = [
        f"Pairs of images per factor: {each}; each is asked both ways round, so a fixed preference "
        "scores 50 %."
    ]
    notes += [
        f"{name} takes no prior image, so it cannot see a change: 50 % there by its making." for name in blind
    ]
    return tuple(notes)
