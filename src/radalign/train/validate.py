"""The numbers of one validation: retrieval of the own report and the own study, and the collapse monitor.

A system that aligns nothing (masked record modelling) is validated by its losses instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.data.batches import StudyBatch
from radalign.objectives.collapse import Collapse, measure_collapse
from radalign.train.classes import classifies_only, validate_classes
from radalign.train.zero_shot import NUMBER, zero_shot_auc, zero_shot_labels

TEMPERATURE = 0.07
DEPTHS = (1, 5, 10)
MASK_SEED = 0


def own_ranks(scores: Tensor) -> Tensor:
    """Rank (from 1) of each row's own column; equal scores rank by their place, as a stable sort would.

    Args:
        scores: [N, N]; row i's right answer is column i.

    Returns:
        int64 [N].

    >>> own_ranks(torch.tensor([[0.9, 0.1], [0.8, 0.3]])).tolist()
    [1, 2]
    """
    own = scores.diagonal()[:, None]
    earlier = torch.ones_like(scores, dtype=torch.bool).tril(-1)  # columns before the own one
    return 1 + ((scores > own) | ((scores == own) & earlier)).sum(dim=1)


def retrieval_numbers(z_img: Tensor, z_txt: Tensor) -> dict[str, float]:
    """How well studies and their own reports find each other.

    Args:
        z_img: [N, E] L2-normalised study embeddings.
        z_txt: [N, E] L2-normalised text embeddings, row by row of the same study.

    Returns:
        `i2t_r1`, `t2i_r1`, ... (share whose own one is among the first k), `r1`, `r5`, `r10` (mean of both
        ways), `mrr` (mean reciprocal rank) and `median_rank` over both ways, and `loss` (symmetric
        cross-entropy of finding the own one among all N, at a temperature of 0.07, in nats).

    >>> numbers = retrieval_numbers(torch.eye(3), torch.eye(3))
    >>> numbers["r1"], numbers["mrr"], numbers["median_rank"]
    (1.0, 1.0, 1.0)
    """
    scores = z_img.float() @ z_txt.float().T  # [N, N]
    ranks = {"i2t": own_ranks(scores), "t2i": own_ranks(scores.T)}
    numbers = {
        f"{way}_r{k}": (rank <= k).float().mean().item() for way, rank in ranks.items() for k in DEPTHS
    }
    numbers |= {f"r{k}": (numbers[f"i2t_r{k}"] + numbers[f"t2i_r{k}"]) / 2 for k in DEPTHS}
    both = torch.cat(list(ranks.values())).double()
    target = torch.arange(len(scores), device=scores.device)
    logits = scores / TEMPERATURE
    loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    return numbers | {
        "mrr": both.reciprocal().mean().item(),
        "median_rank": both.quantile(0.5).item(),
        "loss": loss.item(),
    }


def validate(
    system: Any,
    batches: Iterable[StudyBatch],
    device: torch.device,
    precision: Callable[[], AbstractContextManager[Any]],
    tune: bool = True,
    label_names: Sequence[str] = (),
) -> tuple[dict[str, float], Collapse | None]:
    """Embed the validation studies and their reports, and measure; or take the mean losses, or classify.

    Args:
        system: Any system; left in the mode that it was in.
        batches: The validation studies in order.
        device: Where the system is.
        precision: Makes the autocast context of a forward pass.
        tune: Whether a classifier may pick settings from these studies (not when they also trained).
        label_names: What the columns of the batches' labels are, for `train.zero_shot`.

    Returns:
        The numbers (collapse monitor included) and the monitor's own result, None without a joint space.
    """
    collapse: Collapse | None
    was_training = system.training
    system.eval()
    here = (batch.to(device) for batch in batches)
    with torch.inference_mode():
        if classifies_only(system):
            numbers, collapse = validate_classes(system, here, precision, tune)
        elif getattr(system, "aligns", True):
            numbers, collapse = _measure_pairs(system, here, precision, label_names)
        else:
            numbers, collapse = mean_losses(system, here, precision), None
    system.train(was_training)
    return numbers, collapse


def _measure_pairs(
    system: Any,
    batches: Iterable[StudyBatch],
    precision: Callable[[], AbstractContextManager[Any]],
    label_names: Sequence[str],
) -> tuple[dict[str, float], Collapse]:
    images, texts, labels = [], [], []
    for batch in batches:
        with precision():
            images.append(system.encode_images(batch.images).global_.float().cpu())
            texts.append(system.encode_texts(batch.texts).global_.float().cpu())
        labels.extend([] if batch.labels is None else [batch.labels.cpu()])
    z_img, z_txt = torch.cat(images), torch.cat(texts)
    collapse = measure_collapse(z_img, z_txt)
    numbers = retrieval_numbers(z_img, z_txt) | collapse.numbers()
    if zero_shot_labels(system):
        known = torch.cat(labels) if labels else None
        with precision():
            numbers[NUMBER] = zero_shot_auc(system, z_img, known, label_names)
    return numbers, collapse


def mean_losses(
    system: Any, batches: Iterable[StudyBatch], precision: Callable[[], AbstractContextManager[Any]]
) -> dict[str, float]:
    """Every term and their weighted sum `loss`, mean over the studies; the same masks at every validation."""
    sums: dict[str, float] = {}
    count = 0
    with torch.random.fork_rng():
        torch.manual_seed(MASK_SEED)
        for batch in batches:
            with precision():
                terms = system.objectives(batch)
            terms = {name: term.float() for name, term in terms.items()}
            for name, term in {"loss": system.total(terms), **terms}.items():
                sums[name] = sums.get(name, 0.0) + term.item() * len(batch)
            count += len(batch)
    return {name: value / count for name, value in sums.items()}
