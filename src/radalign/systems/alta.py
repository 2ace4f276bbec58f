"""ALTA: AIM adapters in an MRM ViT and a BERT, four slots (current and prior, frontal and lateral).

    slot ─ patches, 75 % dropped ─ + view and time embedding ─ ViT + adapters ─┬ mean CLS ─ global head ─┐
                                                                               ├ patches ── local head ──┤
                                                                               128-d
                                                                               └ current frontal ─ decoder
                                                                               (pixels, 2x)
    report ─ whole ─────────────────────────────────────────── BERT + adapters ─ CLS and word heads ─────┘
           └ half of its words hidden, + projected mean CLS ── BERT + adapters ─ masked words

References: ALTA (IEEE TMI 2025, arXiv:2506.08990); AIM (Yang et al., ICLR 2023); MRM (Zhou et al., ICLR
    2023).
The defects of the public implementation are mended by default; `official_*` settings bring each one back.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.adapters import ParallelAdapter, SequentialAdapter
from radalign.nn.decoder import ImageDecoder
from radalign.nn.fusion import (
    AttentionFusion,
    cls_and_mean_patch,
    mean_over_views,
    spread_over_slots,
)
from radalign.nn.heads import ProjectionHead, WordHead
from radalign.nn.masking import random_keep
from radalign.nn.slots import slot_of_each_view
from radalign.nn.vision import VisionEncoder
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather_embeddings, mean_of_all
from radalign.objectives.local import Aggregation, LocalScales, local_contrastive
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings, System
from radalign.systems.contradictions import need_bottleneck, need_decoder_heads, need_targets
from radalign.systems.groups import decayed_and_plain
from radalign.systems.masked_record import (
    HiddenWords,
    MaskedRecordSettings,
    hide_words,
    pixel_error,
    shrink,
    word_error,
)
from radalign.systems.official import draw_text_adapters, official_lengths
from radalign.systems.points import unit_points
from radalign.systems.recipe import Recipe
from radalign.systems.run_decoder import need_settings_of_run, with_heads_of_run
from radalign.systems.warm_start import WarmMaps
from radalign.weights import extras

_LOG = logging.getLogger(__name__)
LOG_SCALE_START = math.log(1 / 0.07)
LOG_SCALE_MOST = math.log(100)


class ALTASettings(MaskedRecordSettings):
    """ALTA's `[model]` section; (A..) number the public implementation's defects in ARCHITECTURE.md."""

    adapter_ratio: float = Field(0.25, gt=0, le=1, description="Bottleneck width as a share of the tower's.")
    embedding_width: int = Field(128, ge=2, description="Width of the joint space.")
    mask_ratio: float = Field(0.75, ge=0, lt=1, description="Share of patches dropped per view in training.")
    freeze_decoder: bool | Literal["auto"] = Field(
        "auto", description="Freeze the decoder's blocks; `auto`: if they came with the backbone (A13)."
    )
    text_pool: Literal["cls", "mean"] = Field("cls", description="The text's global token: CLS or the mean.")
    fusion: Literal["mean", "attention"] = Field("mean", description="How a study's views become one (A16).")
    local_aggregation: Aggregation = Field("sum", description="How word scores add up.")
    warm_start: Literal["none", "cca"] = Field(
        "none", description="`cca`: heads start from the canonical correlation of the frozen features."
    )
    inference_views: Literal["all", "frontal"] = Field(
        "all", description="At inference: every view, or the current frontal alone, as published (A14)."
    )
    official_missing: bool = Field(
        False, description="Count missing views: encode a token of zeros, keep it in means and patches (A3)."
    )
    official_frozen: bool = Field(
        False, description="Leave the projection into the text encoder and the missing token frozen (A2, A3)."
    )
    official_lengths: bool = Field(
        False, description="Over several processes, reports take the lengths of others (A1)."
    )
    official_text_init: bool = Field(
        False, description="Text adapters start at N(0, 0.02) instead of as the frozen backbone (A5)."
    )


class ALTA(System):
    """ALTA over any ViT-like vision and BERT-like text backbone; `data.slots` names its slots."""

    Settings: ClassVar[type[Settings]] = ALTASettings
    objective_names = ("global_contrastive", "local_contrastive", "image_reconstruction", "masked_language")
    needs_transformer = True
    settings: ALTASettings
    vision: VisionEncoder

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.settings = with_heads_of_run(self.settings, recipe)
        s, d_img, d_txt = self.settings, self.vision.width, self.text.width
        need_decoder_heads(d_img, s.decoder_heads)
        for encoder in (self.vision, self.text):
            need_bottleneck(encoder.width, s.adapter_ratio)
            for block in encoder.transformer.blocks:
                block.attention_adapter = SequentialAdapter(encoder.width, s.adapter_ratio)
                block.parallel_adapter = ParallelAdapter(encoder.width, s.adapter_ratio)
        if s.official_text_init:
            draw_text_adapters(self.text)
        self.grid = recipe.data.size_px // self.vision.patch_px
        self.view_embedding = nn.Parameter(torch.zeros(2, d_img))  # frontal, lateral
        self.time_embedding = nn.Parameter(torch.zeros(2, d_img))  # current, prior
        self.missing_token: nn.Parameter | None = None
        if s.official_missing:
            self.missing_token = nn.Parameter(torch.zeros(self.grid**2, d_img))
        self.image_global_head = ProjectionHead(d_img, s.embedding_width)
        self.image_local_head = ProjectionHead(d_img, s.embedding_width)
        self.text_global_head = ProjectionHead(d_txt, s.embedding_width)
        self.text_local_head = ProjectionHead(d_txt, s.embedding_width)
        self.log_scales = nn.Parameter(torch.full((4,), LOG_SCALE_START))  # global; local: patch, word, logit
        self.fusion_head = AttentionFusion(d_img) if s.fusion == "attention" else None
        self.image_to_text = nn.Linear(d_img, d_txt)
        self.word_head = WordHead(d_txt, self.text.config.vocabulary)
        patch = self.vision.patch_px * s.target_scale
        if self.weight("image_reconstruction"):
            need_targets(recipe.data.slots, s.mask_ratio, "current_frontal")
        self.decoder = ImageDecoder(d_img, self.grid, patch, s.decoder_depth, s.decoder_heads)
        self.begun_with = self._begin_with_published(recipe)
        self._beginning = self._hashes_of_published()
        self.maps_head = WarmMaps(self, len(recipe.data.slots)) if s.warm_start == "cca" else None
        if self.maps_head is not None:
            self.maps_head.silence(self.image_global_head, self.text_global_head)
        self._choose_what_trains()

    def need_fitting_beginning(self) -> None:
        """A run's decoder is begun with as it was trained; see `run_decoder`."""
        if "decoder" in self.begun_with:
            need_settings_of_run(self.settings, self.recipe)

    def _begin_with_published(self, recipe: Recipe) -> frozenset[str]:
        """Parts that came with the backbones: MRM's decoder, CXR-BERT's heads; the local head is a copy."""
        heads = extras.heads_of(recipe.backbones.text)
        published = {
            "decoder": (self.decoder, extras.decoder_of(recipe.backbones.vision)),
            "text_global_head": (self.text_global_head, heads["projection"]),
            "word_head": (self.word_head, heads["words"]),
        }
        begun = {name for name, (part, tensors) in published.items() if extras.begin_with(part, tensors)}
        self.text_local_head.load_state_dict(self.text_global_head.state_dict())
        _LOG.info("ALTA begins with published parts: %s", ", ".join(sorted(begun)) or "none")
        return frozenset(begun)

    def _hashes_of_published(self) -> dict[str, str]:
        """Of all that building this system again gives back: the published parts and the fixed positions."""
        copied = {"text_local_head"} if "text_global_head" in self.begun_with else set()
        parts = self.begun_with | copied
        names = [n for n, _ in self.named_parameters() if n.split(".")[0] in parts or n == "decoder.position"]
        return {name: extras.tensor_hash(self.get_parameter(name)) for name in names}

    def _choose_what_trains(self) -> None:
        """Adapters, heads, embeddings and every LayerNorm train; the rest of the backbones stays frozen."""
        s = self.settings
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.requires_grad_(True)
        self.vision.cls.requires_grad_(True)
        freeze = "decoder" in self.begun_with if s.freeze_decoder == "auto" else s.freeze_decoder
        for block in self.decoder.transformer.blocks if freeze else ():
            for layer in (block.qkv, block.out, block.up, block.down):
                layer.requires_grad_(False)
        if s.official_frozen:
            self.image_to_text.requires_grad_(False)
            if self.missing_token is not None:
                self.missing_token.requires_grad_(False)
        if not self._has_global():
            for part in (self.image_global_head, self.text_global_head):
                part.requires_grad_(False)
        if self.fusion_head is not None:
            self.fusion_head.requires_grad_(self._has_global() or bool(self.weight("masked_language")))
        self.log_scales.requires_grad_(self._has_global() or self._has_local())
        if not self._has_local():
            self.image_local_head.requires_grad_(False)
            self.text_local_head.requires_grad_(False)
        if not self.weight("image_reconstruction"):
            self.decoder.requires_grad_(False)
        if not self.weight("masked_language"):
            self.word_head.requires_grad_(False)
            self.image_to_text.requires_grad_(False)

    def _has_global(self) -> bool:
        """Whether an objective trains the global heads."""
        return bool(self.weight("global_contrastive"))

    def _has_local(self) -> bool:
        return bool(self.weight("local_contrastive"))

    def _stands_in(self) -> bool:
        """Whether mean patch and word stand for the global heads: those alone are trained."""
        return self._has_local() and not self._has_global()

    def built_again(self) -> frozenset[str]:
        """What is frozen and still as it came with the backbones, and the decoder's fixed positions."""
        frozen = {n: p for n, p in self.named_parameters() if not p.requires_grad and n in self._beginning}
        return frozenset(n for n, p in frozen.items() if extras.tensor_hash(p) == self._beginning[n])

    # -- encoding ----------------------------------------

    @property
    def local_scales(self) -> LocalScales:
        """The learned scales of the local objective."""
        return LocalScales(*self.log_scales[1:].exp())

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E]; local [B, V * K, E] over the kept patches of all slots."""
        return unit_points(self.see(images), self._stands_in())

    def see(self, images: ImageBatch) -> Embeddings:
        """The same before they get unit length, as the local objective takes them."""
        return Embeddings(*self._project_images(self._see(images)))

    def text_points(self, texts: TextBatch) -> Tensor:
        """The global head's output for texts, not at unit length, where it is trained: [B, E]."""
        return super().text_points(texts) if self._stands_in() else self.read(texts).global_

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, E]; local [B, L - 1, E] over the tokens after CLS."""
        return unit_points(self.read(texts), self._stands_in())

    def read(self, texts: TextBatch) -> Embeddings:
        """The same before they get unit length, as the local objective takes them."""
        tokens = self.text(texts.input_ids, texts.attention_mask)
        return Embeddings(*self._project_texts(tokens, texts.attention_mask))

    def _see(self, images: ImageBatch) -> Seen:
        """Encode the present views, or all slots when missing ones count."""
        counted = self._counted(images.view_mask)
        views = shrink(images.images[counted], self.recipe.data.size_px)[:, None]  # [N, 1, h, w]
        p = self.vision.patch_px
        grid = (views.shape[-2] // p, views.shape[-1] // p)
        keep = random_keep(len(views), grid[0] * grid[1], self._mask_ratio()).to(views.device)
        patches = self.vision.embed_patches(views, keep)
        return self.see_patches(patches, keep, grid, counted, images.view_mask)

    def _counted(self, present: Tensor) -> Tensor:
        """The slots that are encoded: bool [B, V] -> bool [B, V]."""
        slots, s = self.recipe.data.slots, self.settings
        counted = torch.ones_like(present) if s.official_missing else present
        if self.training or s.inference_views == "all" or "current_frontal" not in slots:
            return counted
        frontal = torch.zeros_like(present)
        frontal[:, slots.index("current_frontal")] = True
        return torch.where((present & frontal).any(1, keepdim=True), frontal, counted)

    def see_patches(
        self, patches: Tensor, keep: Tensor, grid: tuple[int, int], counted: Tensor, present: Tensor
    ) -> Seen:
        """From embedded patches [N, K, D] of the counted slots to tokens; absent ones: the missing token."""
        if self.missing_token is not None:
            missing = self.missing_token[keep].to(patches.dtype)  # [N, K, D]
            patches = torch.where(present[counted][:, None, None], patches, missing)
        slot = slot_of_each_view(counted, len(self.recipe.data.slots))  # [N]
        packed = self.vision.arrange(patches, grid, keep, self._slot_embedding()[slot])
        tokens = self.vision.finish(self.vision.transformer(packed))  # [N, 1 + K, D]
        return Seen(tokens, keep, counted)

    def _slot_embedding(self) -> Tensor:
        """View plus time embedding of every slot: [V, D]."""
        slots = self.recipe.data.slots
        view = torch.tensor([name.endswith("lateral") for name in slots], device=self.device).long()
        time = torch.tensor([name.startswith("prior") for name in slots], device=self.device).long()
        return self.view_embedding[view] + self.time_embedding[time]

    def _mask_ratio(self) -> float:
        return self.settings.mask_ratio if self.training else 0.0

    def _pooled(self, seen: Seen) -> Tensor:
        """One vector per study: [B, D]."""
        fuse = self.fusion_head or mean_over_views
        pooled: Tensor = fuse(seen.tokens[:, 0], seen.counted)
        return pooled

    def _project_images(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        z = self.image_global_head(self._pooled(seen))
        if self.maps_head is not None:
            both = cls_and_mean_patch(seen.tokens)  # [N, 2 D]
            z = z + self.maps_head.image(both, seen.counted)
        local = spread_over_slots(self.image_local_head(seen.tokens[:, 1:]), seen.counted)  # [B, V, K, E]
        mask = seen.counted[:, :, None].expand(local.shape[:3])  # [B, V, K]
        return z, local.flatten(1, 2), mask.flatten(1, 2)  # [B, E], [B, V * K, E], [B, V * K]

    def _project_texts(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = tokens.sum(1) / mask.sum(1, keepdim=True)  # [B, D]; padding rows are zero
        z = self.text_global_head(mean if self.settings.text_pool == "mean" else tokens[:, 0])
        if self.maps_head is not None:
            z = z + self.maps_head.text(mean)
        return z, self.text_local_head(tokens[:, 1:]), mask[:, 1:]

    # -- training ----------------------------------------

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Fill the linear maps from the frozen features of the training studies, when the recipe says so."""
        return {} if self.maps_head is None else self.maps_head.fit(self, manifest, progress)

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """The recipe's terms of a batch; contrastive ones see the batches of all processes."""
        seen = self._see(batch.images)
        masked = None
        if self.weight("masked_language"):
            masked = hide_words(self, batch.texts, self.settings.word_mask, self.settings.word_replace)
        whole, hidden = self._read(batch.texts, masked, self._pooled(seen))
        terms = self._contrastive(seen, whole, batch)
        if self.weight("image_reconstruction"):
            terms["image_reconstruction"] = self._reconstruct(seen, batch.images)
        if masked is not None and hidden is not None:
            words = self.text.word.weight
            terms["masked_language"] = word_error(self.word_head, hidden, masked.labels, words)
        return terms

    def _read(
        self, texts: TextBatch, masked: HiddenWords | None, image: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Token features of the whole reports and, in the same pass, of those with hidden words."""
        if masked is None:
            return self.text(texts.input_ids, texts.attention_mask), None
        added = self.image_to_text(image)  # [B, D]
        ids = torch.cat([texts.input_ids, masked.input_ids])
        tokens = self.text(
            ids, texts.attention_mask.repeat(2, 1), torch.cat([torch.zeros_like(added), added])
        )
        whole, hidden = tokens.chunk(2)
        return whole, hidden

    def _contrastive(self, seen: Seen, tokens: Tensor, batch: StudyBatch) -> dict[str, Tensor]:
        z_img, patches, patch_mask = self._project_images(seen)
        z_txt, words, word_mask = self._project_texts(tokens, batch.texts.attention_mask)
        images = gather_embeddings(Embeddings(F.normalize(z_img.float(), dim=-1), patches, patch_mask))
        texts = gather_embeddings(Embeddings(F.normalize(z_txt.float(), dim=-1), words, word_mask))
        if self.settings.official_lengths and texts.mask is not None:
            texts = replace(texts, mask=official_lengths(texts.mask, len(z_txt)))
        same = batch.same
        terms: dict[str, Tensor] = {}
        if self.weight("global_contrastive"):
            scale = self.log_scales[0]
            terms["global_contrastive"] = global_contrastive(images.global_, texts.global_, scale, same)
        if self.weight("local_contrastive"):
            sides = (images.local, images.mask, texts.local, texts.mask)
            how = self.settings.local_aggregation
            terms["local_contrastive"] = local_contrastive(*sides, self.local_scales, same, how)  # type: ignore[arg-type]
        return terms

    def _reconstruct(self, seen: Seen, images: ImageBatch) -> Tensor:
        """Error on the dropped patches of the current frontal view, where a study has one."""
        slot = self.recipe.data.slots.index("current_frontal")
        study, place = seen.counted.nonzero().unbind(1)  # [N], [N]
        rows = (place == slot) & images.view_mask[study, place]  # [N]
        if not bool(rows.any()):
            return mean_of_all(seen.tokens.sum() * 0.0, 0)  # another process may have some
        patch = self.vision.patch_px * self.settings.target_scale
        views = images.images[study[rows], slot]
        return pixel_error(self.decoder, seen.tokens[rows], seen.keep[rows], views, patch, self.vision)

    def after_step(self) -> None:
        """Keep every scale between 1 and 100."""
        with torch.no_grad():
            self.log_scales.clamp_(0, LOG_SCALE_MOST)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on matrices, CLS and mask token, not on biases, norms and scales: the public code's.

        There the two tokens are [1, 1, D], and what has two dimensions or more decays.
        """
        return decayed_and_plain(self, ("vision.cls", "decoder.mask_token"))


@dataclass(frozen=True)
class Seen:
    """Encoded views.

    Attributes:
        tokens: [N, 1 + K, D], N = counted slots in mask order.
        keep: [N, K], the patches that were encoded.
        counted: bool [B, V], the slots that were encoded.
    """

    tokens: Tensor
    keep: Tensor
    counted: Tensor
