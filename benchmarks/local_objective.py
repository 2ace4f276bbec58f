"""Is the local objective, done for a whole batch at once, faster than a loop over reports?

    python benchmarks/local_objective.py [--batch 96] [--rounds 3] [--out local_objective.json]

Word-to-patch alignment of every image with every report, forward and backward, at ALTA's sizes: 96 studies in
all, four slots of 49 patches of which two are empty on average, 128-wide embeddings, reports of 69 tokens on
average (Open-i's spread). The loop is what GLoRIA's and ALTA's descriptions say: for each report, cut its
words, repeat them for every image, two batched products and two softmaxes; the absent slots' patches are
there, as in the original. A second loop gets the absent patches' places masked, so that both give one loss.
In turn, one thread, fp32, processor time; the peak memory of each way is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

GOAL = 5.0
SLOTS, KEPT, WIDTH = 4, 49, 128


def sides(studies: int) -> tuple:
    """Patches [B, 196, E], their mask, words [B, 127, E], their mask; with gradients."""
    import torch
    from openi_mix import report_lengths

    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(studies, SLOTS * KEPT, WIDTH, generator=generator) * 0.3
    words = torch.randn(studies, 127, WIDTH, generator=generator) * 0.3
    slots = torch.rand(studies, SLOTS, generator=generator) < 1 / 3
    slots[:, 0] = True  # 1 + 3 / 3 = 2 of 4 on average
    word_mask = torch.arange(127) < report_lengths(studies, generator)[:, None] - 1
    patches, words = patches.requires_grad_(), words.requires_grad_()
    return patches, slots.repeat_interleave(KEPT, 1), words, word_mask


def batched(patches, patch_mask, words, word_mask):
    """This package's loss."""
    from radalign.objectives.local import LocalScales, local_contrastive

    scale = 1 / 0.07
    return local_contrastive(patches, patch_mask, words, word_mask, LocalScales(scale, scale, scale))


def looped(patches, patch_mask, words, word_mask):
    """The loss, report by report: the words of one report against the patches of all images."""
    import torch
    import torch.nn.functional as F

    scale, columns = 1 / 0.07, []
    for j in range(len(words)):
        w = words[j, : int(word_mask[j].sum())].expand(len(patches), -1, -1)  # [B, n, E]
        u = torch.bmm(patches, w.transpose(1, 2))  # [B, N, n]
        a = u.softmax(-1)
        b = (scale * a).masked_fill(~patch_mask[..., None], -torch.inf).softmax(1)
        context = torch.bmm(b.transpose(1, 2), patches)  # [B, n, E]
        cosine = F.cosine_similarity(w, context, dim=-1)
        columns.append(scale * (scale * cosine).logsumexp(1))
    scores = torch.stack(columns, 1)
    target = torch.arange(len(words))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


def as_published(patches, patch_mask, words, word_mask):
    """The loop over all slots, present or not."""
    return looped(patches, patch_mask.new_ones(patch_mask.shape), words, word_mask)


WAYS = {"batched": batched, "loop": looped, "loop_all_slots": as_published}


def both_ways(loss: Callable, given: tuple) -> Callable[[int], float]:
    """Forward and backward."""

    def run(number: int) -> float:
        for tensor in (given[0], given[2]):
            tensor.grad = None
        value = loss(*given)
        value.backward()
        return value.item()

    return run


def memory_of(way: str, studies: int) -> None:
    """Run once in this process and print by how much its peak rose."""
    import torch

    from radalign.data.provenance import peak_memory_bytes

    torch.set_num_threads(1)
    given = sides(studies)
    both_ways(WAYS[way], sides(4))(0)  # what the first call loads
    before = peak_memory_bytes()
    both_ways(WAYS[way], given)(0)
    print((peak_memory_bytes() - before) / 2**20)


def memory(studies: int) -> dict[str, int]:
    """MiB that each way takes above its inputs, each in a process of its own."""
    found = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--memory-of", way, "--batch", str(studies)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found[way] = round(float(done.stdout.splitlines()[-1]))
    return found


def main() -> None:
    """Check that the losses are equal, time, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", choices=tuple(WAYS))
    parser.add_argument("--out", type=Path, default=Path("local_objective.json"))
    asked = parser.parse_args()
    if asked.memory_of:
        memory_of(asked.memory_of, asked.batch)
        return
    import torch
    from interleaved import interleave, ratio

    from radalign.data.provenance import provenance

    torch.set_num_threads(asked.threads)
    given = sides(asked.batch)
    losses: dict[str, float] = {}
    ways = {name: both_ways(way, given) for name, way in WAYS.items()}
    times = interleave(
        {name: lambda n, name=name: losses.update({name: ways[name](n)}) for name in ways}, asked.rounds, 0
    )
    found = {
        "against_the_loop_over_all_slots": ratio(times["loop_all_slots"], times["batched"]),
        "against_the_loop": ratio(times["loop"], times["batched"]),
        "goal": GOAL,
        "times": {name: t.medians() for name, t in times.items()},
        "losses": losses,
        "loss_difference": abs(losses["batched"] - losses["loop"]),
        "memory_mib": memory(asked.batch),
        "batch": asked.batch,
        "threads": asked.threads,
    }
    asked.out.write_text(json.dumps({**found, "made_by": provenance()}, indent=1) + "\n")
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
