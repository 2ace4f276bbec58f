"""Closed-form alignment of frozen features: a ridge map, and regularised canonical correlation.

Both need one pass over the training studies and no gradient. Canonical correlation is also how a system's
heads can
start: the first step then improves on a good linear map instead of on noise.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class CanonicalMaps(NamedTuple):
    """Two linear maps into one space and the canonical correlations of its dimensions.

    Attributes:
        image: [P, E].
        text: [Q, E].
        correlations: [E], descending, in 0..1.
    """

    image: Tensor
    text: Tensor
    correlations: Tensor


def ridge_map(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """The linear map W that minimises |xW - y|^2 + penalty |W|^2.

    Args:
        x: [N, P] standardised features.
        y: [N, Q] targets.
        penalty: In units of summed (not mean) squares.

    Returns:
        [P, Q], float64.

    >>> ridge_map(torch.tensor([[1.0], [1.0]]), torch.tensor([[2.0], [4.0]]), 1.0).item()  # (2 + 4) / (2 + 1)
    2.0
    """
    x, y = x.double(), y.double()
    gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.float64)
    solution: Tensor = torch.linalg.solve(gram, x.T @ y)
    return solution


def canonical_maps(
    x: Tensor,
    y: Tensor,
    width: int,
    image_penalty: float = 3.0,
    text_penalty: float = 0.1,
    power: float = 1.0,
) -> CanonicalMaps:
    """Regularised canonical correlation analysis, each dimension scaled by its correlation.

    With covariances Sx, Sy and Sxy: `U S V' = (Sx + a)^(-1/2) Sxy (Sy + b)^(-1/2)`; the maps are
    `(Sx + a)^(-1/2) U S^power` and `(Sy + b)^(-1/2) V S^power`. The scaling keeps weakly correlated (noisy)
    dimensions small in the cosine.

    Args:
        x: [N, P] standardised image features.
        y: [N, Q] centred text features.
        width: E, the dimensions to keep.
        image_penalty: a, absolute (features have unit variance).
        text_penalty: b, as a share of the largest eigenvalue of Sy.
        power: Exponent of the correlation in the scaling; 0 is plain canonical correlation.

    Raises:
        ValueError: If `width` is more than either side has, or there are fewer than two studies.

    References:
        Vinod 1976, "Canonical ridge and econometrics of joint production", J. Econometrics 4(2).
    """
    if width > min(x.shape[1], y.shape[1]):
        raise ValueError(
            f"The joint space has {width} dimensions, but the features have {x.shape[1]} and {y.shape[1]}; "
            "choose a smaller `model.embedding_width`."
        )
    if len(x) < 2:
        raise ValueError(
            f"Canonical correlation needs 2 training studies with a view and a report, and there is {len(x)} "
            "(for cross-fitting: outside one of the folds); give more studies or set `model.warm_start=none`."
        )
    x, y = x.double(), y.double()
    sx, sy, sxy = x.T @ x / len(x), y.T @ y / len(x), x.T @ y / len(x)
    wx = _inverse_root(sx, image_penalty)
    wy = _inverse_root(sy, text_penalty * float(torch.linalg.eigvalsh(sy)[-1]))
    u, s, vt = torch.linalg.svd(wx @ sxy @ wy, full_matrices=False)
    u, s, v = u[:, :width], s[:width], vt[:width].T
    return CanonicalMaps(wx @ u * s**power, wy @ v * s**power, s)


def _inverse_root(covariance: Tensor, penalty: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root = (values.clamp(min=0) + penalty).clamp(min=1e-12).rsqrt()
    inverse: Tensor = (vectors * root) @ vectors.T
    return inverse
