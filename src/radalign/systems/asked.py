"""What a person asks a system to embed, checked before any work, so that a wrong type gets a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from radalign.data.batches import BatchError
from radalign.study import Study

_SPECIAL = re.compile(r"^(\[(CLS|SEP|PAD|MASK)\]|<\|.*\|>|</?s>|<pad>)$")
_UNKNOWN = ("[UNK]", "<unk>")
_PLAIN = re.compile(r"[a-z0-9]", re.IGNORECASE)


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


def mostly_unknown(pieces: Sequence[str]) -> bool:
    """Whether at least half of a text's tokens are unknown, or lone signs and letters of another script.

    A vocabulary of English words holds the letters of other scripts one by one, so that nothing is "unknown"
    and yet no word is read.

    >>> mostly_unknown(["[CLS]", "[UNK]", "水", "[SEP]"]), mostly_unknown(["[CLS]", "no", "##du", "[SEP]"])
    (True, False)
    """
    inner = [piece.removeprefix("##").removesuffix("</w>") for piece in pieces if not _SPECIAL.match(piece)]
    strange = [p for p in inner if p in _UNKNOWN or (len(p) == 1 and not _PLAIN.match(p))]
    return 2 * len(strange) >= len(inner)


def cannot_be_read(tokenizer: Any, text: str) -> bool:
    """Whether a tokenizer knows hardly a word of a text; plain letters are taken as known without a look."""
    signs = "".join(text.split())
    if 2 * len(_PLAIN.findall(signs)) >= len(signs):
        return False
    return mostly_unknown(tokenizer.pieces(text))


def notes_on_query(system: Any, text: str) -> tuple[str, ...]:
    """What a person should know of how a system reads a query: nothing of it, or only its beginning."""
    tokenizer = getattr(system, "tokenizer", None)
    if tokenizer is None:
        return ()
    notes = []
    if cannot_be_read(tokenizer, text):
        notes.append(
            "The system's tokenizer knows hardly a word of this query, so the order of the hits means "
            "nothing; ask with words as in the reports that it was trained on."
        )
    limit = min(system.recipe.backbones.max_tokens or tokenizer.max_tokens, tokenizer.max_tokens)
    count = tokenizer.count(text)
    if count > limit:
        notes.append(f"The query has {count} tokens and the system reads the first {limit}; shorten it.")
    return tuple(notes)


def _list_of(items: Iterable[Any], kind: type, expected: str) -> list[Any]:
    if not isinstance(items, Iterable):
        raise BatchError(f"{expected}; got {type(items).__name__}.")
    found = list(items)
    wrong = next((i for i, item in enumerate(found) if not isinstance(item, kind)), None)
    if wrong is not None:
        raise BatchError(f"{expected}; number {wrong} of what was given is {type(found[wrong]).__name__}.")
    return found
