"""Can the loader alone feed the model? Its studies per second over those of a ClinVLA training step.

    python benchmarks/loader_speed.py [--manifest manifest.parquet] [--out loader_speed.json]

Both are measured in one run, on the same batches: the loader with augmentation, sentence sampling and soft
targets on, without worker threads; the step forward, backward and optimiser in the machine's precision. The
goal is 5. Without a manifest it simulates studies with Open-i's mix of views and report lengths.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from radalign.data.dataset import StudyDataset
from radalign.data.loader import StudyLoader
from radalign.data.pixel_cache import PixelCache
from radalign.data.provenance import provenance
from radalign.study import Manifest, Report, Study, View
from radalign.systems.base import create
from radalign.train.device import Processes
from radalign.train.step import Stepper

WORDS = [
    "lungs",
    "clear",
    "effusion",
    "small",
    "heart",
    "normal",
    "left",
    "opacity",
    "no",
    "acute",
    "size",
    "right",
]
SETTINGS = [
    "data.text.sample_probability=0.5",
    "data.soft_targets.rule=sentences",
    "data.cache_px=256",
    "train.batch_size=32",
]


def simulated(folder: Path, studies: int = 256) -> Manifest:
    """Studies of noise: 88 % with a lateral view, reports of 3 to 20 sentences."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(studies):
        views = []
        for position in ("PA", "LL") if rng.random() < 0.88 else ("PA",):
            path = folder / f"{i}-{position}.png"
            Image.fromarray(rng.integers(0, 256, (256, 256), dtype=np.uint8)).save(path)
            views.append(View(path.name, position))
        sentences = [" ".join(rng.choice(WORDS, 5)).capitalize() + "." for _ in range(rng.integers(3, 20))]
        made.append(
            Study(f"s{i}", f"p{i}", tuple(views), Report(findings=" ".join(sentences)), split="train")
        )
    return Manifest(made, folder)


def rate(seconds: list[float], batch_size: int) -> float:
    """Studies per second at the median batch."""
    return batch_size / float(np.median(seconds))


def measure(manifest: Manifest, pixels: Path, batches: int) -> dict[str, float]:
    """Rates of loader and step over the same first batches."""
    system = create("clinvla", SETTINGS)
    settings = system.recipe.train
    begin = time.perf_counter()
    cache = PixelCache.build(pixels, manifest, system.recipe.data)
    decode_s = time.perf_counter() - begin
    dataset = StudyDataset(
        manifest.where(split="train").studies, manifest, cache, system.recipe.data, system.tokenize
    )
    loader = StudyLoader(dataset, settings.batch_size)
    stepper = Stepper(system, Processes(settings, "cpu", pixels), len(loader))
    system.train()
    load_s, step_s = [], []
    epoch, number = 0, 0
    while number < batches:
        begin = time.perf_counter()
        for batch in loader.epoch(epoch):
            load_s.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            stepper.take([batch], 1, number)
            step_s.append(time.perf_counter() - begin)
            number += 1
            if number == batches:
                break
            begin = time.perf_counter()
        epoch += 1
    loads, steps = rate(load_s[1:], settings.batch_size), rate(step_s[1:], settings.batch_size)
    return {
        "loader_studies_per_s": loads,
        "step_studies_per_s": steps,
        "ratio": loads / steps,
        "goal": 5.0,
        "images_decoded_per_s": len(cache) / decode_s,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("loader_speed.json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        manifest = Manifest.read(given.manifest) if given.manifest else simulated(place)
        found = measure(manifest, place / "pixels", given.batches)
    found = {key: round(value, 2) for key, value in found.items()}
    given.out.write_text(
        json.dumps({**found, "threads": torch.get_num_threads(), **provenance()}, indent=1) + "\n"
    )
    print(
        f"loader {found['loader_studies_per_s']} studies/s, step {found['step_studies_per_s']} studies/s: "
        f"ratio {found['ratio']} (goal {found['goal']}); decoding {found['images_decoded_per_s']} images/s"
    )


if __name__ == "__main__":
    main()
