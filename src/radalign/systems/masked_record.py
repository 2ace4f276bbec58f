"""Masked record modelling inside a system: what is hidden from its towers, and how wrong the guesses are.

    views at target_scale times the encoder's size ─ shrink ─ drop patches ─ vision ─ decoder ─ pixel_error
    reports ─ hide_words ─ text (+ the image's feature) ─ word head, tied to the word embeddings ─ word_error

ALTA, ClinVLA (when its reconstruction is on) and MRM itself share it.
References: MRM (Zhou et al., ICLR 2023); MAE (He et al., CVPR 2022); ALTA (arXiv:2506.08990), section III.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from radalign.data.batches import BatchError, TextBatch
from radalign.nn.decoder import ImageDecoder
from radalign.nn.heads import WordHead
from radalign.objectives.masked import (
    IGNORE,
    mask_words,
    maskable_words,
    masked_patch_error,
    masked_word_error,
    patch_targets,
)
from radalign.systems.base import Settings
from radalign.systems.contradictions import WordShares
from radalign.systems.recipe import RecipeError

if TYPE_CHECKING:
    from radalign.nn.vision import VisionEncoder
    from radalign.systems.base import System


class MaskedRecordSettings(Settings):
    """The part of a `[model]` section that masked record modelling needs."""

    word_mask: float = Field(0.5, ge=0, lt=1, description="Share of words hidden for the word objective.")
    word_replace: WordShares = Field(
        (1.0, 0.0, 0.0), description="Hidden words become [MASK], a random word, or stay (A9)."
    )
    target_scale: int = Field(2, ge=1, description="Pixels per side of a target, against the input's.")
    decoder_depth: int = Field(4, ge=1, description="Blocks of the image decoder.")
    decoder_heads: int = Field(6, ge=1, description="Attention heads of the image decoder.")


class HiddenWords(NamedTuple):
    """Reports with hidden words.

    Attributes:
        input_ids: [B, L], words hidden.
        labels: [B, L], the hidden words' ids, `IGNORE` elsewhere.
    """

    input_ids: Tensor
    labels: Tensor


def hide_words(
    system: System, texts: TextBatch, probability: float, replace: tuple[float, float, float]
) -> HiddenWords:
    """Hide words of reports [B, L], never the first and the last token.

    Raises:
        RecipeError: If the text encoder's vocabulary has no [MASK].
    """
    if system.tokenizer.mask_id is None:
        raise RecipeError("This text encoder has no [MASK] token; set objectives.masked_language=0.")
    vocabulary = system.text.config.vocabulary
    maskable = maskable_words(texts.attention_mask)
    return HiddenWords(
        *mask_words(texts.input_ids, maskable, system.tokenizer.mask_id, probability, vocabulary, replace)
    )


def word_error(head: WordHead, tokens: Tensor, labels: Tensor, words: Tensor) -> Tensor:
    """Cross-entropy of the hidden words, in nats.

    Args:
        head: The prediction head.
        tokens: [B, L, D] of the text tower that saw the hidden ones.
        labels: [B, L] of `hide_words`.
        words: [vocabulary, D], the word embeddings.
    """
    chosen = labels != IGNORE
    return masked_word_error(head(tokens[chosen], words), labels[chosen])


def shrink(views: Tensor, size_px: int) -> Tensor:
    """Views [N, H, W] at the encoder's size; they are larger when they serve as targets too.

    >>> small = shrink(torch.full((1, 4, 4), 255, dtype=torch.uint8), 2)
    >>> small.shape, round(small.mean().item(), 6)
    (torch.Size([1, 2, 2]), 1.0)
    """
    if views.shape[-1] == size_px:
        return views
    small = F.interpolate(views[:, None].float(), (size_px, size_px), mode="bilinear", antialias=True)[:, 0]
    return small / 255 if views.dtype == torch.uint8 else small


def pixel_error(
    decoder: ImageDecoder, tokens: Tensor, keep: Tensor, views: Tensor, patch_px: int, vision: VisionEncoder
) -> Tensor:
    """Mean squared error on the dropped patches, each target patch normalised by itself.

    Args:
        decoder: From kept tokens to all patches.
        tokens: [N, 1 + K, D] of the vision tower.
        keep: [N, K], the patches that it saw.
        views: [N, H, W] at the targets' size.
        patch_px: Side of a target patch.
        vision: Its normalisation is the targets' scale; the views are grey, so its channels share their mean.

    Raises:
        BatchError: If the views do not have the targets' size.
    """
    side = round((decoder.position.shape[0] - 1) ** 0.5) * patch_px
    if views.shape[-2:] != (side, side):
        raise BatchError(
            f"Pixels are rebuilt from {side} x {side} px, not {views.shape[-2]} x {views.shape[-1]}; read "
            "images with `system.loading()`, or set objectives.image_reconstruction=0."
        )
    mean, std = sum(vision.mean) / len(vision.mean), sum(vision.std) / len(vision.std)
    target = patch_targets(views, patch_px, mean=mean, std=std)
    return masked_patch_error(decoder(tokens, keep), target, keep)
