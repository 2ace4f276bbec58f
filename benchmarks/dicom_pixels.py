"""How many DICOM radiographs per second become a small square, against pydicom + Pillow on one core?

    python benchmarks/dicom_pixels.py [--out results.json] [--repeats 15]

The peer reads the file, takes `pixel_array`, applies the modality and the VOI LUT, scales to 0..1 and resizes
with Pillow (bilinear, antialiased). Both are timed in turn on the same image of 2,500 x 2,000 pixels and
12 bits, and must agree within 1/255. The bar is four times as many images per second. `LUT` is a VOI LUT
Sequence of 4,096 entries, without a rescale before it, which would cost the peer more.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from radalign.images.read import read_square

HEIGHT_PX, WIDTH_PX = 2_500, 2_000
BAR = 4.0
CASES = (
    ("LINEAR", "MONOCHROME2"),
    ("LINEAR", "MONOCHROME1"),
    ("SIGMOID", "MONOCHROME2"),
    ("SIGMOID", "MONOCHROME1"),
    ("LUT", "MONOCHROME2"),
    ("LUT", "MONOCHROME1"),
)


def write_radiograph(path: Path, function: str, photometric: str) -> None:
    """A smooth thorax-like gradient with noise, 12 bits stored in 16."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : HEIGHT_PX * 1j, -1 : 1 : WIDTH_PX * 1j]
    body = 2600 - 1400 * np.exp(-((np.abs(x) - 0.45) ** 2 + y**2) * 6)
    stored = np.clip(body + rng.normal(0, 60, body.shape), 0, 4095).astype(np.uint16)
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    header.Modality, header.PhotometricInterpretation, header.SamplesPerPixel = "DX", photometric, 1
    header.Rows, header.Columns = stored.shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 12, 11, 0
    if function == "LUT":
        header.VOILUTSequence = [_gamma()]
    else:
        header.RescaleSlope, header.RescaleIntercept = 1, 0
        header.WindowCenter, header.WindowWidth, header.VOILUTFunction = 2048, 2800, function
    header.PixelData = stored.tobytes()
    header.save_as(path, enforce_file_format=True)


def _gamma() -> Dataset:
    """A VOI LUT from 12 to 12 bits that brightens the lungs."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [4096, 0, 12])
    item.add_new("LUTData", "US", np.rint((np.arange(4096) / 4095) ** 0.7 * 4095).astype(int).tolist())
    return item


def by_pydicom(path: Path, size_px: int) -> np.ndarray:
    """The peer's way, written as its documentation shows."""
    header = pydicom.dcmread(path)
    image = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header).astype(np.float32) / 4095
    if header.PhotometricInterpretation == "MONOCHROME1":
        image = 1 - image
    small = Image.fromarray(image).resize((size_px, size_px), Image.Resampling.BILINEAR)
    return np.asarray(small)


def milliseconds(function: Callable[[], object]) -> float:
    """Processor time of one call, which a busy machine does not lengthen as it does wall time."""
    start = time.process_time()
    function()
    return (time.process_time() - start) * 1000


def compare(path: Path, size_px: int, repeats: int) -> dict[str, float]:
    """Both ways in turn, so that a change of the machine's load meets both."""
    difference = float(np.abs(by_pydicom(path, size_px) - read_square(path, size_px)).max())
    peer, ours = [], []
    for _ in range(repeats):
        peer.append(milliseconds(lambda: by_pydicom(path, size_px)))
        ours.append(milliseconds(lambda: read_square(path, size_px)))
    peer_ms, ours_ms = statistics.median(peer), statistics.median(ours)
    return {
        "peer_ms": round(peer_ms, 1),
        "ours_ms": round(ours_ms, 1),
        "ours_images_per_s": round(1000 / ours_ms, 1),
        "ratio": round(statistics.median(p / o for p, o in zip(peer, ours, strict=True)), 2),
        "worst_difference_of_255": round(difference * 255, 4),
    }


def main() -> None:
    """Print one line per case and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    results: dict[str, object] = {
        "question": __doc__.splitlines()[0],
        "image": f"{HEIGHT_PX} x {WIDTH_PX}, 12 bits, uncompressed",
        "bar_ratio": BAR,
        "pydicom": pydicom.__version__,
        "machine": platform.processor() or platform.machine(),
    }
    with tempfile.TemporaryDirectory() as folder:
        for function, photometric in CASES:
            path = Path(folder) / "image.dcm"
            write_radiograph(path, function, photometric)
            for size_px in (224, 448):
                name = f"{function.lower()} {photometric.lower()} to {size_px}"
                results[name] = row = compare(path, size_px, options.repeats)
                verdict = "meets" if row["ratio"] >= BAR and row["worst_difference_of_255"] <= 1 else "MISSES"
                print(f"{name:<34}{row['ratio']:>6.2f}x ({row['ours_ms']} ms against {row['peer_ms']} ms), "
                      f"differs by {row['worst_difference_of_255']}/255: {verdict} {BAR:g}x")  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
