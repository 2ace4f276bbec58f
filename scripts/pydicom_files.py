"""Count which of the files that ship inside pydicom are read, and which are refused in a sentence.

python scripts/pydicom_files.py OUT.json
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pydicom

from radalign.images.read import ImageError, read_image

REASONS = ("DICOM without an image", "neither DICOM nor a raster image", "broken DICOM", "install",
           "does not say how large")  # fmt: skip


def outcome(path: Path) -> str:
    """`read`, or the kind of refusal; any other exception ends the count."""
    try:
        read_image(path)
    except ImageError as refusal:
        return next((reason for reason in REASONS if reason in str(refusal)), "another sentence")
    return "read"


def main() -> None:
    """Count, print and write."""
    folder = Path(pydicom.__file__).parent / "data"
    left_out = {".py", ".pyc", ".json", ".txt"}
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in left_out)
    counts = Counter(outcome(path) for path in files)
    result = {"files": len(files), "pydicom": pydicom.__version__, "outcomes": dict(counts.most_common())}
    print(json.dumps(result))
    Path(sys.argv[1]).write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
