"""How many simulated studies per second does one core make, files included? The limit is 20.

Usage: python benchmarks/phantom_speed.py [--studies 120] [--size 256] [--format png] [--out result.json]

Studies are drawn, rendered, reported, encoded and written. Processor time decides, so that a busy machine
does not; the best of three rounds is also given, because another process on the same core slows the caches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # one core, before numpy is loaded

LIMIT_STUDIES_PER_S = 20.0


def measure(studies: int, size_px: int, name: str) -> tuple[float, float]:
    """Processor and wall seconds for `studies` studies."""
    from radalign.data.phantom.files import FileFormat
    from radalign.data.phantom.simulate import Settings, simulate

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(size_px=size_px, file_format=FileFormat(name))
        before = time.process_time(), time.perf_counter()
        simulate(Path(folder) / "out", studies, settings, workers=1)
        return time.process_time() - before[0], time.perf_counter() - before[1]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--format", default="png")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    measure(4, asked.size, asked.format)
    rounds = [measure(asked.studies, asked.size, asked.format) for _ in range(3)]
    rates = [asked.studies / cpu for cpu, _ in rounds]
    result = {
        "question": "simulated studies per second per core, written to disk",
        "studies": asked.studies,
        "size_px": asked.size,
        "format": asked.format,
        "studies_per_cpu_s": [round(r, 1) for r in rates],
        "studies_per_wall_s": [round(asked.studies / wall, 1) for _, wall in rounds],
        "limit": LIMIT_STUDIES_PER_S,
        "ratio": round(max(rates) / LIMIT_STUDIES_PER_S, 2),
        "load_average": os.getloadavg()[0],
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result, indent=2))
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
