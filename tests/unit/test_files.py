"""A refused write is a sentence with the path, and leaves what was there."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from radalign.evaluate.results import Result
from radalign.files import WriteRefused, open_as_umask_says, whole_file


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EROFS, "Choose a folder that you may write to"),
    ],
)
def test_a_refused_write_names_the_file_and_what_to_do(tmp_path: Path, number: int, said: str) -> None:
    (tmp_path / "a.txt").write_text("old")

    def half() -> None:
        with whole_file(tmp_path / "a.txt") as partial:
            partial.write_text("half")
            raise OSError(number, "refused")

    with pytest.raises(WriteRefused, match=said) as caught:
        half()
    assert str(tmp_path / "a.txt") in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_result_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        self.write_bytes(b"{")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WriteRefused, match=r"result\.json: the disk is full"):
        Result("p", "strict", ()).write(tmp_path / "result.json")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(WriteRefused, match="Could not write"), whole_file(tmp_path / "x" / "a.png"):
        pass


def test_a_closed_file_gets_the_mode_of_a_new_one(tmp_path: Path) -> None:
    for name in ("new", "closed"):
        (tmp_path / name).touch()
    (tmp_path / "closed").chmod(0o600)
    open_as_umask_says(tmp_path / "closed")
    assert (tmp_path / "closed").stat().st_mode == (tmp_path / "new").stat().st_mode
    assert len(list(tmp_path.iterdir())) == 2
