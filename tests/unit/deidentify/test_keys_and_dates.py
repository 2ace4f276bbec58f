"""Keys, ledger and dates."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from radalign.deidentify.dates import shift
from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.keys import Key, new_key, others_can_read, read_key
from radalign.deidentify.ledger import Ledger
from radalign.deidentify.plan import make_plan


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "key"
    key = new_key(path)
    assert read_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.secret.hex() not in repr(key)
    with pytest.raises(DeidentifyError, match="exists already"):
        new_key(path)


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 31])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(DeidentifyError, match="key file"):
        read_key(tmp_path / "key")
    with pytest.raises(DeidentifyError, match="--new-key"):
        read_key(tmp_path / "none")


def test_uids_are_valid_and_do_not_collide() -> None:
    key = Key(bytes(range(32)))
    made = {key.uid(f"1.2.{n}") for n in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(r"2\.25\.[1-9]\d*", uid) and len(uid) <= 64 for uid in made)


def test_kinds_do_not_share_pseudonyms() -> None:
    key = Key(bytes(range(32)))
    assert key.pseudonym("patient", "1") != key.pseudonym("text", "1")
    assert key.pseudonym("a", "b\0c") == key.pseudonym("a", "b\0c")


@pytest.mark.parametrize(
    ("value", "vr", "days", "expected"),
    [
        ("20240301", "DA", -1, "20240229"),
        ("2024.03.01", "DA", -1, "20240229"),
        ("20240301\\20240302", "DA", -1, "20240229\\20240301"),
        ("101112.5", "TM", -99, "101112.5"),
        ("202403011011", "DT", 1, "202403021011"),
        ("20240301", "DT", 1, "20240302"),
        ("202403", "DT", 1, ""),
        ("20241301", "DA", 1, ""),
        ("00010101", "DA", -5, ""),
        ("", "DA", 1, ""),
        ("yesterday", "DA", 1, ""),
    ],
)
def test_shifts(value: str, vr: str, days: int, expected: str) -> None:
    assert shift(value, vr, days) == expected


def test_a_ledger_goes_on_after_a_cut_line(tmp_path: Path) -> None:
    source, path = tmp_path / "a.dcm", tmp_path / "ledger"
    source.write_text("x")
    (tmp_path / "out").write_text("y")
    with Ledger(path, tmp_path, "f") as ledger:
        ledger.patient("P|", "ABC", -3)
        ledger.file(source, "written", "out")
    path.write_text(path.read_text() + '{"kind": "fi')
    again = Ledger(path, tmp_path, "f")
    assert again.is_done(source)
    assert again.patients["P|"]["shift_days"] == -3
    assert all(json.loads(line) for line in path.read_text().splitlines())
    source.write_text("changed")
    assert not again.is_done(source)


def test_a_file_is_done_only_where_what_it_became_is(tmp_path: Path) -> None:
    source, out, other = tmp_path / "a.dcm", tmp_path / "out", tmp_path / "other"
    source.write_text("x")
    out.mkdir()
    (out / "made").write_text("y")
    with Ledger(tmp_path / "ledger", out, "f") as ledger:
        ledger.file(source, "written", "made")
    assert Ledger(tmp_path / "ledger", out, "f").is_done(source)
    assert not Ledger(tmp_path / "ledger", other, "f").is_done(source)
    (out / "made").unlink()
    assert not Ledger(tmp_path / "ledger", out, "f").is_done(source)


def test_a_quarantined_file_is_done_for_its_folder_unless_it_is_worth_another_try(tmp_path: Path) -> None:
    source, out = tmp_path / "a.dcm", tmp_path / "out"
    source.write_text("x")
    with Ledger(tmp_path / "ledger", out, "f") as ledger:
        ledger.file(source, "quarantined", reason="broken")
        assert ledger.is_done(source)
        assert not Ledger(tmp_path / "ledger", tmp_path / "other", "f").is_done(source)
        ledger.file(source, "quarantined", reason="no decoder", again=True)
        assert not ledger.is_done(source)


def test_an_open_ledger_is_closed_to_others_and_an_open_key_is_seen(tmp_path: Path) -> None:
    path, key = tmp_path / "ledger", tmp_path / "key"
    with Ledger(path, tmp_path, "f"):
        pass
    path.chmod(0o644)
    with Ledger(path, tmp_path, "f"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    new_key(key)
    assert not others_can_read(key)
    key.chmod(0o644)
    assert others_can_read(key)


def test_names_of_files_and_patients_may_hold_anything(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"M\xfcller\xe2\x80\xa8.dcm")
    source.write_text("x")
    with Ledger(tmp_path / "ledger", tmp_path, "f") as ledger:
        ledger.patient("a\u2028b\x85c|", "ABC", 0)
        ledger.file(source, "quarantined", reason="broken")
    again = Ledger(tmp_path / "ledger", tmp_path, "f")
    assert again.is_done(source)
    assert set(again.patients) == {"a\u2028b\x85c|"}


def test_a_ledger_of_another_key_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", tmp_path, "f"):
        pass
    with pytest.raises(DeidentifyError, match="another key, other settings"):
        Ledger(tmp_path / "ledger", tmp_path, "g")
    (tmp_path / "x").write_text("no json\n")
    with pytest.raises(DeidentifyError, match="is not a ledger"):
        Ledger(tmp_path / "x", tmp_path, "f")
    with pytest.raises(DeidentifyError, match="inside `with`"):
        Ledger(tmp_path / "ledger", tmp_path, "f").patient("P", "A", 1)


@pytest.mark.parametrize(
    ("source", "out", "ledger", "sentence"),
    [
        ("nowhere", "clean", None, "There is nothing at"),
        ("files", "files/clean", None, "overlap"),
        ("files", "clean", "clean/ledger.jsonl", "names patients"),
    ],
)
def test_a_mistake_makes_no_key_that_a_second_try_would_find_in_its_way(
    tmp_path: Path, source: str, out: str, ledger: str | None, sentence: str
) -> None:
    (tmp_path / "files").mkdir()
    record = tmp_path / ledger if ledger else None
    with pytest.raises(DeidentifyError, match=sentence):
        make_plan(tmp_path / source, tmp_path / out, tmp_path / "key", True, record, ocr="off")
    assert not (tmp_path / "key").exists()
    assert make_plan(tmp_path / "files", tmp_path / "clean", tmp_path / "key", True, ocr="off").key
