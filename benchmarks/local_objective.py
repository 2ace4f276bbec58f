"""Is the local objective, done for a whole batch at once, faster than a loop over reports?

    python benchmarks/local_objective.py [--batch 96] [--rounds 3] [--out local_objective.json]

Word-to-patch alignment of every image with every report, forward and backward, at ALTA's sizes: 96 studies in
all, four slots of 49 patches of which two are empty on average, 128-wide embeddings, reports of 69 tokens on
average (Open-i's spread). Three peers, each with its own ratio, from the plainest to the most careful:

* `padded_loop`: what one writes first when all slots are encoded and reports are padded to 128: a loop over
  reports of 127 words, absent patches and words masked. The same loss.
* `published_loop`: the loop as GLoRIA published it, each report cut to its length. Its words are repeated for
  all images; two batched products, two softmaxes with contiguous transposes between them, cosine, exp, sum
  and log. It has no masks, so that the absent slots' patches are there and its loss is another one.
* `masked_loop`: a loop over reports cut to their lengths, without those copies, absent patches masked. The
  same loss.

The goal is against `padded_loop`; the other two are harder. In turn, one thread, processor time, in float32;
with `--bf16` all ways under bfloat16 autocast. The peak memory of each way is that of a process of its own,
and left out with `--no-memory`.
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


def both_directions(scores):
    """Cross-entropy of every image with its report and of every report with its image, from scores [B, B]."""
    import torch
    import torch.nn.functional as F

    target = torch.arange(len(scores))
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


def masked_loop(patches, patch_mask, words, word_mask):
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
    return both_directions(torch.stack(columns, 1))


def padded_loop(patches, patch_mask, words, word_mask):
    """The loss, report by report, every report as long as the longest can be."""
    import torch
    import torch.nn.functional as F

    scale, columns = 1 / 0.07, []
    for word, mask in zip(words, word_mask, strict=True):
        w = word.expand(len(patches), -1, -1)  # [B, L, E]
        u = torch.bmm(patches, w.transpose(1, 2)).masked_fill(~mask, -torch.inf)  # [B, N, L]
        b = (scale * u.softmax(-1)).masked_fill(~patch_mask[..., None], -torch.inf).softmax(1)
        context = torch.bmm(b.transpose(1, 2), patches)  # [B, L, E]
        cosine = F.cosine_similarity(w, context, dim=-1).masked_fill(~mask, -torch.inf)
        columns.append(scale * (scale * cosine).logsumexp(1))
    return both_directions(torch.stack(columns, 1))


def published_loop(patches, patch_mask, words, word_mask):
    """The loop in the published form: embeddings first, everything copied to where the next step wants it."""
    import torch

    scale, columns, studies = 1 / 0.07, [], len(patches)
    regions = patches.transpose(1, 2)  # [B, E, N] as an image encoder gives them
    lengths = word_mask.sum(1).tolist()
    for j, n in enumerate(lengths):
        word = words[j, :n].T[None].contiguous().repeat(studies, 1, 1)  # [B, E, n]
        context = attended(word, regions, scale)  # [B, E, n]
        word = word.transpose(1, 2).contiguous().view(studies * n, -1)  # [B * n, E]
        context = context.transpose(1, 2).contiguous().view(studies * n, -1)  # [B * n, E]
        product = (word * context).sum(1)
        cosine = product / (word.norm(2, 1) * context.norm(2, 1)).clamp(min=1e-8)
        columns.append((scale * cosine.view(studies, n)).exp().sum(1, keepdim=True).log())  # [B, 1]
    return both_directions(scale * torch.cat(columns, 1))


def attended(word, regions, scale):
    """Context [B, E, n] of words [B, E, n] over regions [B, E, N]."""
    import torch

    (studies, _, n), places = word.shape, regions.shape[2]
    attention = torch.bmm(regions.transpose(1, 2).contiguous(), word)  # [B, N, n]
    attention = attention.view(studies * places, n).softmax(-1).view(studies, places, n)
    attention = attention.transpose(1, 2).contiguous().view(studies * n, places) * scale  # [B * n, N]
    attention = attention.softmax(-1).view(studies, n, places)
    return torch.bmm(regions, attention.transpose(1, 2).contiguous())  # [B, E, n]


WAYS = {
    "batched": batched,
    "padded_loop": padded_loop,
    "published_loop": published_loop,
    "masked_loop": masked_loop,
}


def both_ways(loss: Callable, given: tuple, bf16: bool = False) -> Callable[[int], float]:
    """Forward and backward."""
    import torch

    def run(number: int) -> float:
        for tensor in (given[0], given[2]):
            tensor.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
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
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--no-memory", action="store_true")
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
    ways = {name: both_ways(way, given, asked.bf16) for name, way in WAYS.items()}
    for way in WAYS.values():
        both_ways(way, sides(4), asked.bf16)(0)  # what the first call loads
    times = interleave(
        {name: lambda n, name=name: losses.update({name: ways[name](n)}) for name in ways}, asked.rounds, 0
    )
    found = {
        **{f"against_{name}": ratio(times[name], times["batched"]) for name in WAYS if name != "batched"},
        "goal": GOAL,
        "times": {name: t.medians() for name, t in times.items()},
        "losses": losses,
        "loss_difference": max(abs(losses["batched"] - losses[n]) for n in ("padded_loop", "masked_loop")),
        "memory_mib": None if asked.no_memory else memory(asked.batch),
        "precision": "bf16" if asked.bf16 else "fp32",
        "batch": asked.batch,
        "threads": asked.threads,
    }
    asked.out.write_text(json.dumps({**found, "made_by": provenance()}, indent=1) + "\n")
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
