"""A wrong thing to embed is refused in a sentence, and never taken for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radalign.data.batches import BatchError
from radalign.data.read_slots import read_slots
from radalign.data.settings import DataSettings
from radalign.study import Manifest, Study, View
from radalign.systems.asked import list_of_studies, list_of_texts, need_batch_size


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
