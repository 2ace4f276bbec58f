"""ClinVLA: invertible, language and task adapters in both towers; dual view; global and local alignment.

    frontal ─┐ 75 % of patches dropped     ViT  ─ invertible adapter ─ 12 x [layer + language + task adapter]
    ─┐
    lateral ─┘ absent views never encoded
     ├─ heads ─ 128-d
    report ─────────────────────────────  BERT ─ invertible adapter ─ 12 x [layer + language + task adapter]
    ─┘

Global = mean of the CLS of the present views, against the text's pooled token. Local = kept patches against
words.
`temporal` adds the priors' slots, with view and time embeddings; clinvla_reconstruction.py is the optional
head of masked modelling.
References: Front. Physiol. 16:1661960 (doi:10.3389/fphys.2025.1661960); MAD-X, Pfeiffer et al., EMNLP 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.adapters import InvertibleAdapter, StackedAdapter
from radalign.nn.fusion import (
    SlotEmbedding,
    cls_and_mean_patch,
    mean_over_views,
    spread_over_slots,
)
from radalign.nn.heads import ProjectionHead
from radalign.nn.masking import foreground_keep, random_keep
from radalign.nn.vision import VisionEncoder
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather, gather_embeddings
from radalign.objectives.local import Aggregation, LocalScales, local_contrastive
from radalign.objectives.published import Pairing, global_attraction, local_attraction, variance_hinge
from radalign.reports.truncate import truncate
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings, System
from radalign.systems.clinvla_reconstruction import ClinVLAReconstruction
from radalign.systems.contradictions import (
    need_decoder_heads,
    need_downstream_adapters,
    need_maps,
    need_mask,
    need_started_heads,
    need_targets,
)
from radalign.systems.masked_record import MaskedRecordSettings, shrink
from radalign.systems.points import unit_points
from radalign.systems.recipe import Recipe
from radalign.systems.warm_start import ImageFeatures, TextFeatures, WarmMaps

LOG_SCALE_MOST = math.log(100)


class ClinVLASettings(MaskedRecordSettings):
    """ClinVLA's `[model]` section; (R..) and (I..) number requirements and decisions in ARCHITECTURE.md."""

    adapter_hidden: int = Field(
        64, ge=0, description="Bottleneck width d of language and task adapters; 0 = neither (R16)."
    )
    invertible: bool = Field(True, description="Invertible adapter after the embeddings (R14).")
    language: bool = Field(True, description="Language adapter in every layer (R16).")
    task: bool = Field(True, description="Task adapter in every layer (R16).")
    adapter_init: Literal["zero", "he"] = Field(
        "zero", description="`zero` starts as the frozen towers; `he` as printed (I9)."
    )
    stage: Literal["align", "downstream"] = Field(
        "align", description="`downstream` trains task adapters only (R17)."
    )
    mask_ratio: float = Field(
        0.75, ge=0, lt=1, description="Share of patches dropped per view in training (R6)."
    )
    mask: Literal["random", "foreground"] = Field(
        "random", description="How the kept patches are drawn (I6)."
    )
    temporal: bool = Field(
        False, description="Add the prior's slot to every current one in data.slots (R1, I3)."
    )
    whole_sentences: bool = Field(
        True, description="A report that is too long ends with a whole sentence (R11)."
    )
    embedding_width: int = Field(128, ge=2, description="Width of the joint space (R18).")
    text_pool: Literal["cls", "mean"] = Field(
        "cls", description="The text's global token: CLS, or the mean of words."
    )
    image_pool: Literal["cls", "cls+patches"] = Field(
        "cls", description="The view's global token: CLS, or CLS and mean patch."
    )
    local_aggregation: Aggregation = Field(
        "sum", description="How word scores add up; `mean` does not favour long reports."
    )
    local_pairing: Pairing = Field("attention", description="Pairing of the published local objective (I2).")
    warm_start: Literal["none", "cca"] = Field(
        "none", description="`cca`: heads start from the canonical correlation of the frozen features."
    )
    warm_folds: int = Field(5, ge=0, le=20, description="Parts for cross-fitting the warm start; 0 = none.")
    train_heads: bool = Field(
        True, description="Whether the global heads train beside the warm start's maps."
    )
    train_maps: bool = Field(
        False, description="Whether the warm start's maps train too; they overfit at once."
    )
    scale_start: float = Field(
        1 / 0.07, gt=1, le=100, description="Start of the learned inverse temperatures."
    )
    train_backbones: bool = Field(False, description="Full fine-tuning: every backbone parameter trains too.")
    language_lr_share: float = Field(
        0.5, gt=0, description="Learning rate of language adapters against the rest (R21)."
    )


class ClinVLA(System):
    """ClinVLA over any ViT-like vision and BERT-like text backbone.

    Args:
        recipe: With `system = "clinvla"`.
    """

    Settings: ClassVar[type[Settings]] = ClinVLASettings
    objective_names = (
        "global_contrastive",
        "local_contrastive",
        "global_attraction",
        "local_attraction",
        "variance",
        "image_reconstruction",
        "masked_language",
    )
    needs_transformer = True
    settings: ClinVLASettings
    vision: VisionEncoder

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(_with_priors(recipe))
        s, slots = self.settings, self.recipe.data.slots
        need_downstream_adapters(s)
        need_mask(s)
        need_started_heads(s)
        need_maps(s)
        for encoder in (self.vision, self.text):
            encoder.embedding_adapter = (
                InvertibleAdapter(encoder.width, s.adapter_init) if s.invertible else None
            )
            for block in encoder.transformer.blocks:
                if s.adapter_hidden and (s.language or s.task):
                    block.output_adapter = StackedAdapter(
                        encoder.width, s.adapter_hidden, s.language, s.task, s.adapter_init
                    )
        self.slot_embedding: SlotEmbedding | None = None
        if any(slot.startswith("prior") for slot in slots):
            self.slot_embedding = SlotEmbedding(slots, self.vision.width)
        d_img = self.vision.width * (2 if s.image_pool == "cls+patches" else 1)
        self.image_global_head = ProjectionHead(d_img, s.embedding_width)
        self.image_local_head = ProjectionHead(self.vision.width, s.embedding_width)
        self.text_global_head = ProjectionHead(self.text.width, s.embedding_width)
        self.text_local_head = ProjectionHead(self.text.width, s.embedding_width)
        self.log_scales = nn.Parameter(
            torch.full((4,), math.log(s.scale_start))
        )  # global; local: patch, word, logit
        self.maps_head = None
        if s.warm_start == "cca":
            self.maps_head = WarmMaps(self, len(slots), s.warm_folds, s.train_maps)
            self.maps_head.silence(self.image_global_head, self.text_global_head)
        self.reconstruction_head = self._reconstruction()
        self._choose_what_trains()

    def _reconstruction(self) -> ClinVLAReconstruction | None:
        """The head of masked modelling, when an objective asks for it (I4)."""
        if not self.weight("image_reconstruction") and not self.weight("masked_language"):
            return None
        if self.weight("image_reconstruction"):
            need_targets(self.recipe.data.slots, self.settings.mask_ratio)
            need_decoder_heads(self.vision.width, self.settings.decoder_heads)
        return ClinVLAReconstruction(self, self.settings, self.recipe.data.size_px // self.vision.patch_px)

    def _choose_what_trains(self) -> None:
        """Adapters, and the heads and scales that an objective of the recipe reaches; see also `stage`."""
        s, frozen_heads = self.settings, self.maps_head is not None and not self.settings.train_heads
        for head in (self.image_global_head, self.text_global_head):
            head.requires_grad_(self._has_global() and not frozen_heads)
        has_local = bool(self.weight("local_contrastive") or self.weight("local_attraction"))
        for head in (self.image_local_head, self.text_local_head):
            head.requires_grad_(has_local)
        self.log_scales.requires_grad_(
            bool(self.weight("global_contrastive") or self.weight("local_contrastive"))
        )
        if self.reconstruction_head is not None and self.reconstruction_head.decoder is not None:
            self.reconstruction_head.decoder.position.requires_grad_(False)
        if s.train_backbones:
            self.vision.requires_grad_(True)
            self.text.requires_grad_(True)
        if s.stage == "downstream":
            for name, parameter in self.named_parameters():
                kept = ".task." in name or "_head." in name
                parameter.requires_grad_(parameter.requires_grad and kept)

    def _has_global(self) -> bool:
        """Whether an objective trains the global heads; if none does, mean patch and word stand for them."""
        return any(self.weight(name) for name in ("global_contrastive", "global_attraction", "variance"))

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Fill the linear maps from the frozen features of the training studies, when the recipe says so."""
        if self.maps_head is None:
            return {}
        return self.maps_head.fit(self, manifest, progress, self.settings.mask_ratio)

    # -- encoding ----------------------------------------

    @property
    def local_scales(self) -> LocalScales:
        """The learned scales of the local objective."""
        return LocalScales(*self.log_scales[1:].exp())

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E]; local [B, V * K, E] over the kept patches of all slots."""
        return unit_points(self.see(images), not self._has_global())

    def see(self, images: ImageBatch) -> Embeddings:
        """The same before they get unit length, as the local objective takes them."""
        features, local, mask, *_ = self._look(images)
        return Embeddings(self._image_point(features), local, mask)

    def text_points(self, texts: TextBatch) -> Tensor:
        """The texts' global embeddings before they get unit length, where the system has them: [B, E]."""
        return self.read(texts).global_ if self._has_global() else super().text_points(texts)

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, E]; local [B, L - 1, E] over the tokens after CLS."""
        return unit_points(self.read(texts), not self._has_global())

    def read(self, texts: TextBatch) -> Embeddings:
        """The same before they get unit length, as the local objective takes them."""
        features, local, mask = self._read(texts)
        return Embeddings(self._text_point(features), local, mask)

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Token ids [B, L] and mask [B, L]; a text that is too long ends with its last whole sentence."""
        limit = self.recipe.backbones.max_tokens
        if self.settings.whole_sentences:
            texts = [truncate(text, limit, self.tokenizer.count) for text in texts]
        return super().tokenize(texts)

    def _look(self, images: ImageBatch) -> Looked:
        """Encode the present views; in training, only the patches that the mask keeps."""
        present = images.view_mask  # [B, V]
        views = shrink(images.images[present], self.recipe.data.size_px)[
            :, None
        ]  # [N, 1, h, w]: only what is there
        keep = self._keep(views)
        extra = None if self.slot_embedding is None else self.slot_embedding(present)
        tokens = self.vision(views, keep, extra)  # [N, 1 + K, D]
        both = cls_and_mean_patch(tokens)  # [N, 2 D]
        pooled = both if self.settings.image_pool == "cls+patches" else tokens[:, 0]
        head = self.image_global_head(mean_over_views(pooled, present))
        local = spread_over_slots(self.image_local_head(tokens[:, 1:]), present)  # [B, V, K, E]
        mask = present[:, :, None].expand(local.shape[:3])  # [B, V, K]
        kept = all_patches(tokens) if keep is None else keep
        features = ImageFeatures(head, both, present)
        return Looked(features, local.flatten(1, 2), mask.flatten(1, 2), tokens, kept)

    def _read(self, texts: TextBatch) -> tuple[TextFeatures, Tensor, Tensor]:
        """Head output and mean token of texts; local [B, L - 1, E], not normalised, and its mask."""
        tokens = self.text(texts.input_ids, texts.attention_mask)  # [B, L, D]
        mask = texts.attention_mask
        mean = tokens.sum(1) / mask.sum(1, keepdim=True)  # [B, D]; padding rows are zero
        head = self.text_global_head(mean if self.settings.text_pool == "mean" else tokens[:, 0])
        return TextFeatures(head, mean), self.text_local_head(tokens[:, 1:]), mask[:, 1:]

    def _image_point(self, features: ImageFeatures) -> Tensor:
        if self.maps_head is None:
            return features.head
        mapped: Tensor = self.maps_head.image(features.rows, features.present)
        return features.head + mapped

    def _text_point(self, features: TextFeatures) -> Tensor:
        if self.maps_head is None:
            return features.head
        mapped: Tensor = self.maps_head.text(features.mean)
        return features.head + mapped

    def _keep(self, views: Tensor) -> Tensor | None:
        if not self.training or not self.settings.mask_ratio:
            return None
        if self.settings.mask == "foreground":
            return foreground_keep(views, self.vision.patch_px, self.settings.mask_ratio)
        patches = (views.shape[-2] // self.vision.patch_px) * (views.shape[-1] // self.vision.patch_px)
        return random_keep(len(views), patches, self.settings.mask_ratio).to(views.device)

    # -- training ----------------------------------------

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """The recipe's terms of a batch; contrastive ones see the batches of all processes."""
        image, patches, patch_mask, tokens, keep = self._look(batch.images)
        text, words, word_mask = self._read(batch.texts)
        local = (patches, patch_mask, words, word_mask)
        z_img = F.normalize(self._image_point(image).float(), dim=-1)
        z_txt = F.normalize(self._text_point(text).float(), dim=-1)
        terms: dict[str, Tensor] = {}
        if self.weight("global_contrastive"):
            terms["global_contrastive"] = self._global(batch, image, text, z_img, z_txt)
        if self.weight("local_contrastive"):
            terms["local_contrastive"] = self._local(batch, z_img, z_txt, local)
        if self.weight("global_attraction"):
            terms["global_attraction"] = global_attraction(z_img, z_txt)
        if self.weight("local_attraction"):
            terms["local_attraction"] = local_attraction(*local, self.settings.local_pairing)
        if self.weight("variance"):
            terms["variance"] = variance_hinge(gather(z_img)) + variance_hinge(gather(z_txt))
        if self.reconstruction_head is not None:
            views = batch.images.images[batch.images.view_mask]  # [N, H, W]
            seen = mean_over_views(tokens[:, 0], batch.images.view_mask)  # [B, D]
            terms |= self.reconstruction_head.terms(self, tokens, keep, views, batch.texts, seen)
        return terms

    def _global(
        self, batch: StudyBatch, image: ImageFeatures, text: TextFeatures, z_img: Tensor, z_txt: Tensor
    ) -> Tensor:
        scale = self.log_scales[0]
        if self.maps_head is not None and len(self.maps_head.folds) and batch.study_ids:
            return self.maps_head.cross_fitted(image, text, batch.study_ids, scale, batch.same)
        return global_contrastive(gather(z_img), gather(z_txt), scale, batch.same)

    def _local(
        self, batch: StudyBatch, z_img: Tensor, z_txt: Tensor, local: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> Tensor:
        images = gather_embeddings(Embeddings(z_img, local[0], local[1]))
        texts = gather_embeddings(Embeddings(z_txt, local[2], local[3]))
        sides = (images.local, images.mask, texts.local, texts.mask)
        how = self.settings.local_aggregation
        return local_contrastive(*sides, self.local_scales, batch.same, how)  # type: ignore[arg-type]

    def after_step(self) -> None:
        """Keep every scale between 1 and 100."""
        with torch.no_grad():
            self.log_scales.clamp_(0, LOG_SCALE_MOST)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Language adapters at their own learning rate, everything else at the recipe's (R21)."""
        train = self.recipe.train
        language: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                (language if ".language." in name else rest).append(parameter)
        groups = [
            {
                "name": "language adapters",
                "params": language,
                "lr": train.lr * self.settings.language_lr_share,
            },
            {"name": "rest", "params": rest, "lr": train.lr},
        ]
        return [g | {"weight_decay": train.weight_decay} for g in groups if g["params"]]


class Looked(NamedTuple):
    """Encoded studies.

    Attributes:
        features: What the global embedding is made of.
        local: [B, V * K, E], not normalised.
        mask: bool [B, V * K], which of them are there.
        tokens: [N, 1 + K, D] of the present views.
        keep: [N, K], the patches that they are.
    """

    features: ImageFeatures
    local: Tensor
    mask: Tensor
    tokens: Tensor
    keep: Tensor


def all_patches(tokens: Tensor) -> Tensor:
    """The numbers of all patches, where none was dropped: tokens [N, 1 + P, D] -> [N, P]."""
    count = tokens.shape[1] - 1
    return torch.arange(count, device=tokens.device).expand(len(tokens), count)


def _with_priors(recipe: Recipe) -> Recipe:
    """The recipe with the prior's slot of every current slot, when it says `temporal`."""
    slots = recipe.data.slots
    if not recipe.model.get("temporal", False):
        return recipe
    priors = (slot.replace("current", "prior") for slot in slots)
    more = tuple(dict.fromkeys((*slots, *priors)))
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"slots": more})})
