"""What one process does alone and two do together; run as a script it is one of several.

python -m tests.distributed.shared_work FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F

from radalign.data.batches import Embeddings
from radalign.objectives.contrastive import global_contrastive
from radalign.objectives.gather import gather_embeddings
from radalign.study import Manifest
from radalign.train.loop import train
from tests.training_toy import ToySystem, toy_recipe


def gathered_loss(rank: int, world: int) -> tuple[torch.Tensor, ...]:
    """Loss, gradients and report lengths of this process's part of a batch of six."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 5, generator=generator), torch.randn(6, 5, generator=generator)
    words, lengths = torch.randn(6, 4, 5, generator=generator), torch.tensor([4, 1, 3, 2, 2, 1])
    weight = torch.randn(5, 3, generator=generator).requires_grad_()
    scale = torch.tensor(1.0, requires_grad=True)
    same = 0.7 * torch.eye(6) + 0.3
    own = slice(rank * 6 // world, (rank + 1) * 6 // world)
    x, y, words, lengths = x[own], y[own], words[own], lengths[own]
    longest = int(lengths.max())  # each process pads to a length of its own
    mask = torch.arange(longest) < lengths[:, None]
    img = gather_embeddings(Embeddings(F.normalize(x @ weight, dim=-1)))
    txt = gather_embeddings(Embeddings(F.normalize(y @ weight, dim=-1), words[:, :longest] @ weight, mask))
    loss = global_contrastive(img.global_, txt.global_, scale, same)
    local = (txt.local.sum(-1) * txt.mask).sum(1)  # one number per report, of its own words only
    loss = loss + (local * torch.arange(6.0)).square().mean()
    loss.backward()
    if world > 1:
        for gradient in (weight.grad, scale.grad):  # what the data-parallel wrapper does
            dist.all_reduce(gradient)
            gradient /= world
    return loss.detach(), weight.grad, scale.grad, txt.mask.sum(1)


def trained(folder: Path, name: str, batch_size: int) -> None:
    """Train a toy on the folder's manifest, with accumulation and soft targets."""
    how = {"epochs": 2, "batch_size": batch_size, "accumulate": 2, "validate_at_start": False}
    data = {"augment": {"probability": 0.5}, "soft_targets": {"rule": "identical"}}
    system = ToySystem(toy_recipe(train=how, data=data), dropout=0)
    train(system, Manifest.read(folder / "m.parquet"), folder / name, folder / "pixels", device="cpu")


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, number = Path(sys.argv[1]), int(os.environ["RANK"])
    trained(place, "two", 4)
    torch.save(gathered_loss(number, 2), place / f"gathered-{number}")
    dist.destroy_process_group()
