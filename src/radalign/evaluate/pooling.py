"""How several sentences that mean one thing become one score; papers differ, so the choice is an option.

| pooling | who | what |
|---|---|---|
| mean_then_normalise | ALTA, BioViL | mean of the prompts as the head gives them, then unit length |
| normalise_mean_normalise | CLIP, CheXzero | each to unit length, mean, unit length again |
| mean_of_logits | MedCLIP's ensemble | cosine to every prompt, then their mean |
| max_of_logits | GLoRIA | cosine to every prompt, then the largest |
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.statistic import Floats


class Pooling(StrEnum):
    """Ways to pool prompts; see the table above."""

    MEAN_THEN_NORMALISE = "mean_then_normalise"
    NORMALISE_MEAN_NORMALISE = "normalise_mean_normalise"
    MEAN_OF_LOGITS = "mean_of_logits"
    MAX_OF_LOGITS = "max_of_logits"


def class_scores(images: NDArray[Any], prompts: Sequence[NDArray[Any]], pooling: Pooling | str) -> Floats:
    """Score every image against every class.

    Args:
        images: [N, E]; made unit length here.
        prompts: Per class, [M, E] with M >= 1; at whatever length they come, which only
            `mean_then_normalise` heeds.
        pooling: How a class's prompts are pooled.

    Returns:
        Cosines (or their mean or maximum), [N, C].

    Raises:
        ValueError: If a class has no prompt.

    >>> two = np.array([[3.0, 0.0], [0.0, 1.0]])
    >>> [round(float(class_scores(np.array([[1.0, 0.0]]), [two], p)[0, 0]), 4) for p in Pooling]
    [0.9487, 0.7071, 0.5, 1.0]
    """
    if any(not len(p) for p in prompts):
        raise ValueError("A class has no prompt; give every class at least one sentence.")
    z = unit(images)
    return np.stack(
        [_score(z, np.asarray(p, dtype=np.float64), Pooling(pooling)) for p in prompts], axis=1
    )  # [N, C]


def pooled_columns(scores: NDArray[Any], counts: Sequence[int], pooling: Pooling | str) -> Floats:
    """Pool the scores of single prompts into those of classes, where there is no vector to pool.

    Args:
        scores: Of every image for every prompt, [N, T], the prompts class by class.
        counts: Prompts of each class, C numbers that add up to T.
        pooling: `max_of_logits` takes the largest; the three others, which are means, take the mean.

    Returns:
        [N, C].

    >>> pooled_columns(np.array([[1.0, 3.0, 5.0]]), [2, 1], "mean_of_logits").tolist()
    [[2.0, 5.0]]
    """
    pool = np.max if Pooling(pooling) is Pooling.MAX_OF_LOGITS else np.mean
    ends = list(accumulate(counts, initial=0))
    parts = [pool(scores[:, start:stop], axis=1) for start, stop in pairwise(ends)]
    return np.stack(parts, axis=1).astype(np.float64)


def unit(rows: NDArray[Any]) -> Floats:
    """Rows at unit length; a zero row stays zero.

    >>> unit(np.array([[3.0, 4.0]])).tolist()
    [[0.6, 0.8]]
    """
    rows = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Floats = rows / np.where(length > 0, length, 1.0)
    return scaled


def _score(z: Floats, prompts: Floats, pooling: Pooling) -> Floats:
    """Scores of N images against one class, [N]."""
    if pooling is Pooling.MEAN_THEN_NORMALISE:
        return z @ unit(prompts.mean(axis=0))
    if pooling is Pooling.NORMALISE_MEAN_NORMALISE:
        return z @ unit(unit(prompts).mean(axis=0))
    cosines = z @ unit(prompts).T  # [N, M]
    found: Floats = cosines.mean(axis=1) if pooling is Pooling.MEAN_OF_LOGITS else cosines.max(axis=1)
    return found
