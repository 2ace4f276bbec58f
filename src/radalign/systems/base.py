"""The contract everything above hangs on: encode studies and texts into one space, and state a loss.

    StudyBatch ──encode_images──> Embeddings ─┐
               ──encode_texts───> Embeddings ─┴─ objectives ──> named terms, total = sum of weight * term

`train`, `evaluate`, `search` and `serve` know only this. A new system is one file beside this one and one
recipe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn

from radalign.data.batches import Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.data.settings import DataSettings
from radalign.nn.tower import VisionTower
from radalign.nn.vision import VisionEncoder
from radalign.study import Manifest, Study
from radalign.systems.asked import list_of_studies, list_of_texts, need_batch_size
from radalign.systems.contradictions import need_objective, need_transformer, need_whole_patches
from radalign.systems.devices import need_device
from radalign.systems.kinds import system_class
from radalign.systems.recipe import Recipe, RecipeError, explain, load_recipe
from radalign.weights.hub import load_text, load_vision

_DATA = DataSettings().model_dump()
Progress = Callable[[Iterable[Any], str], Iterable[Any]]


class Settings(BaseModel):
    """Base of every system's `[model]` section: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class System(nn.Module):
    """Backbones, adapters, heads and objectives of one method.

    Args:
        recipe: The full settings; `recipe.model` must fit the class's own `Settings`.

    Raises:
        RecipeError: If a model setting or an objective's name is unknown to this system.
    """

    Settings: ClassVar[type[Settings]] = Settings
    objective_names: ClassVar[tuple[str, ...]] = ()
    aligns: ClassVar[bool] = True  # False: no space shared with texts, so that losses validate a run
    needs_transformer: ClassVar[bool] = False  # True: works inside the blocks of the vision tower
    vision: VisionTower

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.settings = self._checked(recipe)
        self.recipe = recipe
        self.vision = load_vision(recipe.backbones.vision)
        if isinstance(self.vision, VisionEncoder):
            need_whole_patches(recipe.data.size_px, self.vision.patch_px)
        elif self.needs_transformer:
            need_transformer(recipe.system, self.vision.identity)
        if recipe.data.mean:
            self.vision.mean, self.vision.std = _three(recipe.data.mean), _three(recipe.data.std)
        self.text, self.tokenizer = load_text(recipe.backbones.text)
        self._backbone_names = frozenset(name for name, _ in self.named_parameters())
        self.feature_cache: Path | None = None  # where a warm start keeps the features of frozen towers
        self.backbones = {"vision": self.vision.identity, "text": self.text.identity}
        self.requires_grad_(False)

    def _checked(self, recipe: Recipe) -> Any:
        unknown = sorted(set(recipe.objectives) - set(self.objective_names))
        if unknown:
            raise RecipeError(
                f"The system {recipe.system!r} has no objective {', '.join(unknown)}; "
                f"it has {', '.join(self.objective_names)}."
            )
        try:
            return self.Settings.model_validate(recipe.model)
        except ValidationError as error:
            raise RecipeError(
                f"The [model] section of {recipe.name!r} is wrong:\n{explain(error, self.Settings)}"
            ) from error

    # -- what a system must say ----------------------------------------

    def encode_images(self, images: ImageBatch) -> Embeddings:
        """Embed studies: global [B, E], local [B, N, E], mask [B, N]."""
        raise TypeError(f"{type(self).__name__} does not encode images; every system must.")

    def encode_texts(self, texts: TextBatch) -> Embeddings:
        """Embed texts: global [B, E], local [B, L, E], mask [B, L]."""
        raise TypeError(f"{type(self).__name__} does not encode texts; every system must.")

    def text_points(self, texts: TextBatch) -> Tensor:
        """The texts' global embeddings before they get unit length: [B, E].

        A system whose heads end at unit length has no others, and gives those.
        """
        return self.encode_texts(texts).global_

    def objectives(self, batch: StudyBatch) -> dict[str, Tensor]:
        """Named loss terms of a batch, unweighted."""
        raise TypeError(f"{type(self).__name__} has no objectives; every system must.")

    def warm_start(self, manifest: Manifest, progress: Progress | None = None) -> dict[str, float]:
        """Prepare the heads from the training studies before the first step; by default, nothing.

        Returns:
            Numbers worth keeping in the run's record.
        """
        return {}

    @property
    def learns_from_reports(self) -> bool:
        """Whether a training study needs a report."""
        return True

    @property
    def learns_from_labels(self) -> bool:
        """Whether a training study needs a class; such a system is a `Classifier`."""
        return False

    def after_step(self) -> None:
        """Called after every optimiser step (clamps, running averages)."""

    # -- what every system shares ----------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Weighted sum of the terms, by the recipe's weights.

        Raises:
            RecipeError: If there is no term.
        """
        weighted = [self.weight(name) * term for name, term in terms.items()]
        if not weighted:
            need_objective(True, {}, self.objective_names)
        return torch.stack(weighted).sum()

    def weight(self, objective: str) -> float:
        """The recipe's weight of an objective, 0 when it is off."""
        return self.recipe.objectives.get(objective, 0.0)

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; frozen parts of backbones stay in evaluation mode, their dropout off."""
        super().train(mode)
        if not mode:
            return self
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        around = {name[:end] for name in trained for end, sign in enumerate(name) if sign == "."}
        for name, module in self.named_modules():
            if name.startswith(("vision", "text")) and name not in around:
                module.training = False
        return self

    def tokenize(self, texts: Sequence[str]) -> TextBatch:
        """Token ids [B, L] and mask [B, L], cut to the recipe's `backbones.max_tokens`."""
        ids, mask = self.tokenizer(list(texts), self.recipe.backbones.max_tokens)
        return TextBatch(ids, mask)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups; one group with the recipe's learning rate unless a system says otherwise."""
        train = self.recipe.train
        params = [p for p in self.parameters() if p.requires_grad]
        return [{"name": "all", "params": params, "lr": train.lr, "weight_decay": train.weight_decay}]

    def trainable_report(self) -> dict[str, dict[str, int]]:
        """Parameters by part: {part: {"all": n, "trainable": m}}, with a row `total`."""
        rows: dict[str, dict[str, int]] = {}
        for name, parameter in self.named_parameters():
            for part in (part_of(name, name in self._backbone_names), "total"):
                row = rows.setdefault(part, {"all": 0, "trainable": 0})
                row["all"] += parameter.numel()
                row["trainable"] += parameter.numel() * parameter.requires_grad
        rows["total"] = rows.pop("total")
        return rows

    # -- embedding what users have ----------------------------------------

    @torch.inference_mode()
    def embed_studies(
        self,
        studies: Iterable[Study],
        manifest: Manifest | None = None,
        batch_size: int = 32,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Read the images of studies and embed them.

        Args:
            studies: With at least one readable view each.
            manifest: Resolves relative paths and priors; without it paths are taken as they are.
            batch_size: Studies per forward pass.
            progress: Wraps the loop over batches, for a progress bar.

        Returns:
            float32 [N, E], L2-normalised.

        Raises:
            ImageError: If an image cannot be read.
            BatchError: If a study has no view for any slot, or something else than a study is given.
        """
        from radalign.data.read_slots import read_slots

        chosen = list_of_studies(studies)
        need_batch_size(batch_size)
        if not chosen:
            return np.zeros((0, self.width), np.float32)
        source = manifest if manifest is not None else Manifest(chosen, Path())
        starts: Iterable[int] = range(0, len(chosen), batch_size)
        was_training = self.training
        self.eval()
        rows = []
        for start in starts if progress is None else progress(starts, "Embedding studies"):
            batch = read_slots(chosen[start : start + batch_size], source, self.recipe.data)
            rows.append(self.encode_images(batch.to(self.device)).global_.float().cpu().numpy())
        self.train(was_training)
        return np.concatenate(rows)

    @torch.inference_mode()
    def embed_texts(self, texts: Iterable[str], batch_size: int = 128, normalise: bool = True) -> np.ndarray:
        """Embed sentences or reports.

        Args:
            texts: N texts; longer ones than the recipe's `backbones.max_tokens` are cut.
            batch_size: Texts per forward pass.
            normalise: False gives the heads' output as it is, to pool prompts before unit length.

        Returns:
            float32 [N, E], L2-normalised unless asked otherwise.

        Raises:
            BatchError: If `texts` is a single string, or holds something else than strings.
        """
        chosen = list_of_texts(texts)
        need_batch_size(batch_size)
        if not chosen:
            return np.zeros((0, self.width), np.float32)
        was_training = self.training
        self.eval()
        rows = []
        for i in range(0, len(chosen), batch_size):
            batch = self.tokenize(chosen[i : i + batch_size]).to(self.device)
            z = self.encode_texts(batch).global_ if normalise else self.text_points(batch)
            rows.append(z.float().cpu().numpy())
        self.train(was_training)
        return np.concatenate(rows)

    @property
    def width(self) -> int:
        """E, the width of the joint space."""
        return int(getattr(self.settings, "embedding_width", 128))

    def loading(self) -> DataSettings:
        """How training reads images: larger than the encoder sees them where their pixels are rebuilt."""
        rebuilds = bool(self.weight("image_reconstruction"))
        return self.recipe.data.enlarged(getattr(self.settings, "target_scale", 1) if rebuilds else 1)

    def need_fitting_beginning(self) -> None:
        """Refuse a new system whose beginning does not fit its settings; one that was saved is left alone."""

    # -- travelling ----------------------------------------

    def own_state(self) -> dict[str, Tensor]:
        """The system's own: every tensor that is not a frozen part of a backbone."""
        trainable = {name for name, p in self.named_parameters() if p.requires_grad}
        buffers = {name for name, _ in self.named_buffers()}
        encoder_buffers = {n for n in buffers if n.startswith(("vision.", "text.")) and "adapter" not in n}
        skip = (self._backbone_names - trainable) | encoder_buffers
        return {n: t.detach().cpu().contiguous() for n, t in self.state_dict().items() if n not in skip}

    def built_again(self) -> frozenset[str]:
        """Own tensors that never change and that building the system gives back: they need not travel."""
        return frozenset()

    def saved_state(self) -> dict[str, Tensor]:
        """What a saved system holds: its own tensors without those that are built again."""
        again = self.built_again()
        return {name: tensor for name, tensor in self.own_state().items() if name not in again}

    @property
    def identity(self) -> str:
        """SHA-256 over what decides an embedding: backbones, settings, preprocessing and own tensors."""
        digest = hashlib.sha256("".join(weights_hash(b) for b in self.backbones.values()).encode())
        digest.update(json.dumps(self._embedding_settings(), sort_keys=True).encode())
        for name, tensor in sorted(self.own_state().items()):
            digest.update(name.encode())
            digest.update(
                tensor.view(torch.uint8).numpy().tobytes() if tensor.ndim else str(tensor.item()).encode()
            )
        return digest.hexdigest()

    def _embedding_settings(self) -> dict[str, Any]:
        data = self.recipe.data
        kept = {k: getattr(data, k) for k in ("size_px", "geometry", "window", "slots", "unknown_view")}
        # What a later version added counts where it is set, so that old identities stay.
        later = ("resize_px", "resample", "mean", "std", "force_window", "crop_collimation")
        kept |= {k: v for k in later if (v := getattr(data, k)) != _DATA[k]}
        return {
            "system": self.recipe.system,
            # without defaults, so that a setting which a later version adds leaves old identities alone
            "model": self.settings.model_dump(mode="json", exclude_defaults=True),
            "max_tokens": self.recipe.backbones.max_tokens,
            **json.loads(json.dumps(kept)),
        }

    def save(self, folder: str | Path, card: str = "") -> None:
        """Write a system folder: recipe, own tensors, backbone identities, preprocessing, model card."""
        from radalign.systems.folder import write_system

        write_system(self, Path(folder), card)


def _three(numbers: Sequence[float]) -> tuple[float, float, float]:
    """One number for each colour channel, or three: [1] or [3] -> 3."""
    red, green, blue = numbers if len(numbers) == 3 else (*numbers, *numbers, *numbers)
    return float(red), float(green), float(blue)


def weights_hash(identity: str) -> str:
    """The SHA-256 in a backbone's identity, without the name or path it was loaded by.

    >>> weights_hash("minilm-l6 sha256:ab12")
    'ab12'
    """
    return identity.rpartition("sha256:")[2]


def part_of(name: str, is_backbone: bool) -> str:
    """The part of a system that a parameter belongs to: `vision backbone`, `text adapters`, `heads`, ...

    >>> part_of("vision.transformer.blocks.0.output_adapter.task.up.weight", False)
    'vision adapters'
    """
    first = name.split(".", 1)[0]
    if first in ("vision", "text"):
        return f"{first} {'backbone' if is_backbone else 'adapters'}"
    return "heads" if "head" in first or "scale" in first else first


def build(recipe: Recipe) -> System:
    """Make the system that a recipe describes, its trainable parts drawn from `recipe.train.seed`.

    Raises:
        RecipeError: If the system or a setting is unknown.
    """
    make = system_class(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        return make(recipe)


def create(name_or_path: str | Path, overrides: Sequence[str] = ()) -> System:
    """Make an untrained system from a recipe's name or path and dotted overrides."""
    system = build(load_recipe(name_or_path, overrides))
    system.need_fitting_beginning()
    return system


def load(folder: str | Path, device: str | torch.device = "cpu") -> System:
    """Load a trained system from its folder, from a run's folder (its best one), or from `hf://org/name`.

    Raises:
        SystemFolderError: If a file is missing or damaged, or a backbone is not the one it was trained on.
        DeviceError: If the device is not there.
    """
    from radalign.systems.folder import read_system

    where = need_device(device)
    return read_system(folder).to(where)
