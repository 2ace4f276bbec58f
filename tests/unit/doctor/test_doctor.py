"""A person asks whether the installation works, and is told what is wrong and how to mend it."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.doctor import decoders, encoders, installation, language, machine
from radalign.doctor.check import Check
from radalign.doctor.examine import examine
from radalign.doctor.own_files import check_own_files
from radalign.search.index import Index
from radalign.study import Manifest, Study, View
from radalign.systems.base import create
from radalign.systems.folder import write_system
from radalign.weights.names import CheckpointError
from tests.unit.systems.conftest import TINY


def states(checks) -> dict[str, str]:
    return {check.name: check.state for check in checks}


# -- the installation ----------------------------------------


def test_this_installation_is_not_broken():
    found = states(examine())
    assert "broken" not in found.values()
    assert [found[name] for name in ("radalign", "packages", "DICOM pixels", "reading reports")] == 4 * [
        "fine"
    ]


def test_a_package_that_is_too_old_or_missing_breaks_it_and_is_named(monkeypatch):
    wanted = ["numpy>=999", "no-such-package>=1", "pillow>=1", 'no-such-reader; extra == "ocr"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    found = {check.name: check for check in installation.check_packages()}
    assert found["packages"].state == "broken"
    assert "numpy" in found["packages"].found
    assert "no-such-package is missing" in found["packages"].found
    assert found["packages"].mend == "pip install 'numpy>=999' 'no-such-package>=1'"
    assert found["ocr"].state == "note"
    assert found["ocr"].mend.endswith('pip install -e ".[ocr]"')
    assert found["codecs"].state == "fine"


def test_source_that_was_never_installed_is_told(monkeypatch):
    def not_there(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", not_there)
    assert list(installation.check_packages()) == [installation.NO_PACKAGE]


def test_memory_is_read_from_the_system_s_table(tmp_path):
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:       16000000 kB\nMemAvailable:    3145728 kB\n")
    assert machine.memory_gib(table) == 3.0
    assert machine.memory_gib(tmp_path / "none") is None


def test_little_memory_and_disk_are_noted(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "memory_gib", lambda: 2.0)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 2**30}))
    found = states(machine.check_machine(tmp_path))
    assert (found["memory"], found["disk"], found["processor"]) == ("note", "note", "fine")


@pytest.mark.parametrize("uid", [ExplicitVRLittleEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_pixels_come_back_from_a_transfer_syntax(uid):
    if uid not in decoders.writable_syntaxes():
        pytest.skip(f"no encoder of {uid.name}; install the extra codecs")
    assert decoders.round_trip(uid) == ""


def test_pixels_that_come_back_otherwise_break_it(monkeypatch):
    monkeypatch.setattr(decoders, "first_frame", lambda path, header, uid: np.zeros((48, 64), np.uint16))
    found = {check.name: check for check in decoders.check_decoders()}
    assert found["DICOM pixels"].state == "broken"
    assert (
        "Explicit VR Little Endian: other pixels come back than were written" in found["DICOM pixels"].found
    )


def test_an_encoder_off_its_numbers_is_broken_and_an_absent_one_a_note():
    right = torch.tensor(encoders.EXPECTED["minilm-l6"])
    assert encoders.check_encoder("minilm-l6", lambda: right).state == "fine"
    assert encoders.check_encoder("minilm-l6", lambda: right + 0.01).state == "broken"
    assert encoders.check_encoder("minilm-l6", lambda: right * float("nan")).state == "broken"

    def absent():
        raise CheckpointError("It is not installed; pip install it.")

    check = encoders.check_encoder("minilm-l6", absent)
    assert (check.state, check.found) == ("note", "It is not installed; pip install it.")


def test_a_reader_that_reads_otherwise_is_broken(monkeypatch):
    assert states(language.check_reading()) == {"reading reports": "fine"}
    monkeypatch.setattr(language, "MISSES", language.MISSES - 1)
    assert states(language.check_reading()) == {"reading reports": "broken"}


# -- what a user has made ----------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A manifest with two images, a trained system and an index by it."""
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    Image.new("L", (8, 8)).save(tmp_path / "b.png")
    studies = [Study(name, name, (View(f"{name}.png", "PA"),)) for name in "ab"]
    Manifest(studies, tmp_path).write(tmp_path / "m.parquet")
    system = create("clinvla-heads", [s for s in TINY if "adapter" not in s])
    write_system(system, tmp_path / "system")
    index = Index.create(tmp_path / "index", system.identity, 4, name="mine")
    index.add(["a"], np.eye(4, dtype=np.float32)[:1])
    return tmp_path


def test_manifest_system_and_index_are_opened_and_tried(made):
    paths = [made / name for name in ("m.parquet", "system", "index")]
    found = list(check_own_files(paths))
    assert [check.state for check in found] == 3 * ["fine"], found
    assert found[0].found == "2 studies; 2 of 2 images looked for, all there"
    assert "embeds a sentence in" in found[1].found
    assert found[2].found.startswith("an index of 1 studies by mine")


def test_what_is_damaged_is_told_in_the_words_of_what_opens_it_and_the_rest_goes_on(made):
    (made / "b.png").unlink()
    weights = max((made / "system").rglob("*.safetensors"), key=lambda file: file.stat().st_size)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    paths = [made / name for name in ("m.parquet", "system", "nothing", "index")]
    found = list(check_own_files(paths))
    assert [check.state for check in found] == ["broken", "broken", "broken", "fine"]
    assert found[0].found == "Of 2 images looked for, 1 are not there, such as b.png"
    assert weights.name in found[1].found
    assert "no manifest (.parquet), trained system or index" in found[2].found


def test_the_command_prints_a_line_each_and_fails_if_one_is_broken(monkeypatch):
    checks = [Check("disk", "fine", "9.0 GiB free"), Check("nothing", "broken", "it is not there", "mend it")]
    monkeypatch.setattr("radalign.doctor.examine.examine", lambda paths: iter(checks))
    run = CliRunner().invoke(build_app("doctor"), ["doctor", "nothing"])
    assert run.exit_code == 1
    assert run.output.splitlines() == [
        "fine    disk                 9.0 GiB free",
        "broken  nothing              it is not there; mend it",
        "1 broken: 1 fine, 0 to note.",
    ]
    run = CliRunner().invoke(build_app("doctor"), ["doctor", "--json"])
    assert [row["state"] for row in json.loads(run.output)] == ["fine", "broken"]
    monkeypatch.setattr("radalign.doctor.examine.examine", lambda paths: iter(checks[:1]))
    assert CliRunner().invoke(build_app("doctor"), ["doctor"]).exit_code == 0
