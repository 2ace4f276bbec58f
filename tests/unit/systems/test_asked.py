"""A wrong thing to embed is refused in a sentence, and never taken for something else."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from radalign.data.batches import BatchError
from radalign.data.read_slots import read_slots
from radalign.data.settings import DataSettings
from radalign.study import Manifest, Study, View
from radalign.systems.asked import list_of_studies, list_of_texts, need_batch_size, notes_on_query


def test_a_lone_string_is_not_a_list_of_letters() -> None:
    with pytest.raises(BatchError, match=r"got a single one; write \[text\]"):
        list_of_texts("small left pleural effusion")


@pytest.mark.parametrize(
    ("given", "said"), [([None], "number 0 .* is NoneType"), (3, "got int"), (["a", 1], "number 1")]
)
def test_other_types_of_texts_are_named(given: Any, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        list_of_texts(given)


def test_generators_and_arrays_are_lists() -> None:
    assert list_of_texts(t for t in "ab") == ["a", "b"]
    assert list_of_texts(np.array(["a", "b"])) == ["a", "b"]
    assert len(list_of_studies(Manifest([Study("s", "p")]))) == 1


def test_a_lone_study_and_an_empty_batch_are_refused() -> None:
    with pytest.raises(BatchError, match=r"write \[study\]"):
        list_of_studies(Study("s", "p"))  # type: ignore[arg-type]
    with pytest.raises(BatchError, match="at least 1; got 0"):
        need_batch_size(0)


def test_a_study_without_a_view_is_named_by_its_id(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (8, 8), 9).save(tmp_path / "a.png")
    studies = [Study("CXR1", "p", (View("a.png", "PA"),)), Study("CXR9", "q", ())]
    with pytest.raises(BatchError, match="study 'CXR9' fits any of the slots"):
        read_slots(studies, Manifest(studies, tmp_path), DataSettings(size_px=8))


class Words:
    """Knows English words only; other characters are one unknown token each."""

    max_tokens = 8

    def pieces(self, text: str) -> list[str]:
        known = re.findall(r"[a-z]+|\S", text.lower())
        return ["[CLS]", *(p if p.isascii() else "[UNK]" for p in known), "[SEP]"]

    def count(self, text: str) -> int:
        return len(self.pieces(text))


def test_a_query_that_is_not_read_or_cut_gets_a_note() -> None:
    recipe = SimpleNamespace(backbones=SimpleNamespace(max_tokens=6))
    system = SimpleNamespace(tokenizer=Words(), recipe=recipe)
    assert notes_on_query(system, "small left effusion") == ()
    for text in ("胸水", "🫁🫁", "!!!"):
        (note,) = notes_on_query(system, text)
        assert "knows hardly a word of this query" in note
    assert notes_on_query(system, "a b c d e") == (
        "The query has 7 tokens and the system reads the first 6; shorten it.",
    )
