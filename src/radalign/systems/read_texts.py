"""What a text says beside its tokens: which tokens belong together, and which findings it asserts.

Some systems learn from words, sentences or assertions instead of tokens. They read them where they tokenize,
so the loop need not know; the result travels with the token ids to any device.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from radalign.data.batches import BatchError, TextBatch
from radalign.reports.assertions import labels_of

NOT_SAID = -2
_LETTER = re.compile(r"[a-z]", re.IGNORECASE)
_SPECIAL = re.compile(r"^(\[[A-Z]+\]|<\|.*\|>|</?s>)$")
_END = re.compile(r"^[.!?](</w>)?$")


@dataclass(frozen=True)
class ReadTexts(TextBatch):
    """Tokens with what was read from their texts.

    Args:
        input_ids: int64 [B, L].
        attention_mask: bool [B, L].
        groups: int64 [B, L], the word or sentence that each token is part of; -1 where none.
        asserted: int8 [B, C]: 1 present, 0 absent, -1 unsure, -2 not said; no columns where nobody asked.
    """

    groups: Tensor
    asserted: Tensor

    @classmethod
    def of(
        cls,
        tokens: TextBatch,
        group_rows: Sequence[Sequence[int]] | None = None,
        asserted: Tensor | None = None,
    ) -> ReadTexts:
        """Put what was read beside the tokens; groups are cut where the tokens are."""
        groups = torch.full(tokens.input_ids.shape, -1)
        for row, numbers in zip(groups, group_rows or (), strict=False):
            kept = list(numbers)[: len(row)]
            row[: len(kept)] = torch.tensor(kept)
        position = torch.arange(groups.shape[1])
        inside = (position > 0) & (position < tokens.lengths[:, None] - 1)  # neither [CLS] nor [SEP]
        if asserted is None:
            asserted = torch.zeros(len(tokens), 0, dtype=torch.int8)
        return cls(tokens.input_ids, tokens.attention_mask, groups.masked_fill(~inside, -1), asserted)

    def to(self, device: torch.device | str) -> ReadTexts:
        """The same batch on another device."""
        return ReadTexts(
            self.input_ids.to(device),
            self.attention_mask.to(device),
            self.groups.to(device),
            self.asserted.to(device),
        )


def need_read(texts: TextBatch) -> ReadTexts:
    """The batch itself, if its texts were read.

    Raises:
        BatchError: If it holds token ids only.
    """
    if not isinstance(texts, ReadTexts):
        raise BatchError("This system reads more than token ids; make the batch with its own tokenize().")
    return texts


def words_of(pieces: Sequence[str]) -> list[int]:
    """The word of every piece; special tokens have none.

    >>> words_of(["[CLS]", "no", "ate", "##lect", "##asis", ".", "[SEP]"])
    [-1, 0, 1, 1, 1, 2, -1]
    """
    has_ends = any(piece.endswith("</w>") for piece in pieces)
    numbers, word, goes_on = [], -1, False
    for piece in pieces:
        if _SPECIAL.match(piece):
            numbers.append(-1)
            continue
        word += not (piece.startswith("##") or goes_on)
        goes_on = has_ends and not piece.endswith("</w>")
        numbers.append(word)
    return numbers


def sentences_of(pieces: Sequence[str]) -> list[int]:
    """The sentence of every piece; a full stop between digits ends none, and numbering is in none.

    >>> sentences_of(["[CLS]", "1", ".", "no", "mass", ".", "1", ".", "5", "cm", "node", ".", "[SEP]"])
    [-1, -1, -1, 0, 0, 0, 1, 1, 1, 1, 1, 1, -1]
    """
    groups: list[list[int]] = [[]]
    inner = [i for i, piece in enumerate(pieces) if not _SPECIAL.match(piece)]
    for i in inner:
        groups[-1].append(i)
        around = (pieces[i - 1][:1], "".join(pieces[i + 1 : i + 2])[:1])
        if _END.match(pieces[i]) and not all(piece.isdigit() for piece in around):
            groups.append([])
    numbers = [-1] * len(pieces)
    said = [group for group in groups if any(_LETTER.search(pieces[i].removesuffix("</w>")) for i in group)]
    for sentence, group in enumerate(said):
        for i in group:
            numbers[i] = sentence
    return numbers


def asserted_by(texts: Sequence[str], names: Sequence[str]) -> Tensor:
    """What texts assert of findings: int8 [B, C], as in `ReadTexts`.

    >>> asserted_by(["No effusion. Possible pneumonia."], ["Pleural Effusion", "Pneumonia", "Mass"]).tolist()
    [[0, -1, -2]]
    """
    rows = [labels_of(text) for text in texts]
    return torch.tensor([[row.get(name, NOT_SAID) for name in names] for row in rows], dtype=torch.int8).view(
        len(rows), len(names)
    )


def grouped_sum(tokens: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the tokens of every group.

    Args:
        tokens: [B, L, D].
        groups: int64 [B, L], -1 = in no group.

    Returns:
        [B, G, D] and bool [B, G], False where a text has fewer groups; G is at least 1.

    >>> sums, mask = grouped_sum(torch.tensor([[[1.0], [2.0], [4.0]]]), torch.tensor([[0, -1, 0]]))
    >>> sums.tolist(), mask.tolist()
    ([[[5.0]]], [[True]])
    """
    count = max(1, int(groups.max()) + 1)
    member = groups[:, None] == torch.arange(count, device=groups.device)[:, None]  # [B, G, L]
    return member.to(tokens.dtype) @ tokens, member.any(-1)


def grouped_mean(tokens: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """The mean token of every group, otherwise as `grouped_sum`."""
    sums, mask = grouped_sum(tokens, groups)
    size, _ = grouped_sum(torch.ones_like(tokens[..., :1]), groups)
    return sums / size.clamp(min=1), mask
