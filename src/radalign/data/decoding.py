"""Decoding many images at once, in processes of their own: a broken file can end its process, never the run.

DecodingPool ── one thread per process ── job in, pixels out ── `python -m radalign.data.decoding`
"""

from __future__ import annotations

import queue
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

import numpy as np

from radalign.data.settings import DataSettings
from radalign.images.child import CRASHED, Child, DecoderDiedError, answer_all
from radalign.images.errors import ForcedWindowWarning, ImageError
from radalign.images.geometry import Fit, Resample
from radalign.images.read import read_square
from radalign.images.window import Window
from radalign.study import Manifest, View


@dataclass(frozen=True)
class Job:
    """One image to decode.

    Args:
        path: The file.
        size_px: Side of the square.
        geometry: How it becomes square.
        window: Grey value window.
        original: (width, height) before the source squashed it, (0, 0) if unknown.
        resize_px: Side before the middle is kept, 0 = size_px.
        resample: How it is resized.
        force_window: Whether a (level, width) is used on an image without Hounsfield units.
        crop_collimation: Whether a DICOM image is cut to its collimated field.
    """

    path: str
    size_px: int
    geometry: Fit = "stretch"
    window: Window = "dicom"
    original: tuple[int, int] = (0, 0)
    resize_px: int = 0
    resample: Resample = "bilinear"
    force_window: bool = False
    crop_collimation: bool = False


def job_for(view: View, manifest: Manifest, settings: DataSettings, cached: bool = False) -> Job:
    """How a view is decoded under a recipe's settings: at the size that is cached, or that a system sees."""
    if settings.force_window:
        tell_of_forced_window(settings.window)
    s = settings
    size_px, resize_px = (s.cached_px, s.cached_resize_px) if cached else (s.size_px, s.resize_px)
    original = (view.original_width_px, view.original_height_px)
    return Job(
        str(manifest.image_path(view)), size_px, s.geometry, s.window, original, resize_px, s.resample,
        s.force_window, s.crop_collimation,
    )  # fmt: skip


@cache
def tell_of_forced_window(window: Window) -> None:
    """Warn of `data.force_window`, once in a run: `decode` keeps quiet about the single images."""
    warnings.warn(
        f"data.force_window: the window {window} is used on images without Hounsfield units too.",
        ForcedWindowWarning,
        stacklevel=3,
    )


def decode(job: Job) -> np.ndarray | str:
    """Decode one image to uint8 [size_px, size_px], or say in a sentence why it cannot be used."""
    try:
        image = _read(job)
    except ImageError as error:
        return str(error)
    except MemoryError:
        return f"{job.path} needs more memory than there is; make it smaller first."
    except Exception as error:  # a file that no reader foresaw is reported like any other broken one
        return f"{job.path} cannot be decoded ({type(error).__name__}: {error}); convert it, or remove it."
    return (image * 255).round().astype(np.uint8)


def _read(job: Job) -> np.ndarray:
    with _quiet_about_force() if job.force_window else nullcontext():
        return read_square(
            job.path, job.size_px, job.geometry, job.original, job.window,
            force_window=job.force_window, crop_collimation=job.crop_collimation,
            resize_px=job.resize_px, resample=job.resample,
        )  # fmt: skip


@contextmanager
def _quiet_about_force() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForcedWindowWarning)
        yield


class DecodingPool:
    """Some decoding processes; use it in a `with` block.

    Args:
        processes: How many; 1 decodes in this process, which starts fastest.
    """

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()

    def __enter__(self) -> DecodingPool:
        if self._processes > 1:
            self._decoders = [_Decoder() for _ in range(self._processes)]
            for decoder in self._decoders:
                self._idle.put(decoder)
            self._threads = ThreadPoolExecutor(self._processes, thread_name_prefix="decode")
        return self

    def __exit__(self, *_: object) -> None:
        if self._processes > 1:
            self._threads.shutdown(cancel_futures=True)
            for decoder in self._decoders:
                decoder.close()

    def decode(self, jobs: Sequence[Job]) -> list[np.ndarray | str]:
        """Decode the jobs; results in their order, a sentence in place of an image that cannot be used."""
        if self._processes <= 1:
            return [decode(job) for job in jobs]
        return list(self._threads.map(self._decode_one, jobs))

    def _decode_one(self, job: Job) -> np.ndarray | str:
        decoder = self._idle.get()
        try:
            return decoder.decode(job)
        finally:
            self._idle.put(decoder)


class _Decoder(Child):
    """A child that decodes."""

    def __init__(self) -> None:
        super().__init__("radalign.data.decoding", environment={"OMP_NUM_THREADS": "1"})

    def decode(self, job: Job) -> np.ndarray | str:
        """What `decode` gives, or that the decoder crashed; here, if no child can be started."""
        if not self.can_answer():
            return decode(job)
        try:
            answer: np.ndarray | str = self.ask(job)
        except DecoderDiedError:
            return f"{job.path}: {CRASHED}."
        return answer


if __name__ == "__main__":
    answer_all(decode)
