"""What masking finds of text that was written on radiographs on purpose, with OCR and without.

    python benchmarks/burned_in.py [--images 20] [--json burned_in.json]

Simulated frontal radiographs (512 px; the phantom's own mark SIMULATED is in the lower left corner) get a
name, a record number with a date, a side letter and a word, at the borders, in random sizes, shades and
places. Then `clean` runs with RapidOCR (extra `ocr`; left out where it is missing) and without. Counted per
mark: `gone`, where at least nine tenths of the ink was changed; `untouched`, where not one pixel was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.render import render
from radalign.images.burned_in import clean, rapid_reader

SIZE_PX = 512
NAMES = ("DOE JANE", "SMITH, JOHN", "GARCIA M", "MUELLER A", "NGUYEN T")
WORDS = ("PORTABLE", "AP", "ERECT", "SUPINE")


class Written(NamedTuple):
    """A mark that was put on an image.

    Args:
        kind: `name`, `record`, `side` or `word`.
        ink: bool [H, W], its pixels.
    """

    kind: str
    ink: np.ndarray


def write_on(image: np.ndarray, random: np.random.Generator) -> list[Written]:
    """Put four marks on a uint8 [H, W] image, in place; one at each free corner, one at the top."""
    side = "L" if random.random() < 0.5 else "R"
    record = (
        f"{random.integers(10**6, 10**7)}  {random.integers(1, 29):02d}.{random.integers(1, 13):02d}.2019"
    )
    texts = {
        "name": str(random.choice(NAMES)),
        "record": record,
        "side": side,
        "word": str(random.choice(WORDS)),
    }
    places = {"name": (0.02, 0.02), "record": (0.5, 0.93), "side": (0.9, 0.12), "word": (0.6, 0.02)}
    written = []
    for kind, text in texts.items():
        height = int(random.integers(24, 34) if kind == "side" else random.integers(13, 20))
        left, top = (round(share * SIZE_PX) + int(random.integers(0, 9)) for share in places[kind])
        stencil = Image.new("L", (SIZE_PX, SIZE_PX))
        ImageDraw.Draw(stencil).text((left, top), text, 255, ImageFont.load_default(size=height))
        ink = np.asarray(stencil) > 127
        image[ink] = random.integers(215, 256)
        written.append(Written(kind, ink))
    return written


def count(images: int, with_ocr: bool) -> dict[str, object]:
    """Clean that many images; shares per kind of mark, and seconds per image."""
    reader = rapid_reader() if with_ocr else None
    gone, untouched, seconds, residual = defaultdict(list), defaultdict(list), [], 0
    other = []
    for number in range(images):
        random = np.random.default_rng(number)
        (case, *_) = patient_cases(seed=0, patient=number)
        view = next(iter(render(case, SIZE_PX).values()))
        image = np.rint(view * 255).clip(0, 255).astype(np.uint8)
        written = write_on(image, random)
        begin = time.process_time()
        cleaned = clean(image, reader)
        seconds.append(time.process_time() - begin)
        residual += len(cleaned.residual)
        changed = cleaned.image != image
        for mark in written:
            share = float(changed[mark.ink].mean())
            gone[mark.kind].append(share >= 0.9)
            untouched[mark.kind].append(share == 0)
        other.append(float(changed.mean()))
    return {
        "gone": {kind: f"{sum(found)}/{images}" for kind, found in gone.items()},
        "untouched": {kind: f"{sum(found)}/{images}" for kind, found in untouched.items()},
        "marks found again after masking": residual,
        "changed share of all pixels": round(float(np.mean(other)), 4),
        "processor seconds per image": {
            "median": round(float(np.median(seconds)), 2),
            "smallest": round(min(seconds), 2),
            "largest": round(max(seconds), 2),
        },
    }


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = {"edges alone": count(args.images, with_ocr=False)}
    if rapid_reader() is None:
        print("RapidOCR is not installed (pip install radalign[ocr]); edges alone.")
    else:
        found["edges and OCR"] = count(args.images, with_ocr=True)
    for way, numbers in found.items():
        print(way)
        for name, value in numbers.items():
            print(f"  {name}: {value}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
