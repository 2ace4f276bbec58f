"""A person de-identifies a folder from the command line, goes on after a stop, and reads the audit."""

import json
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
import typer
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from typer.testing import CliRunner

from radalign.cli.deidentify import deidentify
from radalign.deidentify.plan import make_plan
from radalign.deidentify.run import deidentify as run_plan

app = typer.Typer()
app.command()(deidentify)


def run(*words: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    place = tmp_path / "hospital"
    place.mkdir()
    for n in range(3):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", f"1.2.3.{n}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.9"
        ds.PatientName, ds.PatientID, ds.StudyDate = "Doe^Jane", "77", f"2024010{n + 1}"
        ds.Rows = ds.Columns = 32
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.PixelData = np.full((32, 32), 90, np.uint8).tobytes()
        ds.save_as(place / f"{n}.dcm", enforce_file_format=True)
    return place


def test_from_the_command_line(hospital: Path, tmp_path: Path) -> None:
    key, out = tmp_path / "safe" / "key", tmp_path / "out"
    audit = run(hospital, out, "--key-file", key, "--new-key", "--ocr", "off", "--json")
    assert (audit["written"], audit["with_residual"], audit["quarantined"]) == (3, 0, {})
    assert audit["options"] == ["modified-dates"]
    assert audit["unchecked"]
    days = sorted(datetime.strptime(dcmread(f).StudyDate, "%Y%m%d") for f in out.rglob("*.dcm"))
    assert [(day - days[0]).days for day in days] == [0, 1, 2]
    assert days[0] < datetime(2024, 1, 1)
    ledger = tmp_path / "safe" / "key.ledger.jsonl"
    assert '"original": "77|"' in ledger.read_text()
    again = run(hospital, out, "--key-file", key, "--ocr", "off", "--json")
    assert again == audit


def test_a_quarantined_file_shows_in_the_exit_code(hospital: Path, tmp_path: Path) -> None:
    (hospital / "empty.dcm").write_bytes(b"")
    key = tmp_path / "key"
    words = [str(w) for w in (hospital, tmp_path / "out", "--key-file", key, "--new-key", "--ocr", "off")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 3
    assert "1 files were quarantined" in result.stderr
    assert "Others can read the key" not in result.stderr
    key.chmod(0o644)
    again = CliRunner().invoke(app, [w for w in words if w != "--new-key"], catch_exceptions=False)
    assert again.exit_code == 3
    assert "Others can read the key" in again.stderr


def test_the_help_names_every_option_and_exit_code() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    for word in ("graphics", "descriptors", "quarantined"):
        assert word in shown


def test_the_page_for_a_person_promises_nothing(hospital: Path, tmp_path: Path) -> None:
    words = [
        hospital,
        tmp_path / "out",
        "--key-file",
        tmp_path / "key",
        "--new-key",
        "--ocr",
        "off",
        "--no-pixels",
    ]
    result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0
    assert "does not say that the files are anonymous" in result.output
    assert "neither searched nor masked" in result.output


def test_every_dicom_file_of_pydicom_is_written_or_quarantined_with_a_sentence(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    shipped = Path(pydicom.data.__file__).parent / "test_files"
    files = [f for f in sorted(shipped.rglob("*.dcm")) if f.stat().st_size < 60_000]
    for n, file in enumerate(files):
        (source / f"{n:03d}.dcm").write_bytes(file.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = make_plan(source, tmp_path / "out", tmp_path / "key", make_key=True, ocr="off")
        audit = run_plan(plan)
    assert len(audit.files) + audit.quarantined.total() + audit.skipped == len(files) > 40
    assert len(audit.files) > 20
    assert all(reason.rstrip().endswith((".", ";")) for reason in audit.quarantined)
    for file in (tmp_path / "out").rglob("*.dcm"):
        ds = dcmread(file, stop_before_pixels=True)
        assert str(ds.PatientName) == f"ANON^{ds.PatientID}"
        assert not any(e.tag.is_private for e in ds.iterall())
