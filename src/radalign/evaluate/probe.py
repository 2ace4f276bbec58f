"""Linear probes: how much of a finding can be read from frozen embeddings, with all or few labelled studies.

embeddings [N, E] ─ standardise ─ logits = z W + b ─ L-BFGS on cross-entropy + penalty / 2 * |W|^2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from radalign.evaluate.statistic import Floats

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
_STEPS = 500


@dataclass(frozen=True)
class LinearProbe:
    """A linear map on standardised embeddings.

    Args:
        mean: Of the training embeddings, [E].
        scale: Their standard deviation, [E].
        weight: [E, C].
        bias: [C].
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats

    def logits(self, z: NDArray[Any]) -> Floats:
        """Scores of embeddings [N, E]: [N, C]."""
        found: Floats = ((np.asarray(z, dtype=np.float64) - self.mean) / self.scale) @ self.weight + self.bias
        return found


def fit_labels(z: NDArray[Any], labels: NDArray[Any], penalty: float = 10.0) -> LinearProbe:
    """Fit one yes-or-no answer per label.

    Args:
        z: Embeddings, [N, E].
        labels: 1 present, 0 absent, anything else unknown and not looked at, [N, C]; a label that is never
            present, or never absent, gets the constant 0.
        penalty: Of the squared weights, against a cross-entropy summed over studies.

    References:
        Equals scikit-learn's LogisticRegression(C=1/penalty) per label on standardised features.
    """
    both = (labels == 1).any(axis=0) & (labels == 0).any(axis=0)  # a label with one answer teaches nothing
    known = torch.from_numpy(np.isin(labels, (0, 1)) & both)
    target = torch.from_numpy(np.where(known, labels, 0).astype(np.float64))

    def loss(logits: torch.Tensor) -> torch.Tensor:
        each = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return each[known].sum()

    return _fit(z, labels.shape[1], loss, penalty)


def fit_classes(z: NDArray[Any], classes: NDArray[Any], count: int, penalty: float = 10.0) -> LinearProbe:
    """Fit one answer out of `count` classes.

    Args:
        z: Embeddings, [N, E].
        classes: Class index, [N].
        count: C.
        penalty: Of the squared weights.

    References:
        Equals scikit-learn's multinomial LogisticRegression(C=1/penalty) on standardised features.
    """
    target = torch.from_numpy(np.asarray(classes, dtype=np.int64))

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, target, reduction="sum")

    return _fit(z, count, loss, penalty)


def some_patients(patient_ids: Sequence[str], share: float, seed: int) -> NDArray[np.int64]:
    """The studies of a seeded share of the patients; a smaller share lies within a larger one's.

    Args:
        patient_ids: One per study.
        share: In 0..1; at least one patient is taken.
        seed: Of the order of patients.

    >>> len(some_patients(["a", "b", "c", "d"], 0.5, seed=0))
    2
    """
    patients = list(dict.fromkeys(patient_ids))
    order = np.random.default_rng(seed).permutation(len(patients))
    taken = {patients[i] for i in order[: max(1, round(share * len(patients)))]}
    return np.flatnonzero([p in taken for p in patient_ids])


def _fit(z: NDArray[Any], count: int, loss: Any, penalty: float) -> LinearProbe:
    z = np.asarray(z, dtype=np.float64)
    mean, scale = z.mean(axis=0), z.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = torch.from_numpy((z - mean) / scale)
    weight = torch.zeros(x.shape[1], count, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_STEPS,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        history_size=20,
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        total: torch.Tensor = (loss(x @ weight + bias) + penalty / 2 * weight.square().sum()) / len(x)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return LinearProbe(mean, scale, weight.detach().numpy(), bias.detach().numpy())
