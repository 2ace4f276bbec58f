"""What a person asks a system to embed, checked before any work, so that a wrong type gets a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from radalign.data.batches import BatchError
from radalign.study import Study


def list_of_texts(texts: Iterable[str]) -> list[str]:
    """The texts as a list; a lone string is refused, since it would be taken for a list of letters.

    Raises:
        BatchError: If they are one string, or not all strings.

    >>> list_of_texts(text for text in ("Clear lungs.", "Small effusion."))
    ['Clear lungs.', 'Small effusion.']
    """
    if isinstance(texts, str | bytes):
        raise BatchError("embed_texts takes a list of texts and got a single one; write [text].")
    return _list_of(texts, str, "embed_texts takes a list of texts")


def list_of_studies(studies: Iterable[Study]) -> list[Study]:
    """The studies as a list.

    Raises:
        BatchError: If they are one study, or not all studies.
    """
    if isinstance(studies, Study):
        raise BatchError("embed_studies takes a list of studies and got a single one; write [study].")
    return _list_of(studies, Study, "embed_studies takes a list of studies, or a manifest")


def need_batch_size(batch_size: int) -> None:
    """Refuse a batch that holds nothing.

    Raises:
        BatchError: If it is below 1.
    """
    if batch_size < 1:
        raise BatchError(f"batch_size must be at least 1; got {batch_size}.")


def _list_of(items: Iterable[Any], kind: type, expected: str) -> list[Any]:
    if not isinstance(items, Iterable):
        raise BatchError(f"{expected}; got {type(items).__name__}.")
    found = list(items)
    wrong = next((i for i, item in enumerate(found) if not isinstance(item, kind)), None)
    if wrong is not None:
        raise BatchError(f"{expected}; number {wrong} of what was given is {type(found[wrong]).__name__}.")
    return found
