"""What do large pages and fewer kept kernels save? Processor time and memory of ClinVLA training steps.

    python benchmarks/training_memory.py [--steps 20] [--out training_memory.json]

`plain` leaves both alone, `pages` asks for large pages, `prepared` also keeps fewer kernels of the matrix
library, as `radalign train` does. Each side runs in a process of its own, twice, in turn: batches of 32
studies with two slots, 75 % masked, and reports of 20 to 128 tokens, in the machine's precision. The ratio is
processor time of `plain` over `prepared`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

SWITCHES = ("THP_MEM_ALLOC_ENABLE", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
SIDES = ("plain", "pages", "prepared")


def one_side(side: str, steps: int) -> dict[str, float]:
    """Train some steps in this process; seconds of processor time and page faults per step, peak memory."""
    from radalign.train.memory import keep_few_kernels, use_large_pages

    if side != "plain" and not use_large_pages():
        sys.exit("Large pages can only be asked for on Linux, before torch is imported.")
    if side == "prepared" and not keep_few_kernels():
        sys.exit("Unset ONEDNN_PRIMITIVE_CACHE_CAPACITY first.")
    import torch

    from radalign.data.batches import ImageBatch, StudyBatch, TextBatch
    from radalign.data.provenance import peak_memory_bytes
    from radalign.systems.base import create
    from radalign.train.device import Processes
    from radalign.train.step import Stepper

    generator = torch.Generator().manual_seed(0)

    def batch() -> StudyBatch:
        mask = torch.rand(32, 2, generator=generator) < 0.94
        mask[:, 0] = True
        images = torch.randint(0, 256, (32, 2, 224, 224), dtype=torch.uint8, generator=generator)
        lengths = torch.randint(20, 129, (32, 1), generator=generator)
        ids = torch.randint(1000, 20000, (32, 128), generator=generator)
        return StudyBatch(ImageBatch(images, mask), TextBatch(ids, torch.arange(128) < lengths))

    system = create("clinvla")
    stepper = Stepper(system, Processes(system.recipe.train, "cpu", Path()), steps)
    system.train()
    stepper.take([batch()], 1, 0)
    begin = resource.getrusage(resource.RUSAGE_SELF)
    for number in range(steps):
        stepper.take([batch()], 1, number + 1)
    end = resource.getrusage(resource.RUSAGE_SELF)
    busy_s = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    faults = end.ru_minflt - begin.ru_minflt
    return {
        "busy_s": busy_s / steps,
        "faults": faults / steps,
        "peak_gib": peak_memory_bytes() / 2**30,
    }


def main() -> None:
    """Run both sides in turn, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("training_memory.json"))
    parser.add_argument("--side", choices=SIDES)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(one_side(given.side, given.steps)))
        return
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    environment = {k: v for k, v in os.environ.items() if k not in SWITCHES}
    for side in SIDES * 2:
        command = [sys.executable, __file__, "--side", side, "--steps", str(given.steps)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        runs[side].append(json.loads(done.stdout.splitlines()[-1]))
    found = {
        side: {key: round(statistics.median(run[key] for run in of), 3) for key in of[0]}
        for side, of in runs.items()
    }
    ratio = round(found["plain"]["busy_s"] / found["prepared"]["busy_s"], 3)
    given.out.write_text(json.dumps({"ratio": ratio, **found, "steps": given.steps}, indent=1) + "\n")
    print(f"processor time, plain over prepared: {ratio}")
    for side in SIDES:
        print(side, found[side])


if __name__ == "__main__":
    main()
