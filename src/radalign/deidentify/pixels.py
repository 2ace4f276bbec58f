"""Burned-in text out of a DICOM object's pixels; untouched pixels keep their bytes and their compression."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from radalign.deidentify.errors import RetryableError, is_of_a_file
from radalign.images.apart import DecoderDiedError
from radalign.images.burned_in import Reader, clean
from radalign.images.codecs import decoded, decoders, fault_before_decoding

Decode = Callable[[Dataset, tuple[str, ...]], np.ndarray]


@dataclass(frozen=True)
class PixelOutcome:
    """What was masked.

    Args:
        masked: Marks that were filled.
        kept: Safe marks that stay, as read.
        left: Unsafe marks that were not masked, because they are larger than a label.
        residual: Other unsafe marks found again after masking.
        was_read: Whether OCR looked.
    """

    masked: int
    kept: tuple[str, ...]
    left: int
    residual: int
    was_read: bool


def clean_pixels(
    dataset: Dataset, reader: Reader | None, band: float = 0.5, decode: Decode = decoded
) -> PixelOutcome:
    """Mask the unsafe marks of every frame in place.

    Args:
        dataset: With `PixelData`; written uncompressed when something was masked.
        reader: OCR, or None: then every mark found is masked.
        band: Width of the border bands that are searched, as a share of each side; 0.5 is everything.
        decode: All frames by the named decoders; `images.apart` does it in a child process.

    Raises:
        RetryableError: If the pixels cannot be decoded: what cannot be looked at cannot be released.
    """
    frames = _decoded(dataset, decode)
    cleaned = [clean(frame, reader, band) for frame in frames]
    outcome = PixelOutcome(
        masked=sum(len(c.masked) for c in cleaned),
        kept=tuple(mark.text for c in cleaned for mark in c.kept),
        left=sum(len(c.left) for c in cleaned),
        residual=sum(len(c.residual) for c in cleaned),
        was_read=reader is not None,
    )
    if outcome.masked:
        _write(dataset, np.stack([c.image for c in cleaned]) if len(cleaned) > 1 else cleaned[0].image)
    return outcome


def _decoded(dataset: Dataset, decode: Decode) -> list[np.ndarray]:
    """Each frame: [H, W] or [H, W, 3]."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # pydicom's remarks on padding are not about identity
            pixels = _by_the_first_that_can(dataset, decode)
    except DecoderDiedError as error:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise RetryableError(
            f"The pixels ({syntax}) made their decoder crash; repair the file, or install another decoder."
        ) from error
    except BaseException as error:  # decoders raise whatever they like
        if not is_of_a_file(error):
            raise
        syntax = dataset.file_meta.TransferSyntaxUID.name
        raise RetryableError(
            f"The pixels ({syntax}) cannot be decoded; install radalign[codecs], or repair the file."
        ) from error
    several = int(dataset.get("NumberOfFrames") or 1) > 1
    return list(pixels) if several else [pixels]


def _by_the_first_that_can(dataset: Dataset, decode: Decode) -> np.ndarray:
    """All frames as `Dataset.pixel_array` gives them, by decoders that do not hang."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return np.asarray(dataset.pixel_array)
    if fault := fault_before_decoding(dataset, syntax):
        raise ValueError(fault)
    return decode(dataset, decoders(syntax) or ("",))


def _write(dataset: Dataset, pixels: np.ndarray) -> None:
    """Put decoded pixels back, uncompressed, with the attributes that describe them."""
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if pixels.shape[-1] == 3 and dataset.get("SamplesPerPixel") == 3:
        dataset.PlanarConfiguration = 0
        if str(dataset.get("PhotometricInterpretation", "")).startswith("YBR"):
            dataset.PhotometricInterpretation = "RGB"
    data = np.ascontiguousarray(pixels).tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    dataset["PixelData"].is_undefined_length = False
