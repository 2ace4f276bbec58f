"""Decoders in a child process: one that ends its process ends no run, and the next image gets a new child.

    with Apart() as apart:
        pixels = apart.decode(dataset, decoders(syntax))

The child gets the compressed pixels and what describes them (groups 0028 and 7FE0), never who they are of.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from radalign.images.child import Child, DecoderDiedError, answer_all
from radalign.images.codecs import decoded

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Apart", "DecoderDiedError"]

_GROUPS = frozenset({0x0028, 0x7FE0})


class Apart(Child):
    """A child that decodes.

    >>> with Apart() as apart:
    ...     apart.is_running
    False
    """

    def __init__(self) -> None:
        super().__init__("radalign.images.apart", is_quiet=True)

    def decode(self, dataset: Dataset, names: tuple[str, ...]) -> np.ndarray:
        """What `codecs.decoded` gives for all frames; here, if no child can be started.

        Args:
            dataset: With encapsulated pixel data.
            names: Pydicom's names of the decoders, in the order in which they are asked.

        Raises:
            DecoderDiedError: If the child died of it.
            RuntimeError: With the decoder's complaint.
        """
        if not self.can_answer():
            return decoded(dataset, names)
        answer = self.ask((_pixels_of(dataset), names))
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return np.asarray(answer)


def _pixels_of(dataset: Dataset) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset

    pixels = Dataset()
    for group in _GROUPS:
        pixels.update(dataset.group_dataset(group))
    pixels.file_meta = FileMetaDataset()
    pixels.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    return pixels


def _answer(said: tuple[Dataset, tuple[str, ...]]) -> Any:
    """Pixels, or the decoder's complaint."""
    try:
        return np.ascontiguousarray(decoded(*said))
    except BaseException as error:  # a Rust decoder panics with an exception that is no `Exception`
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answer_all(_answer)
