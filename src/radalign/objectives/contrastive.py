"""Symmetric InfoNCE between studies and reports, with soft targets when several reports are right."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(logits: Tensor, same: Tensor | None = None) -> Tensor:
    """Cross-entropy of each row against the diagonal, or against a spread-out target.

    Args:
        logits: [B, B]; row i scores query i against every candidate.
        same: [B, B] agreement in 0..1 with ones on the diagonal; row i, divided by its sum, is the target.
            None
            is the identity.

    Returns:
        Mean over rows, in nats.

    >>> round(soft_cross_entropy(torch.eye(2)).item(), 4)    # ln(1 + 1/e)
    0.3133
    """
    if same is None:
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    return F.cross_entropy(logits, same / same.sum(1, keepdim=True))


def symmetric_cross_entropy(logits: Tensor, same: Tensor | None = None) -> Tensor:
    """Mean of both directions: rows (image to text) and columns (text to image).

    Args:
        logits: [B, B], images in rows, reports in columns.
        same: [B, B] agreement, or None for one right answer per row.

    Returns:
        Half the sum of both directions, in nats.

    >>> round(symmetric_cross_entropy(torch.eye(2)).item(), 4)
    0.3133
    """
    transposed = None if same is None else same.T
    return 0.5 * (soft_cross_entropy(logits, same) + soft_cross_entropy(logits.T, transposed))


def global_contrastive(z_img: Tensor, z_txt: Tensor, log_scale: Tensor, same: Tensor | None = None) -> Tensor:
    """Global InfoNCE over a batch: logits are exp(log_scale) times the cosine.

    Plain InfoNCE treats every other report of the batch as wrong, yet "no acute disease" fits a third of
    them; row i
    of `same` spreads the target over the reports that say what report i says.

    Args:
        z_img: [B, E] L2-normalised study embeddings.
        z_txt: [B, E] L2-normalised text embeddings; row i belongs to study i.
        log_scale: Scalar log of the inverse temperature, ln(1/0.07) = 2.659 at the start.
        same: [B, B] agreement in 0..1, or None.

    Returns:
        Loss in nats.

    References:
        van den Oord et al. 2018, arXiv:1807.03748, eq. 4 (InfoNCE). ALTA, arXiv:2506.08990 (global
        objective).

    >>> z = torch.eye(2)
    >>> round(global_contrastive(z, z, torch.tensor(0.0)).item(), 4)
    0.3133
    """
    logits = log_scale.exp() * (z_img.float() @ z_txt.float().T)  # [B, B]
    return symmetric_cross_entropy(logits, same)
