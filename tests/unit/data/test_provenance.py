"""What a result says of the code that made it."""

from __future__ import annotations

import subprocess

import pytest

from radalign.data import provenance


@pytest.fixture
def package(tmp_path):
    """A package of two folders in a repository of its own, all of it committed."""
    for folder in ("data", "systems"):
        (tmp_path / "src" / "package" / folder).mkdir(parents=True)
        (tmp_path / "src" / "package" / folder / "code.py").write_text("first = 1\n")
    (tmp_path / "README.md").write_text("A package.\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path / "src" / "package"


@pytest.mark.parametrize("folder", ["data", "systems"])
def test_a_changed_file_in_any_folder_of_the_package_is_told(package, monkeypatch, folder):
    monkeypatch.setattr(provenance, "PACKAGE", package)
    clean = provenance.provenance()["commit"]
    assert len(clean) == 40
    (package / folder / "code.py").write_text("second = 2\n")
    assert provenance.provenance()["commit"] == f"{clean}+changes"


def test_what_lies_outside_of_the_package_changes_no_result(package):
    (package.parents[1] / "README.md").write_text("Another text.\n")
    assert "+changes" not in provenance.git_commit(package)


def test_the_package_is_all_of_radalign():
    import radalign

    assert provenance.Path(radalign.__file__).parent == provenance.PACKAGE


def test_outside_of_a_checkout_there_is_no_commit(tmp_path):
    assert provenance.git_commit(tmp_path) == ""
