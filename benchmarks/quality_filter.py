"""How often does the quality filter name a fault that was made, and how often one that was not?

    python benchmarks/quality_filter.py MANIFEST [--images 80] [--json quality.json]

Frontal images of a manifest, drawn at random, are judged as they are and with one fault at a time. Printed
are counts, never an image: `any` with a reason, and each reason. Of untouched images a reason is taken as a
false alarm, though some of them may deserve it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from radalign.images.geometry import resize
from radalign.images.quality import measure, reasons
from radalign.images.read import read_image
from radalign.study import Manifest

SIDE_PX = 768
Fault = Callable[[np.ndarray], np.ndarray]


def tilted(degrees: float) -> Fault:
    """Turned about its middle, corners black."""
    return lambda image: np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR))


def blurred(share: float) -> Fault:
    """A Gaussian as wide as that share of the width."""

    def blur(image: np.ndarray) -> np.ndarray:
        grey = Image.fromarray(np.rint(image * 255).astype(np.uint8))
        return np.asarray(grey.filter(ImageFilter.GaussianBlur(share * image.shape[1])), np.float32) / 255

    return blur


def cut(left: float, right: float) -> Fault:
    """Less those shares of the width."""
    return lambda image: image[:, int(left * image.shape[1]) : round((1 - right) * image.shape[1])]


FAULTS: dict[str, Fault] = {
    "untouched": lambda image: image,
    "inverted": lambda image: 1 - image,
    "turned by 15": tilted(15),
    "turned by 30": tilted(-30),
    "turned by 45": tilted(45),
    "turned by 90": np.rot90,
    "turned by 270": lambda image: np.rot90(image, 3),
    "turned by 180": lambda image: image[::-1, ::-1],
    "left 30 % cut": cut(0.3, 0),
    "right 30 % cut": cut(0, 0.3),
    "left 40 % cut": cut(0.4, 0),
    "30 % cut at both sides": cut(0.3, 0.3),
    "overexposed": lambda image: np.clip(image * 3 + 0.1, 0, 1),
    "flat": lambda image: 0.45 + 0.1 * image,
    "blurred by 1/128": blurred(1 / 128),
    "blurred by 1/64": blurred(1 / 64),
}


def count(images: list[np.ndarray]) -> dict[str, dict[str, str]]:
    """Of each fault: images with any reason, and with each."""
    table = {}
    for name, fault in FAULTS.items():
        found: Counter[str] = Counter()
        for image in images:
            given = reasons(measure(np.ascontiguousarray(fault(image), np.float32)))
            found.update(["any"] * bool(given) + list(given))
        table[name] = {reason: f"{n}/{len(images)}" for reason, n in found.most_common()}
    return table


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--images", type=int, default=80, help="how many are drawn; 0 = all")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    manifest = Manifest.read(args.manifest)
    views = [view for study in manifest for view in study.views if view.is_frontal]
    drawn = random.Random(0).sample(views, min(args.images or len(views), len(views)))
    images = []
    for view in drawn:
        image = read_image(manifest.image_path(view))
        scale = min(1.0, SIDE_PX / max(image.shape))
        images.append(resize(image, round(image.shape[0] * scale), round(image.shape[1] * scale)))
    table = count(images)
    for name, found in table.items():
        print(f"{name:<24}" + "  ".join(f"{reason} {share}" for reason, share in found.items()))
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
