"""ALTA's contrastive objectives on this process's part of a batch; run as a script it is one of several.

python -m tests.distributed.alta_work FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from radalign.data.batches import ImageBatch, StudyBatch
from radalign.systems.base import create

SIZES = "width=32, depth=1, heads=2, mlp_width=32"
REPORTS = [
    "Large left effusion with atelectasis of the lower lobe. Heart size normal.",
    "Normal.",
    "Small nodule in the right upper lobe.",
    "No change.",
    "Stable cardiomegaly. No effusion.",
    "Tubes in place.",
]


def contrastive(rank: int, world: int) -> dict[str, torch.Tensor]:
    """Both losses, their gradients (averaged over processes) and the lengths of all reports."""
    system = create(
        "alta",
        [
            f"backbones.vision={{random={{{SIZES}, patch_px=8, image_px=32, seed=1}}}}",
            f"backbones.text={{random={{{SIZES}, vocabulary=200, max_tokens=64, seed=2}}}}",
            "backbones.max_tokens=32",
            "model.embedding_width=16",
            "model.mask_ratio=0.0",
            "model.decoder_heads=2",
            "data.size_px=32",
            "objectives={global_contrastive=1.0, local_contrastive=1.0}",
        ],
    ).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, 4, 32, 32), dtype=torch.uint8, generator=generator)
    mask = (
        torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]]) > 0
    )
    own = slice(rank * 6 // world, (rank + 1) * 6 // world)
    texts = system.tokenize(REPORTS[own])  # each process pads to a length of its own
    terms = system.objectives(StudyBatch(ImageBatch(images[own], mask[own]), texts))
    system.total(terms).backward()
    found = {name: term.detach() for name, term in terms.items()}
    for name, parameter in system.named_parameters():
        if parameter.grad is not None:
            if world > 1:  # what the data-parallel wrapper does
                dist.all_reduce(parameter.grad)
                parameter.grad /= world
            found[name] = parameter.grad
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    number = int(os.environ["RANK"])
    torch.save(contrastive(number, dist.get_world_size()), Path(sys.argv[1]) / f"alta-{number}")
    dist.destroy_process_group()
