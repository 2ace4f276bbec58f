"""What the joint space looks like: collapse, hubness, modality gap.

collapse      cosines of pairs and of strangers, effective rank, spread (objectives.collapse)
hubness       how unevenly reports turn up among the nearest of all images
modality gap  how far the middle of the images lies from the middle of the reports
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings, same_studies
from radalign.evaluate.order import top_k
from radalign.evaluate.results import Measure, Result
from radalign.evaluate.statistic import Floats, mean_of
from radalign.objectives.collapse import measure_collapse

TASK = "space"
NEAREST = 10
SHOWN_POINTS = 400
BINS = 40


def evaluate_space(named: Mapping[str, StudyEmbeddings], resamples: int = 1000, seed: int = 0) -> Result:
    """Measure every system's space on the same studies.

    Raises:
        EvaluationError: If reports were not embedded.
    """
    first = same_studies(named)
    draws = Resamples(first.patient_ids, resamples, seed)
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    plain: list[Measure] = []
    notes, curves = [], {}
    for name, given in named.items():
        if given.text is None:
            raise EvaluationError(
                "The space needs the reports' embeddings; embed the studies with reports=True."
            )
        numbers[name, TASK] = _cosines(given.image, given.text)
        health = measure_collapse(torch.from_numpy(given.image), torch.from_numpy(given.text))
        hubs = occurrences(given.image, given.text)
        single = {
            "effective rank": health.effective_rank,
            "spread": health.spread,
            "modality gap": gap(given),
        }
        single |= {"hubness (skewness)": skewness(hubs), "reports never found": float((hubs == 0).mean())}
        plain += [Measure(name, TASK, metric, value, n=len(given)) for metric, value in single.items()]
        notes.append(f"{name}: {health.sentence()}")
        curves[name] = _curves(given, hubs) | single
    measures, gaps = compare(numbers, draws)
    facts = {"studies": len(first), "patients": draws.patients, "nearest": NEAREST}
    return Result(
        TASK, "strict", (*measures, *plain), gaps, facts, notes=tuple(notes), curves={"space": curves}
    )


def occurrences(queries: NDArray[Any], candidates: NDArray[Any], k: int = NEAREST) -> NDArray[np.int64]:
    """How often each candidate is among the k nearest of a query, [C]; k on average when it is fair.

    References:
        Radovanović et al., Hubs in space, JMLR 2010 (k-occurrence).

    >>> occurrences(np.eye(2), np.array([[1.0, 1.0], [0.0, -1.0]]), k=1).tolist()
    [2, 0]
    """
    found = np.zeros(len(candidates), dtype=np.int64)
    for start in range(0, len(queries), 256):
        nearest = top_k(queries[start : start + 256] @ candidates.T, k)
        found += np.bincount(nearest.ravel(), minlength=len(candidates))
    return found


def skewness(counts: NDArray[Any]) -> float:
    """Third standardised moment; 0 for constant counts, large when a few candidates are hubs.

    >>> skewness(np.array([0, 0, 0, 4])).__round__(4)
    1.1547
    """
    centred = np.asarray(counts, dtype=np.float64) - np.mean(counts)
    deviation = centred.std()
    return float((centred**3).mean() / deviation**3) if deviation > 0 else 0.0


def gap(given: StudyEmbeddings) -> float:
    """Distance between the mean image and the mean report embedding, 0..2.

    References:
        Liang et al., Mind the gap, NeurIPS 2022, section 2.
    """
    if given.text is None:
        return float("nan")
    return float(np.linalg.norm(given.image.mean(axis=0) - given.text.mean(axis=0)))


def principal_plane(images: NDArray[Any], texts: NDArray[Any]) -> tuple[Floats, Floats]:
    """Both modalities on the two directions of largest joint variance, [N, 2] each."""
    both = np.concatenate([images, texts]).astype(np.float64)
    middle = both.mean(axis=0)
    _, _, directions = np.linalg.svd(both - middle, full_matrices=False)
    return (images - middle) @ directions[:2].T, (texts - middle) @ directions[:2].T


def _cosines(images: NDArray[Any], texts: NDArray[Any]) -> dict[Name, Number]:
    own = np.einsum("ne,ne->n", images, texts).astype(np.float64)
    strangers = (images @ texts.sum(axis=0) - own) / (len(images) - 1)  # mean cosine to all other reports
    return {
        ("cosine to own report", ""): Number(mean_of(own)),
        ("cosine to other reports", ""): Number(mean_of(strangers)),
    }


def _curves(given: StudyEmbeddings, hubs: NDArray[np.int64]) -> dict[str, Any]:
    """What the figure needs: histograms of cosines, counts of occurrences, points on the principal plane."""
    texts = given.text if given.text is not None else given.image
    shown = np.random.default_rng(0).permutation(len(given))[:SHOWN_POINTS]
    scores = given.image[shown] @ texts[shown].T
    edges = np.linspace(-1, 1, BINS + 1)
    own, others = np.diagonal(scores), scores[~np.eye(len(shown), dtype=bool)]
    images, reports = principal_plane(given.image[shown], texts[shown])
    return {
        "edges": edges.tolist(),
        "own": np.histogram(own, edges)[0].tolist(),
        "others": np.histogram(others, edges)[0].tolist(),
        "occurrences": np.bincount(hubs).tolist(),
        "images": images.round(4).tolist(),
        "reports": reports.round(4).tolist(),
    }
