"""A trained system whose adapters are linear -> the plain system over backbones that hold them.

runs/lora ─ W, B A ──> FOLDER/vision, FOLDER/text: W + B A;  recipe: the plain parent of the system
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from radalign.data.batches import ImageBatch, TextBatch
from radalign.nn.merge import Merge, merge_adapters
from radalign.systems.base import System, build, load
from radalign.systems.folder import write_files
from radalign.systems.kinds import SYSTEMS
from radalign.systems.recipe import Recipe
from radalign.weights.tokenizer import NO_TOKENIZER, AbsentTokenizer
from radalign.weights.write import new_folder, write_text, write_vision

CLOSE = 1e-4


class MergeError(ValueError):
    """A system cannot be merged; the message says why and what to do."""


@dataclass(frozen=True)
class Merged:
    """A merged system.

    Attributes:
        folder: Where it is; `radalign.load` opens it.
        layers: Names of the layers whose adapter is now part of their weight.
        difference: Largest difference of embeddings before and after, on random input.
        sentences: What a person should know.
    """

    folder: Path
    layers: tuple[str, ...]
    difference: float
    sentences: tuple[str, ...]


def merge_run(run: str | Path, out: Path) -> Merged:
    """Merge the adapters of a trained system and write it anew, its backbones inside.

    Args:
        run: Folder of the system or of its run.
        out: A folder that is not there yet.

    Raises:
        MergeError: If an adapter is not linear, so that no matrix equals it; nothing is written then.
    """
    system = load(run)
    before = _embedded(system)
    merge = merge_adapters(system)
    _need_all(system, merge)
    with new_folder(out) as partial:
        write_vision(system.vision, partial / "vision")
        write_text(system.text, partial / "text")
        _write_tokenizer(system, partial / "text")
        plain = build(_plain_recipe(system, partial))
        own = plain.own_state()
        plain.load_state_dict({n: t for n, t in system.state_dict().items() if n in own}, strict=False)
        difference = float((_embedded(plain.eval()) - before).abs().max())
        if difference > CLOSE:
            raise MergeError(
                f"The merged system differs by {difference:.1e} from the one it was made of, which rounding "
                "does not explain; keep the adapters."
            )
        write_files(plain, partial, inside={"vision": "./vision", "text": "./text"})
    said = f"Embeddings of random input differ by {difference:.1e} at most. Wrote {out}."
    return Merged(out, merge.merged, difference, (*merge.sentences(), said))


def _need_all(system: System, merge: Merge) -> None:
    if merge.kept or not merge.merged:
        why = " ".join(merge.sentences()) or "It has no adapter of a linear layer."
        raise MergeError(
            f"The adapters of {system.recipe.name!r} cannot become part of the backbones. {why} Nothing was "
            "written; keep the system as it is."
        )


def _plain_recipe(system: System, folder: Path) -> Recipe:
    """The recipe of the plain system that is left: the nearest registered parent of the system's class."""
    homes = {home: key for key, home in SYSTEMS.items()}
    for parent in type(system).__mro__[1:]:
        key = homes.get(f"{parent.__module__}:{parent.__name__}")
        if key is not None and issubclass(parent, System):
            known = parent.Settings.model_fields
            model = {name: value for name, value in system.recipe.model.items() if name in known}
            inside = {"vision": str(folder / "vision"), "text": str(folder / "text")}
            backbones = system.recipe.backbones.model_copy(update=inside)
            return system.recipe.model_copy(update={"system": key, "model": model, "backbones": backbones})
    raise MergeError(
        f"No plain system is left of {system.recipe.system!r} without its adapters; keep it as it is."
    )


def _write_tokenizer(system: System, folder: Path) -> None:
    system.tokenizer.save(folder)
    if isinstance(system.tokenizer, AbsentTokenizer):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {NO_TOKENIZER: True}), "utf-8")


@torch.inference_mode()
def _embedded(system: System) -> torch.Tensor:
    """Embeddings of two random studies and two random texts: [4, E]."""
    generator = torch.Generator().manual_seed(0)
    data, slots = system.recipe.data, len(system.recipe.data.slots)
    images = torch.randint(
        256, (2, slots, data.size_px, data.size_px), dtype=torch.uint8, generator=generator
    )
    ids = torch.randint(5, system.text.config.vocabulary, (2, 4), generator=generator)
    texts = TextBatch(ids, torch.ones_like(ids, dtype=torch.bool))
    seen = ImageBatch(images, torch.ones(2, slots, dtype=torch.bool))
    return torch.cat([system.encode_images(seen).global_, system.encode_texts(texts).global_])
