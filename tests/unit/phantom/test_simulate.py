"""A simulation is repeatable, goes on where it stopped, and never leaves half a file."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from radalign.data.phantom import files
from radalign.data.phantom import simulate as module
from radalign.data.phantom.files import FileFormat, SimulationError
from radalign.data.phantom.photometry import Photometry
from radalign.data.phantom.simulate import Settings, simulate, studies_per_patient
from radalign.study import Manifest

SMALL = Settings(seed=3, size_px=64)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("images/**/*.*"))}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulation") / "four"
    return folder, simulate(folder, 4, SMALL)


def test_the_manifest_holds_the_truth(made):
    folder, manifest = made
    read = Manifest.read(folder / "manifest.parquet")
    assert read.studies == manifest.studies
    assert len(read) == 4
    for study in read:
        assert all(read.image_path(v).is_file() for v in study.views)
        present = {f.name for f in study.truth if f.change != "resolved"}
        assert {n for n, value in study.labels.items() if value and n != "normal"} == present
        assert study.source == "radalign phantom"
        assert study.report.body
        assert study.split in {"train", "validate", "test"}


def test_priors_are_linked_within_the_patient(made):
    manifest = simulate(made[0].parent / "priors", 4, replace(SMALL, priors=1.0))
    later = [s for s in manifest if s.prior_study_id]
    assert len(later) == 2
    for study in later:
        prior = manifest.prior(study)
        assert prior.patient_id == study.patient_id
        assert prior.time_offset_days == 0 < study.time_offset_days
        assert prior.split == study.split


def test_a_study_does_not_depend_on_how_many_there_are(made, tmp_path):
    simulate(tmp_path / "two", 2, SMALL)
    two, four = contents(tmp_path / "two"), contents(made[0])
    assert two
    assert all(four[name] == content for name, content in two.items())


def test_processes_make_the_same_as_one(made, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SMALLEST_FOR_POOL", 1)
    manifest = simulate(tmp_path / "pool", 4, SMALL, workers=2)
    assert contents(tmp_path / "pool") == contents(made[0])
    assert manifest.studies == made[1].studies


def test_another_seed_makes_other_patients(made, tmp_path):
    other = simulate(tmp_path / "other", 1, replace(SMALL, seed=4))
    assert not {s.id for s in other} & {s.id for s in made[1]}


def test_an_interrupted_simulation_goes_on_and_keeps_what_is_finished(made, tmp_path, monkeypatch):
    folder = tmp_path / "broken"
    real, calls = files.FileFormat.encode, []

    def encode(self, case, position, image):
        calls.append(position)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(self, case, position, image)

    monkeypatch.setattr(files.FileFormat, "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        simulate(folder, 4, SMALL)
    assert not (folder / "manifest.parquet").exists()
    kept = {p: p.stat().st_mtime_ns for p in folder.rglob("*.png")}
    assert len(kept) == 4
    simulate(folder, 4, SMALL)
    assert all(p.stat().st_mtime_ns == when for p, when in kept.items())
    assert contents(folder) == contents(made[0])


def test_an_empty_image_is_made_again(made, tmp_path):
    simulate(tmp_path / "empty", 1, SMALL)
    image = next((tmp_path / "empty").rglob("*.png"))
    image.write_bytes(b"")
    simulate(tmp_path / "empty", 1, SMALL)
    assert image.read_bytes() == contents(made[0])[image.relative_to(tmp_path / "empty")]


def test_a_full_disk_is_a_sentence_and_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    real = Path.write_bytes

    def full(self, content):
        if self.name.endswith(".png.partial"):
            real(self, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SimulationError, match=r"disk is full.*run the same command again"):
        simulate(tmp_path / "out", 2, SMALL)
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["simulation.json"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.txt").write_text("mine")
    with pytest.raises(SimulationError, match="not empty"):
        simulate(tmp_path, 1, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.txt"]


def test_a_simulation_with_other_settings_is_not_overwritten(made):
    before = contents(made[0])
    with pytest.raises(SimulationError, match="other settings"):
        simulate(made[0], 4, replace(SMALL, size_px=128))
    assert contents(made[0]) == before


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SimulationError, match="not a folder"):
        simulate(tmp_path / "file" / "out", 1, SMALL)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"size_px": 20}, "64 to 2048"), ({"priors": 1.5}, "between 0 and 1"), ({"seed": -1}, "0 or more")],
)
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(SimulationError, match=sentence):
        Settings(**settings)


def test_no_studies_and_unknown_formats_are_refused(tmp_path):
    with pytest.raises(SimulationError, match="at least 1"):
        simulate(tmp_path / "none", 0, SMALL)
    with pytest.raises(SimulationError, match="png or dicom"):
        FileFormat("tiff")


def test_dicom_files_are_named_and_identified(tmp_path):
    settings = replace(SMALL, file_format=FileFormat("dicom", Photometry("MONOCHROME1", window="SIGMOID")))
    manifest = simulate(tmp_path / "dicom", 2, settings)
    import pydicom

    for study in manifest:
        for view in study.views:
            header = pydicom.dcmread(manifest.image_path(view), stop_before_pixels=True)
            assert (header.SOPInstanceUID, header.ViewPosition) == (view.id, view.position)
            assert header.StudyInstanceUID == study.extra["study_instance_uid"]
            assert header.PatientID == study.patient_id


def test_the_settings_are_kept_beside_the_images(made):
    noted = json.loads((made[0] / "simulation.json").read_text())
    assert (noted["seed"], noted["size_px"]) == (3, 64)


def test_counts_stop_exactly_at_the_asked_number():
    for studies in range(1, 40):
        assert sum(studies_per_patient(Settings(priors=0.5), studies)) == studies
