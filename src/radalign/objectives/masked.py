"""Masked record modelling: rebuild the dropped patches at twice the resolution, and the dropped words.

References: MRM (Zhou et al., ICLR 2023), MAE (He et al., CVPR 2022, normalised pixel targets), BERT (Devlin
    et al. 2019).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from radalign.objectives.gather import mean_of_all

IGNORE = -100


EPS = 1e-6  # on the encoder's scale, added to the variance of a patch


def patch_targets(
    images: Tensor,
    patch_px: int,
    normalise: bool = True,
    channels: int = 3,
    mean: float = 0.0,
    std: float = 1.0,
) -> Tensor:
    """Cut images into flat patches, each normalised by its own mean and deviation.

    As published, a patch is measured after the encoder's normalisation and over all its channels, which
    matters where it is nearly flat.

    Args:
        images: [N, H, W] grey, uint8 (0..255) or float (0..1); H and W multiples of `patch_px`.
        patch_px: Side of a target patch (twice the encoder's for a 2x target).
        normalise: Whether each patch gets zero mean and unit variance.
        channels: The grey value is repeated so often, as in checkpoints trained on RGB.
        mean: The encoder's, for images in 0..1.
        std: The encoder's.

    Returns:
        [N, P, patch_px * patch_px * channels], channel last within a pixel, rows of patches first.

    >>> patch_targets(torch.arange(4.0).view(1, 2, 2), 1, normalise=False, channels=1).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    n, height, width = images.shape
    grey = (images.float() / (1 if images.is_floating_point() else 255) - mean) / std
    cut = grey.view(n, height // patch_px, patch_px, width // patch_px, patch_px)
    cut = cut.permute(0, 1, 3, 2, 4).flatten(1, 2).flatten(2)  # [N, h, p, w, p] -> [N, P, p * p]
    if normalise:
        values = patch_px**2 * channels
        centred = cut - cut.mean(-1, keepdim=True)
        # the unbiased variance of the repeated values: their squares over their number less one
        variance = centred.square().sum(-1, keepdim=True) * channels / max(1, values - 1)
        cut = centred / (variance + EPS).sqrt()
    return cut.repeat_interleave(channels, -1)  # [N, P, p * p * C]


def masked_patch_error(predicted: Tensor, target: Tensor, keep: Tensor) -> Tensor:
    """Mean squared error over the patches that the encoder did not see.

    Args:
        predicted: [N, P, F].
        target: [N, P, F].
        keep: [N, K] indices of the patches that were seen.

    Returns:
        Mean over the dropped patches of all processes; 0 when none was dropped.

    >>> masked_patch_error(torch.zeros(1, 2, 1), torch.tensor([[[1.0], [3.0]]]), torch.tensor([[0]])).item()
    9.0
    """
    dropped = torch.ones(predicted.shape[:2], device=predicted.device).scatter(1, keep, 0.0)  # [N, P]
    error = (predicted.float() - target).square().mean(-1)  # [N, P]
    return mean_of_all((error * dropped).sum(), dropped.sum())


def maskable_words(attention_mask: Tensor) -> Tensor:
    """Which tokens of padded texts may be hidden: all but the first ([CLS]) and the last ([SEP]).

    Args:
        attention_mask: bool [B, L], True = a real token, padding on the right.

    >>> maskable_words(torch.tensor([[True, True, True, False]])).tolist()
    [[False, True, False, False]]
    """
    position = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    last = attention_mask.sum(1, keepdim=True) - 1
    return attention_mask & (position > 0) & (position < last)


def mask_words(
    input_ids: Tensor,
    maskable: Tensor,
    mask_id: int,
    probability: float,
    vocabulary: int,
    replace: tuple[float, float, float] = (1.0, 0.0, 0.0),
) -> tuple[Tensor, Tensor]:
    """Hide words and say which they were.

    Args:
        input_ids: [B, L].
        maskable: bool [B, L], True = a real token that is not special.
        mask_id: The id of [MASK].
        probability: Chance of each word to be chosen.
        vocabulary: Ids below this may replace a word at random.
        replace: Shares of chosen words that become [MASK], a random word, or stay.

    Returns:
        (ids with words hidden [B, L], labels [B, L] with `IGNORE` where nothing was chosen).

    >>> ids, labels = mask_words(torch.tensor([[5, 6]]), torch.tensor([[False, True]]), 9, 1.0, 10)
    >>> ids.tolist(), labels.tolist()
    ([[5, 9]], [[-100, 6]])
    """
    chosen = maskable & (torch.rand(input_ids.shape, device=input_ids.device) < probability)
    labels = input_ids.masked_fill(~chosen, IGNORE)
    draw = torch.rand(input_ids.shape, device=input_ids.device)
    hidden = input_ids.masked_fill(chosen & (draw < replace[0]), mask_id)
    swap = chosen & (draw >= replace[0]) & (draw < replace[0] + replace[1])
    random_ids = torch.randint(vocabulary, input_ids.shape, device=input_ids.device)
    return torch.where(swap, random_ids, hidden), labels


def masked_word_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the hidden words, in nats: their mean over all processes, 0 when none is hidden.

    Args:
        logits: [M, C].
        labels: [M].
    """
    return mean_of_all(F.cross_entropy(logits.float(), labels, reduction="sum"), len(labels))
