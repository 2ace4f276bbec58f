"""CoOp's split files as BiomedCoOp publishes them: numbers of classes, splits, images one folder below."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.examples import all_classes
from radalign.data.importing import import_source
from radalign.data.sources import SourceError

Image = Callable[..., str]


def test_splits_classes_and_their_numbers(image: Image, tmp_path: Path) -> None:
    parts = {"train": "train", "val": "validate", "test": "test"}
    lists: dict[str, list[list[object]]] = {part: [] for part in parts}
    for number, (part, label, name) in enumerate(
        [("train", 1, "Covid"), ("train", 0, "normal_lung"), ("val", 1, "Covid"), ("test", 0, "normal_lung")]
    ):
        path = f"{name}/{part}{number}.png"
        image(f"images/{path}", grey=40 * number + 1, size=(8, 8))
        lists[part].append([path, label, name])
    (tmp_path / "split_Covid.json").write_text(json.dumps(lists))
    manifest, _ = import_source("coop-json", tmp_path)
    assert [(s.split, s.positives) for s in manifest] == [
        ("train", ("Covid",)), ("train", ("normal lung",)), ("validate", ("Covid",)), ("test", ("normal lung",)),
    ]  # fmt: skip
    assert all(manifest.image_path(s.views[0]).is_file() for s in manifest)
    assert all_classes(manifest) == ("normal lung", "Covid")  # the file's numbers lead, not the alphabet


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "needs train, val and test"),
        ('{"train": [["a", 0, "x"], ["b", 0, "y"]], "val": [], "test": []}', "both 'x' and 'y'"),
    ],
)
def test_a_wrong_split_file_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(SourceError, match=sentence):
        import_source("coop_json", tmp_path)
