"""Every system's objectives on this process's part of a batch of six; run as a script it is one of several.

python -m tests.distributed.objectives_work FOLDER
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.objectives.masked import IGNORE
from radalign.systems.base import System, create

SIZES = "width=32, depth=2, heads=2, mlp_width=32"
VISION = f"{SIZES}, patch_px=8, image_px=32, seed=1"
TEXT = f"{SIZES}, vocabulary=200, max_tokens=64, seed=2"
TOWERS = [f"backbones.vision={{random={{{VISION}}}}}", f"backbones.text={{random={{{TEXT}}}}}"]
CLIP = [
    f"backbones.vision={{random={{{VISION}, projection=16}}}}",
    f"backbones.text={{random={{{TEXT}, norm='pre', causal=true, projection=16}}}}",
]
SMALL = ["backbones.max_tokens=32", "data.size_px=32"]
TWICE = [*SMALL, "model.decoder_heads=2", "model.decoder_depth=1"]  # targets at twice the size
CLASSES = 'model.classes=["normal", "effusion", "nodule", "fracture", "mass", "pneumonia"]'
TWO_VIEWS = 'data.slots=["current_frontal", "current_lateral"]'
ATTRACTION = "objectives={global_attraction=1.0, local_attraction=0.8, variance=1.0}"
EVERYTHING = (
    "objectives={global_contrastive=1.0, local_contrastive=1.0, global_attraction=1.0, local_attraction=1.0,"
    " variance=1.0, image_reconstruction=1.0, masked_language=1.0}"
)
LABELLED = [*CLIP, *SMALL, TWO_VIEWS, CLASSES]
CASES: dict[str, tuple[str, list[str]]] = {
    "alta": ("alta", [*TOWERS, *TWICE]),
    "alta, missing counted": ("alta", [*TOWERS, *TWICE, "model.official_missing=true"]),
    "clinvla": ("clinvla", [*TOWERS, *TWICE, EVERYTHING]),
    "clinvla, by index": ("clinvla", [*TOWERS, *SMALL, ATTRACTION, "model.local_pairing=index"]),
    "mrm": ("mrm", [*TOWERS, *TWICE]),
    "nearl, prototypes": ("nearl-clip", LABELLED),
    "nearl, batch": ("nearl-clip", [*LABELLED, "model.interaction=batch"]),
    "nearl, instance": ("nearl-clip", [*LABELLED, "model.interaction=instance"]),
    "nearl, reports": ("nearl-align", [*TOWERS, *SMALL]),
    "clip-adapter": ("clip-adapter", LABELLED),
    "tip-adapter": ("tip-adapter-f", [*LABELLED, "model.shots=4"]),
    "heads": ("linear-heads", [*TOWERS, *SMALL]),
    "lora": ("lora", [*TOWERS, *SMALL]),
    "convirt": ("convirt", [*TOWERS, *SMALL]),
    "gloria": ("gloria", [*TOWERS, *SMALL]),
    "biovil-t": ("biovil-t", [*TOWERS, *SMALL, "model.fusion_width=32", "model.fusion_depth=1"]),
    "hica": ("hica", [*TOWERS, *SMALL]),
    "medklip": ("medklip", [*TOWERS, *SMALL, "model.decoder_width=32", "model.decoder_depth=1"]),
}
REPORTS = [
    "Large left effusion with atelectasis of the lower lobe. Heart size normal.",
    "Normal.",
    "Small nodule in the right upper lobe.",
    "No change.",
    "Stable cardiomegaly. No effusion.",
    "Tubes in place.",
]
# Five current views in the first half and three in the second; one study has no current frontal.
VIEWS = [[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 1], [1, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]


def keep_first(count: int, patches: int, ratio: float) -> torch.Tensor:
    """Masks that do not depend on how the batch is divided."""
    return torch.arange(max(1, int(patches * (1 - ratio)))).expand(count, -1)


def hide_even(
    ids: torch.Tensor, maskable: torch.Tensor, mask_id: int, *_: object
) -> tuple[torch.Tensor, ...]:
    """Hidden words that do not depend on how the batch is divided."""
    chosen = maskable & (ids % 2 == 0)
    return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, IGNORE)


@contextmanager
def fixed_masks() -> Iterator[None]:
    with ExitStack() as stack:
        for name in ("alta", "clinvla", "mrm"):
            stack.enter_context(patch(f"radalign.systems.{name}.random_keep", keep_first))
        stack.enter_context(patch("radalign.systems.masked_record.mask_words", hide_even))
        yield


def made(case: str) -> System:
    """The case's system, its adapters shaken so that every part has a gradient."""
    recipe, overrides = CASES[case]
    system = create(recipe, overrides).train()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in system.named_parameters():
            if parameter.requires_grad and "scale" not in name:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return system


def part_of_batch(system: System, rank: int, world: int) -> StudyBatch:
    """The process's studies; each process pads its reports to a length of its own."""
    slots, size = system.recipe.data.slots, system.loading().size_px
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, len(slots), size, size), dtype=torch.uint8, generator=generator)
    mask = torch.tensor(VIEWS)[:, : len(slots)] > 0
    if len(slots) == 1 or "current_lateral" not in slots:
        mask[:, 0] = True
    labels = torch.eye(6, dtype=torch.int8) if getattr(system, "classes", ()) else None
    own = slice(rank * 6 // world, (rank + 1) * 6 // world)
    texts = system.tokenize(REPORTS[own])
    return StudyBatch(
        ImageBatch(images[own], mask[own]), texts, labels=None if labels is None else labels[own]
    )


def losses_and_gradients(case: str, rank: int, world: int) -> dict[str, torch.Tensor]:
    """Of two steps without an update, averaged over processes as the data-parallel wrapper does; buffers."""
    system = made(case)
    batch, found = part_of_batch(system, rank, world), {}
    for step in (1, 2) if "nearl" in case else (1,):  # the second one sees what the first one's images left
        system.zero_grad(set_to_none=True)
        with fixed_masks():
            terms = system.objectives(batch)
        system.total(terms).backward()
        found |= {f"{step} loss {name}": term.detach().clone() for name, term in terms.items()}
        for name, parameter in system.named_parameters():
            if parameter.grad is not None:
                found[f"{step} gradient {name}"] = parameter.grad.clone()
    for value in found.values() if world > 1 else ():
        dist.all_reduce(value)
        value /= world
    return found | {f"buffer {name}": value.clone() for name, value in system.named_buffers()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    number, count = int(os.environ["RANK"]), dist.get_world_size()
    results = {case: losses_and_gradients(case, number, count) for case in CASES}
    torch.save(results, Path(sys.argv[1]) / f"objectives-{number}")
    dist.destroy_process_group()
