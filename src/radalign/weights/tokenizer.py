"""Texts -> token ids and a mask: the tokenizer published with a text encoder, or hashed words for tests."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from torch import Tensor

from radalign.weights.files import read_json
from radalign.weights.names import CheckpointError

NO_TOKENIZER = "without_tokenizer"  # a key of config.json: the checkpoint had none, and that is known
HASHED = "hash_tokenizer.json"
_CLIP_START, _CLIP_END = "<|startoftext|>", "<|endoftext|>"
_CLIP_WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


class Tokenizer:
    """A published tokenizer.

    Attributes:
        max_tokens: The longest result; longer texts are cut and keep their end token.
        pad_id: The id at padding.
        mask_id: The id of the mask token, or None.
    """

    def __init__(self, fast: FastTokenizer, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._fast = fast
        fast.no_padding()
        fast.no_truncation()
        self._cutting: dict[int, FastTokenizer] = {}
        self.pad_id = int(fast.token_to_id("[PAD]") or 0)
        self.mask_id: int | None = fast.token_to_id("[MASK]")

    def __call__(self, texts: Sequence[str], max_tokens: int | None = None) -> tuple[Tensor, Tensor]:
        """Tokenize texts.

        Args:
            texts: B texts; an empty one gives its special tokens only.
            max_tokens: A limit below the encoder's own; None takes the encoder's.

        Returns:
            input_ids, LongTensor [B, L], and attention_mask, bool [B, L]; L is the longest of these texts.
        """
        return padded(self.ids(texts, max_tokens), self.pad_id)

    def ids(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """The ids of each text, special tokens included, cut to `max_tokens`."""
        fast = self._cut_to(min(max_tokens or self.max_tokens, self.max_tokens))
        return [encoding.ids for encoding in fast.encode_batch(list(texts))]

    def count(self, text: str) -> int:
        """The number of tokens of a text before any cut, special tokens included."""
        return len(self._fast.encode(text).ids)

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text as written in the vocabulary, special tokens included, before any cut."""
        return list(self._fast.encode(text).tokens)

    def need_within(self, vocabulary: int) -> None:
        """Check that every id has a row in an encoder's table of words.

        Raises:
            CheckpointError: The tokenizer belongs to another encoder.
        """
        words = self._fast.get_vocab_size()
        if words > vocabulary:
            raise CheckpointError(
                f"The tokenizer has {words} words, but the encoder's table {vocabulary}; give the tokenizer "
                "that belongs to these weights."
            )

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, which `read_tokenizer` reads."""
        self._fast.save(str(folder / "tokenizer.json"))

    def _cut_to(self, limit: int) -> FastTokenizer:
        """The tokenizer that cuts at `limit`; never changed once made, since threads share it."""
        fast = self._cutting.get(limit)
        if fast is None:
            fast = FastTokenizer.from_str(self._fast.to_str())
            fast.enable_truncation(limit)
            fast = self._cutting.setdefault(limit, fast)
        return fast


class HashTokenizer(Tokenizer):
    """Words to ids by a fixed hash, for encoders with random weights; needs no file.

    >>> ids, mask = HashTokenizer(100, 8)(["no effusion", ""])
    >>> ids.shape, mask.sum(1).tolist()
    (torch.Size([2, 4]), [4, 2])
    """

    CLS, SEP, MASK, FIRST_WORD = 1, 2, 3, 4

    def __init__(self, vocabulary: int, max_tokens: int) -> None:
        self.max_tokens, self.vocabulary = max_tokens, vocabulary
        self.pad_id, self.mask_id = 0, self.MASK

    def ids(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """The ids of each text, special tokens included, cut to `max_tokens`."""
        limit = min(max_tokens or self.max_tokens, self.max_tokens)
        return [
            [self.CLS, *(self._word(word) for word in _words(text)[: limit - 2]), self.SEP] for text in texts
        ]

    def count(self, text: str) -> int:
        """The number of tokens of a text before any cut, special tokens included."""
        return len(_words(text)) + 2

    def pieces(self, text: str) -> list[str]:
        """The words of a text between its special tokens."""
        return ["[CLS]", *_words(text), "[SEP]"]

    def save(self, folder: Path) -> None:
        """Write the size of the vocabulary: the hash is the rest."""
        (folder / HASHED).write_text(json.dumps({"vocabulary": self.vocabulary}), "utf-8")

    def _word(self, word: str) -> int:
        return self.FIRST_WORD + zlib.crc32(word.encode()) % (self.vocabulary - self.FIRST_WORD)


class AbsentTokenizer(Tokenizer):
    """Stands for a tokenizer that a checkpoint came without: token ids still embed, texts do not.

    Args:
        folder: Where the tokenizer's files belong.
        max_tokens: The encoder's limit.
    """

    def __init__(self, folder: Path, max_tokens: int) -> None:
        self.folder, self.max_tokens = folder, max_tokens
        self.pad_id, self.mask_id = 0, None

    def ids(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """Raises CheckpointError, always: what to copy, and where."""
        raise CheckpointError(
            f"{self.folder} came without a tokenizer, so that texts cannot be read; copy the tokenizer.json "
            "or vocab.txt that belongs to these weights into it."
        )

    def count(self, text: str) -> int:
        """Raises CheckpointError, as `ids` does."""
        return len(self.ids([text])[0])

    def pieces(self, text: str) -> list[str]:
        """Raises CheckpointError, as `ids` does."""
        return [str(i) for i in self.ids([text])[0]]

    def save(self, folder: Path) -> None:
        """Nothing to write."""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())


def padded(ids: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Lists of ids as input_ids [B, L] and a bool mask [B, L].

    >>> padded([[7, 8], [9]], 0)[0].tolist()
    [[7, 8], [9, 0]]
    """
    length = max((len(row) for row in ids), default=0)
    lengths = torch.tensor([len(row) for row in ids])
    rows = torch.tensor([[*row, *[pad_id] * (length - len(row))] for row in ids], dtype=torch.long)
    return rows.view(len(ids), length), torch.arange(length) < lengths[:, None]


def read_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    """The tokenizer of a Hugging Face folder: `tokenizer.json`, BERT's `vocab.txt`, or CLIP's `vocab.json`.

    Raises:
        CheckpointError: The folder has neither.
    """
    if (folder / "tokenizer.json").is_file():
        return Tokenizer(FastTokenizer.from_file(str(folder / "tokenizer.json")), max_tokens)
    if (folder / "vocab.txt").is_file():
        settings = folder / "tokenizer_config.json"
        lower = read_json(settings).get("do_lower_case", True) if settings.is_file() else True
        words = (folder / "vocab.txt").read_text("utf-8").rstrip("\n").split("\n")
        fast = BertWordPieceTokenizer({word: i for i, word in enumerate(words)}, lowercase=lower)
        return Tokenizer(FastTokenizer.from_str(fast.to_str()), max_tokens)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return Tokenizer(_clip_tokenizer(folder), max_tokens)
    if (folder / HASHED).is_file():
        return HashTokenizer(read_json(folder / HASHED)["vocabulary"], max_tokens)
    settings = folder / "config.json"
    if settings.is_file() and read_json(settings).get(NO_TOKENIZER):
        return AbsentTokenizer(folder, max_tokens)
    raise CheckpointError(f"{folder.name} has no tokenizer.json or vocab.txt; add the encoder's tokenizer.")


def _clip_tokenizer(folder: Path) -> FastTokenizer:
    """CLIP's byte-pair encoding from its vocabulary and merges."""
    fast = FastTokenizer(
        models.BPE.from_file(
            str(folder / "vocab.json"),
            str(folder / "merges.txt"),
            end_of_word_suffix="</w>",
            unk_token=_CLIP_END,
        )
    )
    fast.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True)
    fast.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    start, end = ((token, int(fast.token_to_id(token) or 0)) for token in (_CLIP_START, _CLIP_END))
    fast.post_processor = processors.RobertaProcessing(end, start, trim_offsets=False, add_prefix_space=False)
    return fast
