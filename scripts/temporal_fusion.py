"""How views of two times become one vector, on frozen features: heads and fusions alone, trained in seconds.

    every view ── frozen ViT ── CLS [384] ─┐
                                           fusion over four slots ── head ─┐
    report ── frozen text tower ── mean ─────────────────────────── head ─┴─ InfoNCE

The towers of ALTA at its start are these frozen ones. A fusion that cannot tell change here has to wait until
the adapters have learned to write the time of a view into its CLS.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radalign.data.read_slots import read_slots
from radalign.nn.fusion import AttentionFusion, mean_over_views
from radalign.nn.heads import ProjectionHead
from radalign.objectives.contrastive import global_contrastive
from radalign.reports.assertions import assert_sentence
from radalign.reports.sentences import split_sentences
from radalign.study import Manifest, Study
from radalign.systems.base import create
from radalign.systems.frozen_features import pooled_texts, pooled_views
from radalign.systems.warm_start import fit_canonical
from radalign.train.precision import has_fast_bf16

EPOCHS, BATCH, LR, DECAY = 40, 96, 1e-3, 1e-2


class SlotMatrices(nn.Module):
    """One matrix per slot, starting as the identity, then the mean: the least that can subtract the prior."""

    def __init__(self, width: int, slots: int = 4) -> None:
        super().__init__()
        self.matrices = nn.Parameter(torch.eye(width).repeat(slots, 1, 1))

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """Rows [N, D] of present views, bool [B, V] -> [B, D]."""
        slot = present.nonzero()[:, 1]
        return mean_over_views(torch.einsum("nd,nde->ne", rows, self.matrices[slot]), present)


class SlotAttention(nn.Module):
    """ALTA's attention over views, each told its slot by a learned vector."""

    def __init__(self, width: int, slots: int = 4) -> None:
        super().__init__()
        self.slot = nn.Parameter(torch.randn(slots, width) * 0.5)
        self.attention = AttentionFusion(width)

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """Rows [N, D] of present views, bool [B, V] -> [B, D]."""
        fused: Tensor = self.attention(rows + self.slot[present.nonzero()[:, 1]], present)
        return fused


class Mean(nn.Module):
    """The mean of the present views, as published."""

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """Rows [N, D] of present views, bool [B, V] -> [B, D]."""
        return mean_over_views(rows, present)


FUSIONS: dict[str, Callable[[int], nn.Module]] = {
    "mean": lambda width: Mean(), "matrix per slot": SlotMatrices, "attention with slots": SlotAttention,
}  # fmt: skip

ARMS = [
    ("closed form", 2, "whole report"),
    ("closed form", 4, "whole report"),
    ("mean", 2, "whole report"),
    ("mean", 4, "whole report"),
    ("matrix per slot", 4, "whole report"),
    ("attention with slots", 4, "whole report"),
    ("closed form", 4, "change sentences"),
    ("mean", 4, "change sentences"),
    ("matrix per slot", 4, "change sentences"),
    ("attention with slots", 4, "change sentences"),
]


def change_text(study: Study) -> str:
    """The sentences of a report that say how a finding has changed; the whole body where none does."""
    sentences = split_sentences(study.report.body)
    said = [s for s in sentences if any(a.change for a in assert_sentence(s))]
    return " ".join(said) or study.report.body


@torch.no_grad()
def features(manifest: Manifest, work: Path, size_px: int, prompts: list[str]) -> dict[str, Tensor]:
    """Frozen features of every study, computed once.

    Returns:
        rows [N, 2, 768] (CLS and mean patch of the frontal and the lateral view), present [N, 2], texts and
        change_texts [N, 384], prompts [Q, 384].
    """
    path = work / f"features-{size_px}.pt"
    if path.is_file():
        found: dict[str, Tensor] = torch.load(path, weights_only=True)
        return found
    system = create("frozen", [f"data.size_px={size_px}"]).eval()
    rows, present = [], []
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(torch.device("cpu"))):
        for start in range(0, len(manifest), 32):
            images = read_slots(manifest.studies[start : start + 32], manifest, system.recipe.data)
            pooled = pooled_views(system.vision, images).float()
            out = torch.zeros(*images.view_mask.shape, pooled.shape[1])
            out[images.view_mask] = pooled
            rows.append(out)
            present.append(images.view_mask)

        def read(texts: list[str]) -> Tensor:
            parts = [system.tokenize(texts[i : i + 64]) for i in range(0, len(texts), 64)]
            return torch.cat([pooled_texts(system.text, part).float() for part in parts])

        made = {
            "rows": torch.cat(rows),
            "present": torch.cat(present),
            "texts": read([s.report.body for s in manifest]),
            "change_texts": read([change_text(s) for s in manifest]),
            "prompts": read(prompts),
        }
    torch.save(made, path)
    return made


def four_slots(manifest: Manifest, found: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Features with those of the prior beside them: [N, 4, D] and bool [N, 4]."""
    place = {study.id: i for i, study in enumerate(manifest)}
    prior = torch.tensor([place.get(study.prior_study_id, -1) for study in manifest])
    has = (prior >= 0)[:, None]
    rows = torch.cat([found["rows"], found["rows"][prior.clamp(min=0)]], 1)
    present = torch.cat([found["present"], found["present"][prior.clamp(min=0)] & has], 1)
    return rows * present[..., None], present


def train_fusion(
    fusion: str, rows: Tensor, present: Tensor, texts: Tensor, train: Tensor, seed: int
) -> tuple[nn.Module, nn.Module]:
    """Train a fusion with its image head, and a text head, on the training studies.

    Args:
        fusion: A key of `FUSIONS`.
        rows: CLS of every slot, [N, V, D].
        present: bool [N, V].
        texts: [N, D].
        train: int64, the training studies.
        seed: Of the weights and the order.

    Returns:
        image(rows [n, V, D], present [n, V]) -> [n, 128] and text(x [n, D]) -> [n, 128].
    """
    torch.manual_seed(seed)
    image, text = ImageSide(fusion, rows.shape[-1]), ProjectionHead(texts.shape[-1])
    scale = nn.Parameter(torch.tensor(2.659))
    params = [*image.parameters(), *text.parameters(), scale]
    optimiser = torch.optim.AdamW(params, lr=LR, weight_decay=DECAY)
    steps = EPOCHS * (len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        if step % (len(train) // BATCH) == 0:
            order = train[torch.randperm(len(train))]
        batch = order[(step % (len(train) // BATCH)) * BATCH :][:BATCH]
        z_img, z_txt = image(rows[batch], present[batch]), text(texts[batch])
        loss = global_contrastive(F.normalize(z_img, dim=-1), F.normalize(z_txt, dim=-1), scale)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            scale.clamp_(0, 4.605)
    return image, text


class ImageSide(nn.Module):
    """A fusion and a head over padded slots."""

    def __init__(self, fusion: str, width: int) -> None:
        super().__init__()
        self.fusion, self.head = FUSIONS[fusion](width), ProjectionHead(width)

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        """Rows [n, V, D] under bool [n, V] -> [n, 128]."""
        point: Tensor = self.head(self.fusion(rows[present], present))
        return point


def canonical(rows: Tensor, present: Tensor, texts: Tensor, train: Tensor) -> tuple[nn.Module, nn.Module]:
    """The closed form: a linear map per slot to the canonical directions of images and texts."""
    from radalign.nn.maps import SlotMap, UnitMap

    image, text = SlotMap(rows.shape[1], rows.shape[2], 128), UnitMap(texts.shape[1], 128)
    kept = present[train]
    fit_canonical(image, text, rows[train][kept], kept, texts[train])
    return _Padded(image), text


class _Padded(nn.Module):
    def __init__(self, image: nn.Module) -> None:
        super().__init__()
        self.image = image

    def forward(self, rows: Tensor, present: Tensor) -> Tensor:
        point: Tensor = self.image(rows[present], present)
        return point


def fusion_cells(
    manifest: Manifest, work: Path, pairs: list[Study], size_px: int, prompts: dict[str, str], seeds: int
) -> None:
    """Train every fusion with and without the prior's slots; write `fusion/<arm>-<seed>.npz`, once each."""
    found = features(manifest, work, size_px, list(prompts.values()))
    rows, present = four_slots(manifest, found)
    place = {study.id: i for i, study in enumerate(manifest)}
    train = torch.tensor([i for i, study in enumerate(manifest) if study.split == "train"])
    chosen = torch.tensor([place[study.id] for study in pairs])
    (work / "fusion").mkdir(parents=True, exist_ok=True)
    for seed, (name, slots, text) in product(range(seeds), ARMS):
        path = work / "fusion" / f"{name}, {'priors' if slots == 4 else 'no priors'}, {text}-{seed}.npz"
        if path.is_file() or (seed and name == "closed form"):
            continue
        x, y = rows[:, :slots], found["texts" if text == "whole report" else "change_texts"]
        if name == "closed form":
            image, words = canonical(x, present[:, :slots], y, train)
        else:
            x = x[..., : x.shape[-1] // 2]  # CLS alone, as ALTA pools
            image, words = train_fusion(name, x, present[:, :slots], y, train, seed)
        with torch.inference_mode():
            z = F.normalize(image(x[chosen], present[chosen, :slots]), dim=-1).numpy()
            asked = F.normalize(words(found["prompts"]), dim=-1).numpy()
        ids = np.array([study.id for study in pairs])
        np.savez(path, ids=ids, z=z, **dict(zip(prompts, asked, strict=True)))
