"""MRM: masked record modelling, so that an archive's own studies and reports make a vision backbone.

    view ─ 75 % of patches dropped ─ ViT ─┬─ decoder ─ every dropped patch at twice the resolution
                                          └─ mean visible patch ─ Linear ─┐
    report ─ half of its words hidden ──────────────────────────── + ─ BERT ─ hidden words

Both towers train whole. Nothing here aligns studies with reports, so a run is validated by its losses, and
its result serves other systems: `backbones.vision=runs/mrm`.
References: MRM (Zhou et al., ICLR 2023); MAE (He et al., CVPR 2022).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, NoReturn

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.decoder import ImageDecoder
from radalign.nn.fusion import mean_over_views
from radalign.nn.heads import WordHead
from radalign.nn.masking import random_keep
from radalign.nn.vision import VisionEncoder
from radalign.systems.base import Settings, System
from radalign.systems.contradictions import need_decoder_heads
from radalign.systems.groups import decayed_and_plain
from radalign.systems.masked_record import (
    MaskedRecordSettings,
    hide_words,
    pixel_error,
    shrink,
    word_error,
)
from radalign.systems.recipe import Recipe, RecipeError

Start = Literal["given", "random"]


class MRMSettings(MaskedRecordSettings):
    """MRM's `[model]` section."""

    mask_ratio: float = Field(0.75, gt=0, lt=1, description="Share of patches dropped per view.")
    vision_start: Start = Field(
        "given", description="`random` draws the vision encoder's weights anew; its sizes and habits stay."
    )
    text_start: Start = Field("given", description="The same for the text encoder; its tokenizer stays.")


class MRM(System):
    """Masked record modelling over any ViT-like vision and BERT-like text encoder.

    Args:
        recipe: With `system = "mrm"`; `data.size_px` is the encoder's size.

    Raises:
        RecipeError: If the decoder's heads do not fit, or no objective is on.
    """

    Settings: ClassVar[type[Settings]] = MRMSettings
    objective_names = ("image_reconstruction", "masked_language")
    aligns = False
    needs_transformer = True
    settings: MRMSettings
    vision: VisionEncoder

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        s, d = self.settings, self.vision.width
        self.target_px = self.vision.patch_px * s.target_scale
        need_decoder_heads(d, s.decoder_heads)
        if s.vision_start == "random":
            draw_anew(self.vision)
        if s.text_start == "random":
            draw_anew(self.text)
        grid = recipe.data.size_px // self.vision.patch_px
        self.decoder = ImageDecoder(d, grid, self.target_px, s.decoder_depth, s.decoder_heads)
        self.image_to_text = nn.Linear(d, self.text.width)
        self.word_head = WordHead(self.text.width, self.text.config.vocabulary)
        self._choose_what_trains()

    def _choose_what_trains(self) -> None:
        """Everything that an objective of the recipe reaches; fixed positions and joint spaces stay."""
        pixels, words = bool(self.weight("image_reconstruction")), bool(self.weight("masked_language"))
        if not pixels and not words:
            raise RecipeError("MRM has no objective; set objectives.image_reconstruction=1.")
        self.vision.requires_grad_(True)
        self.vision.position.requires_grad_(self.vision.config.position == "learned")
        self.decoder.requires_grad_(pixels)
        self.decoder.position.requires_grad_(False)
        for module in (self.text, self.image_to_text, self.word_head):
            module.requires_grad_(words)
        for encoder in (self.vision, self.text):
            if encoder.projection is not None:
                encoder.projection.requires_grad_(False)

    # -- training ----------------------------------------

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """Errors of pixels and words; every present view is rebuilt, a report sees the mean of its views."""
        present = batch.images.view_mask
        views = batch.images.images[present]  # [N, H, W]
        small = shrink(views, self.recipe.data.size_px)
        places = (small.shape[-1] // self.vision.patch_px) ** 2
        keep = random_keep(len(small), places, self.settings.mask_ratio).to(small.device)
        tokens = self.vision(small[:, None], keep)  # [N, 1 + K, D]
        terms: dict[str, Tensor] = {}
        if self.weight("image_reconstruction"):
            error = pixel_error(self.decoder, tokens, keep, views, self.target_px, self.vision)
            terms["image_reconstruction"] = error
        if self.weight("masked_language"):
            seen = mean_over_views(tokens[:, 1:].mean(1), present)  # [B, D]
            terms["masked_language"] = self._rebuild_words(batch.texts, seen)
        return terms

    def _rebuild_words(self, texts: TextBatch, seen: Tensor) -> Tensor:
        """Error of the hidden words; every position gets the projected image feature `seen` [B, D]."""
        s = self.settings
        ids, labels = hide_words(self, texts, s.word_mask, s.word_replace)
        tokens = self.text(ids, texts.attention_mask, self.image_to_text(seen))  # [B, L, D]
        return word_error(self.word_head, tokens, labels, self.text.word.weight)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices only, as in MAE."""
        return decayed_and_plain(self)

    # -- what it gives ----------------------------------------

    @property
    def width(self) -> int:
        """The vision encoder's width: an image's embedding is its mean patch."""
        return self.vision.width

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies by the mean patch of whole views: global [B, D]; for probes and image search."""
        present = images.view_mask
        tokens = self.vision(
            shrink(images.images[present], self.recipe.data.size_px)[:, None]
        )  # [N, 1 + P, D]
        pooled = mean_over_views(tokens[:, 1:].mean(1), present)  # [B, D]
        return Embeddings(F.normalize(pooled.float(), dim=-1))

    def encode_texts(self, texts: TextBatch) -> NoReturn:
        """Refuse: masked record modelling has no space that texts share with images.

        Raises:
            RecipeError: Always.
        """
        raise RecipeError(
            "MRM does not align texts with images; train an aligning system on it, for instance "
            "`radalign train alta --set backbones.vision=RUN`."
        )


def draw_anew(encoder: nn.Module) -> None:
    """Draw an encoder's weights anew in place: Xavier for matrices, a narrow normal for tables and tokens.

    References:
        MAE's initialisation (He et al., CVPR 2022, appendix A.1).
    """
    for name, parameter in encoder.named_parameters():
        module = encoder.get_submodule(name.rpartition(".")[0])
        with torch.no_grad():
            if isinstance(module, nn.Linear) and name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            elif isinstance(module, nn.LayerNorm) and name.endswith("weight"):
                parameter.fill_(1.0)
            elif name.endswith("bias"):
                parameter.zero_()
            elif name.endswith(("scale1", "scale2")):
                parameter.fill_(1.0)
            else:
                _draw_table(encoder, name, parameter)


def _draw_table(encoder: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Token and position tables; a fixed sine grid of positions stays."""
    fixed = name == "position" and getattr(encoder.config, "position", "") == "sincos"
    if not fixed:
        nn.init.normal_(parameter, std=0.02)
