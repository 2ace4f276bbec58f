"""The collapse monitor: does the space still tell studies apart?

An attraction-only objective falls monotonically while every embedding moves to one point, and retrieval falls
with it; the loss cannot show that, these four numbers do. A training run judges every validation by them but
the one before its first step: frozen encoders may point all studies in nearly one direction, and what has
not trained cannot have collapsed.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor

Verdict = Literal["fine", "warn", "fail"]


class CollapseError(ValueError):
    """The embeddings have collapsed; the message gives the numbers and says what to change."""


@dataclass(frozen=True)
class Collapse:
    """What the monitor measured on a set of pairs.

    Args:
        positive: Mean cosine between a study and its own report.
        negative: Mean cosine between a study and another study's report (the off-diagonal).
        effective_rank: exp of the entropy of the normalised squared singular values, of the poorer side.
        spread: Mean per-dimension standard deviation times sqrt(dimension), of the poorer side; a uniform
            sphere has 1.
    """

    positive: float
    negative: float
    effective_rank: float
    spread: float

    @property
    def gap(self) -> float:
        """Positive minus negative cosine."""
        return self.positive - self.negative

    @property
    def verdict(self) -> Verdict:
        """`fail`, `warn` or `fine`, by the limits below.

        >>> Collapse(0.9, 0.1, 30.0, 0.9).verdict, Collapse(0.99, 0.85, 3.0, 0.5).verdict
        ('fine', 'warn')
        >>> Collapse(0.999, 0.97, 1.1, 0.1).verdict
        'fail'
        """
        if self.negative > 0.95 or self.effective_rank < 2 or self.spread < 0.15:
            return "fail"
        return "warn" if self.negative > 0.8 or self.spread < 0.3 else "fine"

    def numbers(self) -> dict[str, float]:
        """The four numbers and the gap, for a log."""
        return asdict(self) | {"gap": self.gap}

    def sentence(self) -> str:
        """What a person should know."""
        numbers = (
            f"cosine to other reports {self.negative:.3f}, to the own one {self.positive:.3f}, "
            f"effective rank {self.effective_rank:.1f}, spread {self.spread:.2f}"
        )
        return {
            "fine": f"The space is healthy: {numbers}.",
            "warn": f"The embeddings are narrow ({numbers}); see that the two cosines move apart.",
            "fail": f"The embeddings have collapsed ({numbers}); use a contrastive objective, or add "
            "a variance term; if they were as narrow before training, train longer or start warm; if a warm "
            "start became narrow, lower train.lr.",
        }[self.verdict]


def measure_collapse(z_img: Tensor, z_txt: Tensor) -> Collapse:
    """Measure N pairs; row i of both sides is one study.

    Args:
        z_img: [N, E] L2-normalised study embeddings.
        z_txt: [N, E] L2-normalised text embeddings.

    Returns:
        The numbers; with a single pair `negative` is 0 and rank and spread say nothing (rank 2, spread 1).

    References:
        Roy and Vetterli 2007, "The effective rank". The limits are this project's measurements of ClinVLA's
        published loss.

    >>> round(measure_collapse(torch.eye(4), torch.eye(4)).effective_rank, 6)
    4.0
    """
    z_img, z_txt = z_img.double(), z_txt.double()
    cosine = z_img @ z_txt.T  # [N, N]
    n = len(cosine)
    positive = cosine.diagonal().mean().item()
    if n < 2:
        return Collapse(positive, 0.0, 2.0, 1.0)
    negative = ((cosine.sum() - cosine.diagonal().sum()) / (n * (n - 1))).item()
    rank = min(effective_rank(z_img), effective_rank(z_txt))
    return Collapse(positive, negative, rank, min(spread(z_img), spread(z_txt)))


class ClassCollapse(Collapse):
    """The monitor of a classifier: its studies against the sentences of their own and of the other classes.

    Studies of one class may well come to one point, and two classes need no more than two directions, so
    that neither the rank nor the sentences' own spread judges here: only whether all studies, or studies and
    every sentence, are at one point.
    """

    @property
    def verdict(self) -> Verdict:
        """`fail`, `warn` or `fine`.

        >>> ClassCollapse(0.9, 0.1, 1.5, 0.7).verdict, ClassCollapse(0.3, 0.3, 1.0, 0.02).verdict
        ('fine', 'fail')
        """
        if self.negative > 0.95 or self.spread < 0.15:
            return "fail"
        return "warn" if self.negative > 0.8 else "fine"

    def sentence(self) -> str:
        """What a person should know."""
        numbers = (
            f"cosine to the sentences of other classes {self.negative:.3f}, to that of the own one "
            f"{self.positive:.3f}, spread {self.spread:.2f}"
        )
        return {
            "fine": f"The space is healthy: {numbers}.",
            "warn": f"The embeddings are narrow ({numbers}); see that the two cosines move apart.",
            "fail": f"The embeddings have collapsed ({numbers}); lower train.lr, or train on more classes; "
            "if they were as narrow before training, train longer or start warm.",
        }[self.verdict]


def measure_class_collapse(z_img: Tensor, z_class: Tensor, target: Tensor) -> ClassCollapse:
    """Measure N studies against the sentences of C classes.

    Args:
        z_img: [N, E] L2-normalised study embeddings.
        z_class: [C, E] L2-normalised embeddings of the classes' sentences.
        target: int64 [N], the class of every study.

    Returns:
        The numbers, rank and spread those of the studies; with a single study rank 2, spread 1.

    >>> found = measure_class_collapse(torch.eye(2), torch.eye(2), torch.tensor([0, 1]))
    >>> found.positive, found.negative, found.verdict
    (1.0, 0.0, 'fine')
    """
    z_img, cosine = z_img.double(), z_img.double() @ z_class.double().T  # [N, C]
    own = torch.nn.functional.one_hot(target, len(z_class)).bool()
    positive = cosine[own].mean().item()
    negative = cosine[~own].mean().item() if len(z_class) > 1 else 0.0
    if len(z_img) < 2:
        return ClassCollapse(positive, negative, 2.0, 1.0)
    return ClassCollapse(positive, negative, effective_rank(z_img), spread(z_img))


def effective_rank(z: Tensor) -> float:
    """How many directions the rows really use: exp of the entropy of the normalised squared singular values.

    Args:
        z: [N, E]; not centred, so that one shared direction counts as the one direction it is.

    >>> round(effective_rank(torch.tensor([[1.0, 0.0], [1.0, 0.0]])), 6)
    1.0
    """
    small = z.T @ z if z.shape[1] <= z.shape[0] else z @ z.T  # squared singular values are its eigenvalues
    power = torch.linalg.eigvalsh(small.double()).clamp(min=0)
    share = power / power.sum().clamp(min=1e-300)
    return math.exp(torch.special.entr(share).sum().item())


def spread(z: Tensor) -> float:
    """Mean over dimensions of the standard deviation over rows, times sqrt(E).

    Args:
        z: [N, E] L2-normalised, N >= 2.

    >>> spread(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    0.0
    """
    return float(z.std(dim=0, correction=0).mean() * math.sqrt(z.shape[1]))
