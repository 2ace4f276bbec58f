"""NEARL-CLIP: USEformer queries and orthogonal cross-attention adapters between two frozen towers.

    class prompts ─ text tower ── OCA <── queries <── own tokens + visual prototypes (running means)
                        │ end tokens of every level, cached per class set
    images ───── vision tower ─── OCA <── queries <── own tokens + the class prompts' end tokens

References: arXiv:2508.04101 (no code was published; this is a reconstruction that meets its two parameter
budgets). An image's logits depend on the image, the class set and the prototypes only: never on the batch it
came in.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.nn.fusion import cls_and_mean_patch, mean_over_views
from radalign.nn.heads import ProjectionHead
from radalign.nn.interaction import OrthogonalCrossAttention, Orthogonality, USEformer
from radalign.nn.packing import Packed
from radalign.nn.state import state_of
from radalign.nn.text import last_tokens
from radalign.nn.vision import VisionEncoder
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather, gather_uneven, mean_of_all
from radalign.study import Manifest
from radalign.systems.base import Progress, Settings
from radalign.systems.classifier import Classifier, cosine_logits, targets_of
from radalign.systems.contradictions import Template, interacts, need_own_heads, need_queries
from radalign.systems.frozen_space import LabelMaps, has_joint_space, joint_width, text_pool_of
from radalign.systems.prototypes import learn_prototypes
from radalign.systems.recipe import Recipe, RecipeError
from radalign.systems.warm_start import WarmMaps

CHEST_FINDINGS = (
    "normal", "cardiomegaly", "pleural effusion", "atelectasis", "airspace disease", "emphysema",
    "pulmonary congestion", "pneumothorax", "nodule", "fracture",
)  # fmt: skip


class NEARLSettings(Settings):
    """NEARL-CLIP's `[model]` section."""

    classes: tuple[str, ...] = Field(CHEST_FINDINGS, min_length=1, description="Class set of the prompts.")
    template: Template = Field("a photo of a {}.", description="Prompt of a class; {} is its name.")
    interaction: Literal["prototype", "instance", "batch"] = Field(
        "prototype",
        description="Texts see running means, each image (exact, slow), or all processes' batch.",
    )
    evaluation: Literal["same", "prototype", "instance"] = Field(
        "same", description="What the texts see in evaluation; `same` as in training."
    )
    allow_transductive: bool = Field(False, description="Allow `batch` at evaluation.")
    orthogonality: Orthogonality = Field(
        "both", description="`hard` projects, `soft` penalises, `both`, or `none`."
    )
    useformer: bool = Field(True, description="Queries read the towers; without, they are learned constants.")
    vision_adapters: bool = Field(True, description="OCA in the vision tower.")
    text_adapters: bool = Field(True, description="OCA in the text tower.")
    level_embedding: bool = Field(True, description="A learned vector per level for the queries.")
    useformer_bias: bool = Field(False, description="Biases in USEformer's linear layers.")
    oca_affine: bool = Field(False, description="OCA's norm has weights and its output a bias.")
    detach_feature: bool = Field(
        True, description="No gradient reaches a feature through the projection that it defines."
    )
    query_width: int = Field(256, ge=1, description="Width of the queries.")
    queries: int = Field(4, ge=1, description="M, queries per sequence.")
    inner_width: int = Field(192, ge=1, description="Width of USEformer's attention.")
    inner_heads: int = Field(6, ge=1, description="Heads of USEformer's attention.")
    hidden_width: int = Field(96, ge=1, description="Width of USEformer's feed-forward layer.")
    vision_rank: int = Field(18, ge=1, description="Rank of OCA in the vision tower.")
    text_rank: int = Field(24, ge=1, description="Rank of OCA in the text tower.")
    prototypes: int = Field(4, ge=1, description="Visual prototypes per level.")
    prototype_decay: float = Field(0.99, ge=0, lt=1, description="Decay of their running means.")
    text_pool: Literal["auto", "last", "cls", "mean"] = Field(
        "auto", description="Where a text is read; `auto`: last token (CLIP), CLS (BiomedCLIP) or mean."
    )
    embedding_width: int = Field(128, ge=2, description="Joint space of encoders without one of their own.")
    warm_start: Literal["none", "cca", "labels"] = Field(
        "none", description="Maps beside the heads: `cca` from reports, `labels` to the class sentences."
    )
    map_penalty: float = Field(0.1, gt=0, description="Ridge penalty of the map from `labels`.")


class NEARLCLIP(Classifier):
    """NEARL-CLIP over CLIP, or any vision and text backbone with heads of its own."""

    Settings: ClassVar[type[Settings]] = NEARLSettings
    objective_names = ("classification", "global_contrastive", "orthogonality")
    needs_transformer = True
    settings: NEARLSettings
    vision: VisionEncoder
    prototypes: Tensor
    prototypes_seen: Tensor

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        s, d_v, d_t = self.settings, self.vision.width, self.text.width
        need_queries(s, recipe.objectives)
        self.levels_v = len(self.vision.transformer.blocks)
        self.levels_t = len(self.text.transformer.blocks)
        self.useformer = USEformer(
            d_v, d_t, self.levels_v if s.level_embedding else 0,
            s.query_width, s.queries, s.inner_width, s.inner_heads, s.hidden_width, s.useformer_bias,
            s.useformer and (s.vision_adapters or s.text_adapters),
        )  # fmt: skip
        self.vision_oca = self._adapters(self.levels_v if s.vision_adapters else 0, d_v, s.vision_rank)
        self.text_oca = self._adapters(self.levels_t if s.text_adapters else 0, d_t, s.text_rank)
        self.register_buffer("prototypes", torch.zeros(self.levels_v, s.prototypes, d_v))
        self.register_buffer("prototypes_seen", torch.zeros((), dtype=torch.bool))
        self.log_scale = nn.Parameter(torch.tensor(math.log(100.0)), requires_grad=False)
        self.image_head: ProjectionHead | None = None
        self.text_head: ProjectionHead | None = None
        self.maps_head: WarmMaps | LabelMaps | None = None
        if has_joint_space(self):
            need_own_heads(s.warm_start)
        else:
            self._add_heads(len(recipe.data.slots))
        self.useformer.queries.requires_grad_(interacts(s, self.image_head is not None))
        self.allow_transductive = s.allow_transductive
        self._cached: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}
        self._cached_state: tuple[object, ...] = ()
        self.set_classes(s.classes)

    def _adapters(self, levels: int, width: int, rank: int) -> nn.ModuleList:
        s = self.settings
        alpha = 0.0 if s.orthogonality in ("hard", "both") else 1.0
        return nn.ModuleList(
            OrthogonalCrossAttention(width, rank, s.query_width, 1.0, alpha, s.oca_affine, s.detach_feature)
            for _ in range(levels)
        )

    def _add_heads(self, slots: int) -> None:
        """Encoders without a joint space get heads and a scale that train."""
        s = self.settings
        self.image_head = ProjectionHead(self.vision.width, self.width)
        self.text_head = ProjectionHead(self.text.width, self.width)
        with torch.no_grad():
            self.log_scale.fill_(math.log(1 / 0.07))
        self.log_scale.requires_grad_(True)
        if s.warm_start != "none":
            self.maps_head = WarmMaps(self, slots) if s.warm_start == "cca" else LabelMaps(self)
            WarmMaps.silence(self.image_head, self.text_head)

    @property
    def width(self) -> int:
        """E: the backbone's own joint space, or that of the heads."""
        own = self.text.width if self.settings.warm_start == "labels" else self.settings.embedding_width
        return joint_width(self) or own

    @property
    def learns_from_reports(self) -> bool:
        """Whether an objective reads the reports."""
        return bool(self.weight("global_contrastive"))

    @property
    def learns_from_labels(self) -> bool:
        """Whether an objective reads the classes."""
        return bool(self.weight("classification"))

    # -- class sets ----------------------------------------

    def train(self, mode: bool = True) -> NEARLCLIP:
        """Set the mode; cached class features are made anew."""
        self._cached.clear()
        super().train(mode)
        return self

    def class_features(self) -> tuple[Tensor, Tensor]:
        """Of the class set: texts [C, E], end tokens [K_t, C, D_t]; in evaluation read once per set."""
        if self.training or torch.is_grad_enabled():
            return self._read(self.class_prompts(), self.prototypes)[:2]
        state = state_of(self)
        if state != self._cached_state:  # weights changed, moved or got another type: every set is stale
            self._cached, self._cached_state = {}, state
        if self.classes not in self._cached:
            self._cached[self.classes] = self._read(self.class_prompts(), self.prototypes)[:2]
        return self._cached[self.classes]

    def class_texts(self) -> Tensor:
        """One embedding per class: [C, E]."""
        return F.normalize(self.class_features()[0], dim=-1)

    # -- encoding ----------------------------------------

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E], the mean over their views."""
        self._refuse_transductive()
        z, _, _ = self._look(images, self.class_features()[1])
        return Embeddings(F.normalize(z, dim=-1))

    def text_points(self, texts: TextBatch) -> Tensor:
        """The texts' global embeddings before they get unit length: [B, E]."""
        return self._read(texts, self.prototypes)[0]

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed any texts: global [B, E]."""
        z, _, _ = self._read(texts, self.prototypes)
        return Embeddings(F.normalize(z, dim=-1))

    @property
    def interaction(self) -> str:
        """What the texts see in the present mode: `prototype`, `instance` or `batch`."""
        s = self.settings
        return s.interaction if self.training or s.evaluation == "same" else s.evaluation

    def evidence(self, images: ImageBatch) -> Tensor:
        """The embeddings [B, E], or the logits [B, C] themselves where the texts see images."""
        self._refuse_transductive()
        prototype = self.interaction == "prototype"
        return self.encode_images(images).global_ if prototype else self._lockstep(images)[0]

    def decide(self, evidence: Tensor) -> Tensor:
        """Scaled cosine of every study with every class: [B, C]."""
        if self.interaction != "prototype":
            return evidence
        return cosine_logits(self.log_scale.exp(), evidence, self.class_features()[0])

    def _refuse_transductive(self) -> None:
        if self.interaction == "batch" and not self.training and not self.allow_transductive:
            raise RecipeError(
                "interaction = 'batch' makes an image's result depend on its batch; train with "
                "model.evaluation='prototype' or 'instance', or evaluate with --allow-transductive "
                "(in training: model.allow_transductive=true)."
            )

    def _read(self, texts: TextBatch, prototypes: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The text tower: embeddings [R, E], end tokens [K_t, R, D_t], cos^2 of every level."""
        packed, mask = self.text.embed(texts.input_ids, texts.attention_mask), texts.attention_mask
        z, ends, terms = self.useformer.start(len(texts)), [], []
        for k, block in enumerate(self.text.transformer.blocks):
            packed = packed.replace(block(packed.tokens, packed.layout))
            level = _matching(k, self.levels_t, self.levels_v)
            visual = prototypes[level].expand(len(texts), -1, -1)  # [R, A, D_v]
            packed, z, term = self._adapt_text(packed, mask, z, k, visual)
            ends.append(self._end(packed.unpack(), mask))
            terms += term
        return self._project_text(self.text.finish(packed), mask), torch.stack(ends), terms

    def _adapt_text(
        self, packed: Packed, mask: Tensor, z: Tensor, k: int, visual: Tensor
    ) -> tuple[Packed, Tensor, list[Tensor]]:
        """One level of the text tower: visual [R, A, D_v] are the image tokens that its queries read."""
        if not self.text_oca:
            return packed, z, []
        tokens = packed.unpack()  # [R, L, D_t]
        seen = torch.ones(visual.shape[:2], dtype=torch.bool, device=mask.device)
        if self.settings.useformer:
            level = _matching(k, self.levels_t, self.levels_v)
            z = self.useformer(z, level, visual, tokens, torch.cat([seen, mask], 1))
        tokens, term = self.text_oca[k](tokens, z, mask)
        return Packed(tokens.flatten(0, 1)[packed.layout.gather], packed.layout), z, [term]

    def _look(self, images: ImageBatch, ends: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The vision tower: embeddings [B, E], CLS of every level [K_v, N, D_v], cos^2 of every level."""
        packed = self.vision.embed(images.images[images.view_mask][:, None])
        count = packed.layout.batch
        z, seen, terms = self.useformer.start(count), [], []
        for k, block in enumerate(self.vision.transformer.blocks):
            packed = packed.replace(block(packed.tokens, packed.layout))
            text = ends[_matching(k, self.levels_v, self.levels_t)].expand(count, -1, -1)  # [N, C, D_t]
            packed, z, term = self._adapt_vision(packed, z, k, text)
            seen.append(packed.unpack()[:, 0])
            terms += term
        return self._project_image(self.vision.finish(packed), images.view_mask), torch.stack(seen), terms

    def _adapt_vision(
        self, packed: Packed, z: Tensor, k: int, text: Tensor
    ) -> tuple[Packed, Tensor, list[Tensor]]:
        """One level of the vision tower: text [N, C, D_t] are the end tokens that its queries read."""
        if not self.vision_oca:
            return packed, z, []
        tokens = packed.unpack()  # [N, 1 + P, D_v]
        if self.settings.useformer:
            z = self.useformer(z, k, tokens, text)
        tokens, term = self.vision_oca[k](tokens, z)
        return packed.replace(tokens.flatten(0, 1)), z, [term]

    def _lockstep(self, images: ImageBatch) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Both towers level by level, the texts seeing each image (R = N * C) or the batch (R = C).

        In training, the batch is that of all processes; in evaluation each process has its own.
        """
        instance = self.interaction == "instance"
        prompts, view_mask = self.class_prompts(), images.view_mask
        vision = self.vision.embed(images.images[view_mask][:, None])
        n, c = vision.layout.batch, len(prompts)
        ids, mask = prompts.input_ids, prompts.attention_mask
        if instance:
            ids, mask = ids.repeat(n, 1), mask.repeat(n, 1)  # [N * C, L]
        text = self.text.embed(ids, mask)
        z_v, z_t = self.useformer.start(n), self.useformer.start(len(ids))
        done, seen = 0, []
        terms: list[Tensor] = []
        for k, block in enumerate(self.vision.transformer.blocks):
            vision = vision.replace(block(vision.tokens, vision.layout))
            cls = vision.unpack()[:, 0]  # [N, D_v]
            while done <= _matching(k, self.levels_v, self.levels_t):
                text = text.replace(self.text.transformer.blocks[done](text.tokens, text.layout))
                everyone = gather_uneven(cls) if self.training and not instance else cls
                visual = cls[:, None].repeat_interleave(c, 0) if instance else everyone.expand(c, -1, -1)
                text, z_t, term = self._adapt_text(text, mask, z_t, done, visual)
                terms, done = terms + term, done + 1
            ends = self._end(text.unpack(), mask)  # [R, D_t]
            ends = ends.view(n, c, -1) if instance else ends.expand(n, -1, -1)
            vision, z_v, term = self._adapt_vision(vision, z_v, k, ends)
            seen.append(vision.unpack()[:, 0])
            terms += term
        z_img = self._project_image(self.vision.finish(vision), view_mask)  # [B, E]
        z_txt = self._project_text(self.text.finish(text), mask)  # [R, E]
        if instance:
            z_txt = mean_over_views(z_txt.view(n, -1), view_mask).view(len(z_img), c, -1)  # [B, C, E]
            return cosine_logits(self.log_scale.exp(), z_img[:, None], z_txt)[:, 0], torch.stack(seen), terms
        return cosine_logits(self.log_scale.exp(), z_img, z_txt), torch.stack(seen), terms

    def _end(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Where a text is read: [R, L, D_t] -> [R, D_t]."""
        asked = self.settings.text_pool
        pool = text_pool_of(self.text) if asked == "auto" else asked
        if pool == "mean":
            return tokens.sum(1) / mask.sum(1, keepdim=True)
        return last_tokens(tokens, mask) if pool == "last" else tokens[:, 0]

    def _project_text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        if self.text_head is None:
            own: Tensor = self.text.projection(self._end(tokens, mask))  # type: ignore[misc]
            return own
        z: Tensor = self.text_head(self._end(tokens, mask))
        mean = tokens.sum(1) / mask.sum(1, keepdim=True)  # [R, D_t]; padding rows are zero
        return z if self.maps_head is None else z + self.maps_head.text(mean)

    def _project_image(self, tokens: Tensor, present: Tensor) -> Tensor:
        if self.image_head is None:
            return mean_over_views(self.vision.projection(tokens[:, 0]), present)  # type: ignore[misc]
        z: Tensor = self.image_head(mean_over_views(tokens[:, 0], present))
        if self.maps_head is None:
            return z
        both = cls_and_mean_patch(tokens)  # [N, 2 D_v]
        mapped: Tensor = self.maps_head.image(both, present)
        return z + mapped

    # -- training ----------------------------------------

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Fill the linear maps from the frozen features of the training studies, when the recipe says so."""
        maps = self.maps_head
        if isinstance(maps, LabelMaps):
            return maps.fit(self, manifest, self.settings.map_penalty, progress)
        return {} if maps is None else maps.fit(self, manifest, progress)

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """The recipe's terms: classes of labelled images, and/or pairs of studies and reports."""
        prototypes = self.prototypes.clone()  # the buffer moves below, before the backward pass reads it
        if self.settings.interaction == "prototype":
            z_txt, ends, terms = self._read(self.class_prompts(), prototypes)
            z_img, seen, more = self._look(batch.images, ends)
            logits, terms = cosine_logits(self.log_scale.exp(), z_img, z_txt), terms + more
        else:
            logits, seen, terms = self._lockstep(batch.images)
        losses: dict[str, Tensor] = {}
        if self.weight("classification"):
            losses["classification"] = F.cross_entropy(logits, targets_of(batch, len(self.classes)))
        if self.weight("global_contrastive"):
            z_rep, _, more = self._read(batch.texts, prototypes)
            losses["global_contrastive"] = self._pairs(z_img, z_rep, batch.same)
            terms = terms + more
        if self.weight("orthogonality") and self.settings.orthogonality in ("soft", "both"):
            sums = torch.stack(terms).unbind(1) if terms else (logits.sum() * 0.0, logits.new_ones(()))
            losses["orthogonality"] = mean_of_all(*sums).mean()
        if self.training:
            decay = self.settings.prototype_decay
            learn_prototypes(self.prototypes, self.prototypes_seen, seen, decay)
        return losses

    def _pairs(self, z_img: Tensor, z_rep: Tensor, same: Tensor | None) -> Tensor:
        one, two = gather(F.normalize(z_img.float(), dim=-1)), gather(F.normalize(z_rep.float(), dim=-1))
        return global_contrastive(one, two, self.log_scale, same)

    def after_step(self) -> None:
        """Keep the scale between 1 and 100."""
        with torch.no_grad():
            self.log_scale.clamp_(0, math.log(100))


def _matching(level: int, own: int, other: int) -> int:
    """The level of the other tower that is as deep: 12 and 6 levels match 2 to 1.

    >>> [_matching(k, 12, 6) for k in range(4)], [_matching(k, 6, 12) for k in range(3)]
    ([0, 0, 1, 1], [1, 3, 5])
    """
    return max(1, math.ceil((level + 1) * other / own)) - 1
