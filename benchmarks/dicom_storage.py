"""Does a simulated radiograph read the same from DICOM as without it, whatever way it is stored?

    python benchmarks/dicom_storage.py [--files 500] [--seed 0] [--json out.json]

Each file is another simulated frontal radiograph with random polarity, bits stored (8 to 16), sign, window
function, rescale, headroom, orientation (8) and transfer syntax (every lossless one that the installed
encoders write; the extra `codecs` adds JPEG-LS and JPEG 2000). The image read from it is compared with the
one read from the PNG of the same radiograph. The limit is 1/255. A storage whose own rounding exceeds half of
that (few bits under a steep sigmoid) cannot hold the image and is drawn again; how often is printed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from pydicom.uid import UID

from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.files import FileFormat
from radalign.data.phantom.photometry import INTERPRETATIONS, WINDOWS, Photometry
from radalign.data.phantom.render import render
from radalign.data.phantom.storage import TURNS, stored_as, writable_syntaxes
from radalign.images.read import read_image

LIMIT = 1 / 255
SIDE_PX = 128


def draw(rng: random.Random) -> tuple[Photometry, str, UID]:
    """One way to store an image."""
    photometry = Photometry(
        interpretation=rng.choice(INTERPRETATIONS),
        bits=rng.randrange(8, 17),
        window=rng.choice(WINDOWS),
        signed=rng.random() < 0.5,
        slope=rng.choice([1.0, 0.5, 2.0, 1.7, 0.1]),
        intercept=rng.choice([0.0, -1024.0, 37.5]),
        headroom=rng.choice([0.0, 0.05, 0.2]),
    )
    return photometry, rng.choice(list(TURNS)), rng.choice(writable_syntaxes())


def rounding(photometry: Photometry) -> float:
    """Half a stored step where the window is steepest, as a share of the grey scale; the PNG adds 0.5/255."""
    return 0.5 * photometry.slope / (photometry.width - (photometry.window == "LINEAR"))


def measure(files: int, seed: int) -> dict:
    """Write and read the files; the largest difference over all and per transfer syntax."""
    rng = random.Random(seed)
    worst: dict[str, float] = {}
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("syntax", "bits", "window", "turn", "sign")
    }
    redrawn = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(files):
            case = patient_cases(number, seed, prior_share=0.0)[0]
            position, image = next(iter(render(case, SIDE_PX).items()))
            photometry, turn, syntax = draw(rng)
            while rounding(photometry) + LIMIT / 2 > LIMIT:
                photometry, turn, syntax = draw(rng)
                redrawn += 1
            plain, dicom = Path(folder) / "view.png", Path(folder) / "view.dcm"
            plain.write_bytes(FileFormat("png").encode(case, position, image))
            file = FileFormat("dicom", photometry).encode(case, position, image)
            dicom.write_bytes(stored_as(file, turn, syntax))
            difference = float(np.abs(read_image(dicom) - read_image(plain)).max())
            worst[syntax.name] = max(worst.get(syntax.name, 0.0), difference)
            drawn = (syntax.name, str(photometry.bits), photometry.window, turn, str(photometry.signed))
            for counter, value in zip(counts.values(), drawn, strict=True):
                counter[value] += 1
    return {
        "files": sum(counts["syntax"].values()),
        "redrawn": redrawn,
        "largest_difference_of_255": round(max(worst.values()) * 255, 4),
        "per_syntax_of_255": {name: round(value * 255, 4) for name, value in sorted(worst.items())},
        "counts": {name: dict(sorted(counter.items())) for name, counter in counts.items()},
    }


def main() -> None:
    """Measure, print against the limit, write JSON; exit 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options.files, options.seed)
    for name, value in result["per_syntax_of_255"].items():
        print(f"{result['counts']['syntax'][name]:4} files   {value:.3f}/255   {name}")
    largest = result["largest_difference_of_255"]
    print(f"{result['files']} files, largest difference {largest:.3f}/255, limit 1/255 "
          f"({result['redrawn']} storages that cannot hold 256 levels drawn again)")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(largest > 1.001)  # float32 rounding


if __name__ == "__main__":
    main()
