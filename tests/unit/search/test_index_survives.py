"""A full disk or a kill at any step leaves the last acknowledged state; damage is found and named."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from radalign.search.errors import IndexDamaged, SearchError, StorageError
from radalign.search.index import Index

E = np.eye(4)
CHANGES = {
    "append": lambda index: index.add(["new"], E[:1]),
    "append and swallow": lambda index: index.add([f"n{i}" for i in range(9)], E[[0] * 9]),
    "replace": lambda index: index.replace(["s1", "new"], E[2:], report_vectors=E[2:]),
    "delete": lambda index: index.delete(["s2"]),
    "compact": lambda index: index.compact(),
}


def content(folder):
    """Everything that a reader can see, checked to the last byte."""
    index = Index.open(folder)
    index.verify()
    rows = index.table().select(["study_id", "has_report"]).to_pylist()
    return sorted((r["study_id"], r["has_report"], index.vector(r["study_id"]).tolist()) for r in rows)


class Refusal:
    """Counts the steps that reach the disk and lets the `at`-th fail; a failing write leaves half of it."""

    def __init__(self, monkeypatch, at):
        self.step, self.at, self.replaced = 0, at, False
        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, self.counted(name, getattr(os, name)))
        monkeypatch.setattr(Path, "mkdir", self.counted("mkdir", Path.mkdir))
        plain_open = Path.open
        monkeypatch.setattr(
            Path, "open", lambda path, mode="r", *more: Refusing(plain_open(path, mode, *more), self, mode)
        )

    def count(self):
        self.step += 1
        if self.step == self.at:
            raise OSError(errno.ENOSPC, "No space left on device")

    def counted(self, name, plain):
        def run(*args, **kwargs):
            self.count()
            result = plain(*args, **kwargs)
            self.replaced |= name == "replace"
            return result

        return run


class Refusing:
    def __init__(self, file, refusal, mode):
        self.file, self.refusal, self.counts = file, refusal, "wb" in mode

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, chunk):
        if self.counts:
            try:
                self.refusal.count()
            except OSError:
                self.file.write(bytes(chunk)[: len(bytes(chunk)) // 2])
                raise
        return self.file.write(chunk)


def refused(change, *arguments):
    try:
        change(*arguments)
    except StorageError as error:
        return error
    return None


@pytest.mark.parametrize("name", CHANGES)
def test_a_full_disk_at_any_step_leaves_the_state_and_a_sentence(four, tmp_path, monkeypatch, name):
    old = four()
    old.add(["s5"], E[3:])
    before = content(old.folder)
    shutil.copytree(old.folder, tmp_path / "done")
    CHANGES[name](Index.open(tmp_path / "done"))
    after = content(tmp_path / "done")
    steps = 0
    while True:
        steps += 1
        folder = tmp_path / f"try{steps}"
        shutil.copytree(old.folder, folder)
        index = Index.open(folder)
        with monkeypatch.context() as patch:
            refusal = Refusal(patch, steps)
            error = refused(CHANGES[name], index)
        if error is None:
            break
        assert "the disk is full. Its last acknowledged state is intact. Free some space" in str(error)
        assert content(folder) == (after if refusal.replaced else before)
        files = {p.name for p in folder.rglob("*")}
        named = {s.name for s in Index.open(folder)._state.segments} | (
            set() if not refusal.replaced else files
        )
        assert {p.name for p in (folder / "segments").iterdir()} <= named, "no leftovers fill the disk"
        assert not [f for f in files if f.endswith(".partial")]
        if not refusal.replaced:
            CHANGES[name](index)
        assert content(folder) == after, "the same object goes on after the disk has room again"
    assert steps > 4
    assert content(folder) == after


def test_a_full_disk_while_creating_leaves_a_folder_to_try_again(tmp_path, monkeypatch):
    for step in range(1, 20):
        with monkeypatch.context() as patch:
            Refusal(patch, step)
            if refused(Index.create, tmp_path / "idx", "x", 4) is None:
                break
        if (tmp_path / "idx" / "index.json").exists():
            assert len(Index.open(tmp_path / "idx")) == 0
            shutil.rmtree(tmp_path / "idx")
    assert step > 4


KILLER = """
import json, os, shutil, sys
from pathlib import Path
import numpy as np
from radalign.search.index import Index
import radalign.search.engines.flat  # once, before every child

E, base, tries = np.eye(4), Path(sys.argv[1]), Path(sys.argv[2])
CHANGES = {
    "replace": lambda index: index.replace(["s1", "new"], E[2:], report_vectors=E[2:]),
    "delete": lambda index: index.delete(["s2"]),
    "compact": lambda index: index.compact(),
}

def killed_at(folder, name, step):
    count = [0]
    def before(plain):
        def run(*args, **kwargs):
            count[0] += 1
            if count[0] == step:
                os._exit(9)
            return plain(*args, **kwargs)
        return run
    os.fsync = lambda _: None  # a kill, unlike a power cut, loses nothing that was written
    index = Index.open(folder)
    for call in ("fsync", "replace", "unlink", "rmdir", "open"):
        setattr(os, call, before(getattr(os, call)))
    Path.mkdir = before(Path.mkdir)
    CHANGES[name](index)
    os._exit(0)

for name in CHANGES:
    for step in range(1, 100):  # every step until the change gets through
        folder = tries / f"{name}-{step}"
        shutil.copytree(base, folder)
        child = os.fork() or killed_at(folder, name, step)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([name, step, code]), flush=True)
        if code != 9:
            break
"""


@pytest.mark.timeout(600)  # dozens of forks and folders: seconds alone, minutes on a busy disk
def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(four, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)
    base = four()
    base.add(["s5"], E[3:])
    before = content(base.folder)
    (tmp_path / "tries").mkdir()
    command = [sys.executable, "-c", KILLER, str(base.folder), str(tmp_path / "tries")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    outcomes = [json.loads(line) for line in printed.splitlines()]
    after = {
        name: content(tmp_path / "tries" / f"{name}-{step}") for name, step, code in outcomes if code == 0
    }
    assert set(after) == {"replace", "delete", "compact"}, printed
    assert len(outcomes) > 25
    for name, step, code in outcomes:
        folder = tmp_path / "tries" / f"{name}-{step}"
        assert code in (0, 9)
        assert content(folder) in (before, after[name]), (name, step)
        index = Index.open(folder)
        index.replace(["again"], E[:1])
        named = {s.name for s in index._state.segments}
        assert {p.name for p in (folder / "segments").iterdir()} == named, (
            "the next writer clears what was left"
        )


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)


def segment_file(folder, name):
    return next(folder.glob(f"segments/*/{name}"))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "index.json").write_bytes(b""), "index.json is damaged; restore"),
        (lambda f: (f / "index.json").write_text("[1, 2]"), "index.json is damaged; restore"),
        (lambda f: os.truncate(f / "index.json", 500), "index.json is damaged; restore"),
        (lambda f: edit(f, lambda body: body.update(sequence=9)), "index.json is damaged; restore"),
        (lambda f: os.truncate(segment_file(f, "images.npy"), 100), "images.npy has the wrong size; restore"),
        (lambda f: os.truncate(segment_file(f, "rows.arrow"), 100), "rows.arrow has the wrong size; restore"),
        (lambda f: segment_file(f, "reports.npy").unlink(), "reports.npy is missing; restore"),
        (lambda f: shutil.rmtree(next(f.glob("segments/*"))), "is missing; restore"),
        (
            lambda f: flip(segment_file(f, "rows.arrow"), 700),
            r"rows.arrow is altered \(its checksum differs\)",
        ),
        (lambda f: flip(segment_file(f, "images.npy"), 5), "images.npy is not an array file"),
    ],
)
def test_damage_is_found_at_opening(four, damage, sentence):
    folder = four().folder
    damage(folder)
    with pytest.raises(IndexDamaged, match=sentence):
        Index.open(folder)


def edit(folder, change):
    held = json.loads((folder / "index.json").read_text())
    change(held["body"])
    (folder / "index.json").write_text(json.dumps(held))


def test_an_altered_vector_is_found_by_verify_and_never_spread(four):
    index = four()
    flip(segment_file(index.folder, "images.npy"), -3)
    index = Index.open(index.folder)
    with pytest.raises(IndexDamaged, match=r"images.npy is altered \(its checksum differs\); restore"):
        index.verify()
    index.delete(["s1"])
    with pytest.raises(IndexDamaged, match="altered"):
        index.compact()
    with pytest.raises(IndexDamaged, match="altered"):
        index.add([f"n{i}" for i in range(9)], E[[0] * 9])


def test_a_later_version_is_refused_by_number(four):
    folder = four().folder
    edit(folder, lambda body: body.update(version=2))
    with pytest.raises(
        SearchError, match=r"of version 2, and this release reads .* of version 1; use the release"
    ):
        Index.open(folder)


def test_a_folder_without_write_permission_gives_a_sentence(four, monkeypatch):
    index = four()

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        StorageError, match=r"Permission denied. Its last acknowledged state is intact. Mend that"
    ):
        index.delete(["s1"])
