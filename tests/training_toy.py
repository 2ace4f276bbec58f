"""A system of two linear layers that really learns, and studies to learn from: for tests of the loop."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from radalign.data.batches import Embeddings, TextBatch
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather_embeddings
from radalign.study import Manifest, Report, Study, View
from radalign.systems.recipe import Recipe, recipe_from_table

PLACES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota"]
VOCABULARY = 64


def toy_recipe(**sections) -> Recipe:
    """A recipe with small, calm settings; keywords are sections such as `train={"epochs": 2}`."""
    train = {"epochs": 3, "batch_size": 8, "lr": 0.02, "warmup_epochs": 0.5, "precision": "fp32"}
    data = {"size_px": 24, "augment": {"probability": 0.0}}
    return recipe_from_table(
        {
            "name": "toy",
            "system": "toy",
            "backbones": {"vision": "none", "text": "none"},
            "objectives": sections.pop("objectives", {"contrastive": 1.0}),
            "train": train | sections.pop("train", {}),
            "data": data | sections.pop("data", {}),
        }
    )


class ToySystem(nn.Module):
    """Mean pixels of a grid, and a bag of words, each through one linear layer."""

    def __init__(self, recipe: Recipe, width: int = 16, dropout: float = 0.1) -> None:
        super().__init__()
        self.recipe = recipe
        generator = torch.Generator().manual_seed(recipe.train.seed)
        self.image_head = nn.Linear(36 * len(recipe.data.slots), width)
        self.text_head = nn.Linear(VOCABULARY, width)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 8
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.dropout = nn.Dropout(dropout)

    def encode_images(self, images) -> Embeddings:
        grey = images.images.float() / (255 if images.images.dtype == torch.uint8 else 1)
        small = F.adaptive_avg_pool2d(grey, 6) * images.view_mask[:, :, None, None]  # [B, V, 6, 6]
        return Embeddings(F.normalize(self.image_head(self.dropout(small.flatten(1))), dim=-1))

    def encode_texts(self, texts) -> Embeddings:
        bag = F.one_hot(texts.input_ids, VOCABULARY) * texts.attention_mask[:, :, None]
        return Embeddings(F.normalize(self.text_head(bag.sum(1).clamp(max=1).float()), dim=-1))

    def objectives(self, batch) -> dict:
        z_img = gather_embeddings(self.encode_images(batch.images)).global_
        z_txt = gather_embeddings(self.encode_texts(batch.texts)).global_
        terms = {}
        if "contrastive" in self.recipe.objectives:
            terms["contrastive"] = global_contrastive(z_img, z_txt, self.log_scale, batch.same)
        if "attraction" in self.recipe.objectives:
            terms["attraction"] = (1 - (z_img * z_txt).sum(-1)).mean()
        return terms

    def total(self, terms) -> torch.Tensor:
        return sum(self.recipe.objectives[name] * term for name, term in terms.items())

    def tokenize(self, texts) -> TextBatch:
        rows = [
            [zlib.crc32(word.encode()) % (VOCABULARY - 1) + 1 for word in text.lower().split()]
            for text in texts
        ]
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
        mask = torch.zeros(ids.shape, dtype=torch.bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), True
        return TextBatch(ids, mask)

    def parameter_groups(self) -> list[dict]:
        heads = [*self.image_head.parameters(), *self.text_head.parameters()]
        lr = self.recipe.train.lr
        return [{"name": "heads", "params": heads, "lr": lr}, {"params": [self.log_scale], "lr": lr / 10}]

    def warm_start(self, manifest, progress=None) -> dict:
        return {}

    def after_step(self) -> None:
        self.log_scale.data.clamp_(0, math.log(100))

    def own_state(self) -> dict:
        return {n: t.detach() for n, t in self.state_dict().items() if not n.startswith("frozen")}

    def save(self, folder, card="") -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "adapters.partial"
        try:
            save_file({n: t.clone() for n, t in self.own_state().items()}, partial)
            partial.replace(folder / "adapters.safetensors")
        finally:
            partial.unlink(missing_ok=True)
        (folder / "README.md").write_text(card, encoding="utf-8")


def toy_manifest(folder: Path, studies: int = 48, side: int = 30, validate: float = 1 / 3) -> Manifest:
    """Studies whose report names the place of a bright square; every third has no lateral view."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    made = []
    for i in range(studies):
        place = i % len(PLACES)
        views = []
        for position in ("PA", "LL") if i % 3 else ("PA",):
            image = rng.integers(0, 60, (side, side)).astype(np.uint8)
            row, column = (side // 3 * x for x in divmod(place, 3))
            image[row : row + side // 3, column : column + side // 3] += 150
            path = folder / f"{i}-{position}.png"
            Image.fromarray(image).save(path)
            views.append(View(path.name, position))
        name = PLACES[place]
        report = Report(findings=f"Opacity at {name}. Heart normal.", impression=f"Lesion {name}.")
        split = "validate" if i >= studies * (1 - validate) else "train"
        made.append(Study(f"s{i}", f"p{i}", tuple(views), report, labels={name: 1}, split=split))
    return Manifest(made, folder)
