"""A folder: written, quarantined, resumed, audited."""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from radalign.deidentify.errors import DeidentifyError, OutputError
from radalign.deidentify.header import deidentify_header
from radalign.deidentify.keys import Key, new_key
from radalign.deidentify.pixels import clean_pixels
from radalign.deidentify.plan import RULES, Plan, make_plan
from radalign.deidentify.profile import Profile
from radalign.deidentify.run import deidentify
from radalign.images.apart import Apart
from radalign.images.burned_in import Mark


class Reads:
    """OCR that reads one thing everywhere."""

    def __init__(self, text: str) -> None:
        self.text = text

    def find(self, picture: np.ndarray) -> list[Mark]:
        return []

    def read(self, picture: np.ndarray) -> str:
        return self.text


def plan(folder: Path, reader: Reads | None = None, **more: object) -> Plan:
    settings = {"profile": Profile(frozenset({"modified-dates", "descriptors"})), **more}
    place = folder.parent
    return Plan(
        folder, place / "out", Key(bytes(range(32))), place / "ledger.jsonl", reader=reader, **settings
    )


def test_a_folder_is_deidentified_with_quarantine_and_audit(folder: Path) -> None:
    audit = deidentify(plan(folder))
    assert (len(audit.files), audit.quarantined.total(), audit.skipped) == (4, 2, 1)
    assert any("No image in the file" in reason for reason in audit.quarantined)
    out = sorted((folder.parent / "out").rglob("*.dcm"))
    patients = {dcmread(f).PatientID for f in out}
    assert len(out) == 3
    assert len(patients) == 2
    assert all(f.parent.parent.name in patients for f in out)
    (report,) = (folder.parent / "out" / "text").iterdir()
    assert report.read_text() == "[NAME], seen [DATE]. No effusion."
    page = (folder.parent / "out" / "deidentification-audit.md").read_text()
    assert "does not say that the files are anonymous" in page
    assert "without OCR" in page
    everything = page + (folder.parent / "out" / "deidentification-audit.json").read_text()
    assert not [word for word in ("Doe", "Jane", "00123", "00777", "Hillside") if word in everything]


def test_burned_in_text_is_masked_and_the_rest_untouched(folder: Path) -> None:
    deidentify(plan(folder))
    before = dcmread(folder / "MRN-00777" / "c" / "image.dcm").pixel_array
    files = [dcmread(f) for f in (folder.parent / "out").rglob("*.dcm")]
    for ds in files:
        assert ds.pixel_array.max() < 4095 == before.max()
        assert (ds.pixel_array == before)[40:].all()
        assert "BurnedInAnnotation" not in ds  # nobody read it


def test_safe_marks_stay_and_are_vouched_for_only_when_read(folder: Path) -> None:
    audit = deidentify(plan(folder, Reads("PORTABLE")))
    ds = dcmread(next((folder.parent / "out").rglob("*.dcm")))
    assert ds.pixel_array.max() == 4095
    assert ds.BurnedInAnnotation == "NO"
    assert "113101" in [c.CodeValue for c in ds.DeidentificationMethodCodeSequence]
    assert sum(f.masked for f in audit.files) == 0


def test_pixels_may_be_left_alone_and_the_audit_says_so(folder: Path) -> None:
    audit = deidentify(plan(folder, mask_pixels=False))
    assert "neither searched nor masked" in audit.unchecked[0]
    assert dcmread(next((folder.parent / "out").rglob("*.dcm"))).pixel_array.max() == 4095


def test_a_second_run_does_nothing_again_and_a_new_file_is_added(folder: Path, make) -> None:
    first = deidentify(plan(folder))
    stamps = {f: f.stat().st_mtime_ns for f in (folder.parent / "out").rglob("*.dcm")}
    make(SOPInstanceUID="1.2.3.0.2", StudyInstanceUID="1.2.3.0").save_as(
        folder / "MRN-00123" / "late.dcm", enforce_file_format=True
    )
    seen = []
    second = deidentify(plan(folder), lambda files, title: seen.extend(files) or files)
    assert [f.name for f in seen] == ["late.dcm"]
    assert len(second.files) == len(first.files) + 1
    assert all(f.stat().st_mtime_ns == stamp for f, stamp in stamps.items())
    studies = {f.parent for f in (folder.parent / "out").rglob("*.dcm")}
    assert len(studies) == 3  # the late image joined its study


def test_other_settings_do_not_mix_with_an_old_ledger(folder: Path) -> None:
    deidentify(plan(folder))
    with pytest.raises(DeidentifyError, match="another key, other settings"):
        deidentify(plan(folder, profile=Profile(frozenset())))


def test_newer_rules_do_not_mix_with_an_old_ledger(folder: Path, monkeypatch) -> None:
    deidentify(plan(folder))
    monkeypatch.setattr("radalign.deidentify.plan.RULES", RULES + 1)
    with pytest.raises(DeidentifyError, match="older rules"):
        deidentify(plan(folder))


def test_a_run_that_was_killed_goes_on_with_the_files_that_are_left(folder: Path) -> None:
    def killed(files, title):
        yield next(iter(files))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deidentify(plan(folder), killed)
    done = list((folder.parent / "out").rglob("*.dcm"))
    seen = []
    audit = deidentify(plan(folder), lambda files, title: seen.extend(files) or files)
    whole = deidentify(plan(folder))
    assert not list((folder.parent / "out").rglob("*.partial"))
    assert len(seen) == len(audit.files) + audit.quarantined.total() + audit.skipped - 1
    assert len(done) <= 1
    assert [f.output for f in audit.files] == [f.output for f in whole.files]


def test_the_secrets_never_lie_with_the_files(folder: Path) -> None:
    place = folder.parent
    with pytest.raises(DeidentifyError, match="names patients"):
        Plan(folder, place / "out", Key(bytes(32)), place / "out" / "ledger", Profile(frozenset()))
    with pytest.raises(DeidentifyError, match="would travel"):
        make_plan(folder, place / "out", place / "out" / "key", make_key=True)
    with pytest.raises(DeidentifyError, match="overlap"):
        Plan(folder, folder / "out", Key(bytes(32)), place / "ledger", Profile(frozenset()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dates": "move"}, "use one of shift"),
        ({"band": 0.7}, "up to 0.5"),
        ({"ocr": "yes"}, "use one of auto"),
        ({"retain": ["faces"]}, "Unknown options"),
    ],
)
def test_bad_settings_are_refused(folder: Path, settings: dict, message: str) -> None:
    new_key(folder.parent / "key")
    with pytest.raises(DeidentifyError, match=message):
        make_plan(folder, folder.parent / "out", folder.parent / "key", **settings)


def test_compressed_pixels_keep_their_bytes_when_nothing_is_masked(make) -> None:
    ds = make(text="")
    ds.compress(RLELossless)
    data = ds.PixelData
    assert clean_pixels(ds, None).masked == 0
    assert ds.PixelData == data
    assert ds.file_meta.TransferSyntaxUID == RLELossless
    marked = make()
    marked.compress(RLELossless)
    assert clean_pixels(marked, None).masked
    assert marked.pixel_array.max() < 4095


def test_pixels_that_cannot_be_decoded_are_quarantined_with_the_way_out(make) -> None:
    ds = make()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
    with pytest.raises(DeidentifyError, match=r"install radalign\[codecs\]"):
        clean_pixels(ds, None)


def test_an_identity_found_again_quarantines_the_file(folder: Path, make) -> None:
    make(ViewPosition="DOE JANE", SOPInstanceUID="1.2.9").save_as(
        folder / "odd.dcm", enforce_file_format=True
    )
    audit = deidentify(plan(folder))
    assert any("still found in ViewPosition" in reason for reason in audit.quarantined)
    assert len(list((folder.parent / "out").rglob("*.dcm"))) == 3


def test_a_run_into_another_or_an_emptied_folder_writes_everything_again(folder: Path) -> None:
    first = deidentify(plan(folder))
    other = replace(plan(folder), out=folder.parent / "other")
    again = deidentify(other)
    for audit, out in ((first, folder.parent / "out"), (again, folder.parent / "other")):
        assert len(audit.files) == 4
        assert audit.quarantined.total() == 2
        assert all((out / f.output).is_file() for f in audit.files)
    gone = folder.parent / "out" / first.files[0].output
    gone.unlink()
    assert len(deidentify(plan(folder)).files) == 4
    assert gone.is_file()


def test_files_of_other_origin_are_counted(folder: Path) -> None:
    deidentify(plan(folder))
    (folder.parent / "out" / "foreign.dcm").write_text("x")
    audit = deidentify(plan(folder))
    assert (len(audit.files), audit.others) == (4, 1)


class Panic(BaseException):
    """What a decoder written in Rust raises."""


@pytest.mark.parametrize("error", [Panic, NotImplementedError, zlib.error, RecursionError])
def test_a_file_that_breaks_its_reader_is_quarantined_and_the_rest_goes_on(
    folder: Path, monkeypatch, error: type[BaseException]
) -> None:
    decode = Dataset.pixel_array.fget

    def pixel_array(self: Dataset) -> np.ndarray:
        if self.StudyDate == shifted.StudyDate:
            raise error("broken")
        return decode(self)

    shifted = dcmread(folder / "MRN-00777" / "c" / "image.dcm")
    deidentify_header(shifted, Key(bytes(range(32))), Profile(frozenset({"modified-dates"})))
    monkeypatch.setattr(Dataset, "pixel_array", property(pixel_array))
    audit = deidentify(plan(folder))
    assert (len(audit.files), audit.quarantined.total()) == (3, 3)
    assert any("cannot be decoded" in reason for reason in audit.quarantined)
    monkeypatch.undo()
    assert len(deidentify(plan(folder)).files) == 4  # what had no decoder is tried again


def test_a_decoder_that_crashes_costs_one_file_and_not_the_run(folder: Path, make, monkeypatch) -> None:
    for number in (1, 2, 3):
        ds = make(SOPInstanceUID=f"1.2.9.{number}", StudyDate=f"2024030{number}")
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(folder / f"rle{number}.dcm", enforce_file_format=True)
    before = len(
        deidentify(replace(plan(folder), out=folder.parent / "whole", ledger=folder.parent / "l2")).files
    )
    ask, asked = Apart._ask, []

    def crashes(self: Apart, *said: object) -> object:
        asked.append(said)
        if len(asked) == 2:
            self._child.kill()
        return ask(self, *said)

    monkeypatch.setattr(Apart, "_ask", crashes)
    audit = deidentify(plan(folder))
    assert len(asked) == 3
    assert len(audit.files) == before - 1
    assert sum(n for reason, n in audit.quarantined.items() if "made their decoder crash" in reason) == 1
    assert len(deidentify(plan(folder)).files) == before  # tried again


def test_broken_dicom_is_quarantined_with_its_reason(folder: Path, make) -> None:
    ds = make(SOPInstanceUID="1.2.9.1")
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(folder / "cut.dcm", enforce_file_format=True)
    whole = (folder / "cut.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[: len(whole) // 2])
    make(SOPInstanceUID="1.2.9.2").save_as(folder / "odd.dcm", enforce_file_format=True)
    odd = (folder / "odd.dcm").read_bytes()
    samples = b"\x28\x00\x02\x00US\x02\x00\x01\x00"
    assert samples in odd
    (folder / "odd.dcm").write_bytes(odd.replace(samples, samples[:6] + b"\x03\x00\x01\x00\x00"))
    (folder / "vr.dcm").write_bytes(odd.replace(b"\x18\x00\x01\x51CS", b"\x18\x00\x01\x51ZZ"))
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "words.dcm").write_text("not what its name says" * 20)
    audit = deidentify(plan(folder))
    assert len(audit.files) == 4
    reasons = " ".join(audit.quarantined)
    for word in ("zlib.error", "BytesLengthException", "NotImplementedError", "0 bytes", "no DICOM file"):
        assert word in reasons
    assert deidentify(plan(folder)).quarantined == audit.quarantined


def test_of_two_files_with_one_uid_the_second_is_quarantined(folder: Path, make) -> None:
    first, copy, second = (folder / name for name in ("x1.dcm", "x2.dcm", "x3.dcm"))
    make(SOPInstanceUID="1.2.9").save_as(first, enforce_file_format=True)
    copy.write_bytes(first.read_bytes())
    make(text="", SOPInstanceUID="1.2.9").save_as(second, enforce_file_format=True)
    audit = deidentify(plan(folder))
    assert len(audit.files) == 5
    assert audit.skipped == 2  # the copy, and notes.pdf
    assert any("same SOP Instance UID" in reason for reason in audit.quarantined)
    make(SOPInstanceUID="1.2.9", StudyTime="111111").save_as(first, enforce_file_format=True)
    assert len(deidentify(plan(folder)).files) == 5  # its own target may be written again


def test_an_unread_file_never_has_its_name(folder: Path, monkeypatch) -> None:
    seen = []

    def leaks(path: Path, *rest: object) -> tuple[str, ...]:
        seen.append(path)
        assert not path.with_name(path.name.removesuffix(".partial")).exists()
        return ("Manufacturer",)

    monkeypatch.setattr("radalign.deidentify.run.leaks_of", leaks)
    (folder.parent / "out").mkdir()
    (folder.parent / "out" / "killed.dcm.partial").write_text("Doe")
    deidentify(plan(folder))
    assert len(seen) == 3
    assert not [f for f in (folder.parent / "out").rglob("*") if ".dcm" in f.name]


def test_a_full_disk_ends_the_run_and_blames_no_file(folder: Path, monkeypatch) -> None:
    def full(self: Dataset, *rest: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Dataset, "save_as", full)
    with pytest.raises(OutputError, match="No space left"):
        deidentify(plan(folder))
    monkeypatch.undo()
    assert len(deidentify(plan(folder)).files) == 4


def test_a_report_beside_a_broken_image_waits_and_one_in_another_code_is_named(folder: Path) -> None:
    place = folder / "MRN-00123" / "a"
    (place / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x10\x00ZZ\x02\x00ab")
    (folder / "latin.txt").write_bytes("Müller".encode("latin-1"))
    reasons = " ".join(deidentify(plan(folder)).quarantined)
    assert "not UTF-8" in reasons
    assert "beside this text is broken" in reasons
    (place / "broken.dcm").unlink()
    assert any(f.output.startswith("text") for f in deidentify(plan(folder)).files)


def test_the_audit_shows_likenesses_and_patients_of_several_issuers(folder: Path, make) -> None:
    make(SOPInstanceUID="1.2.9", ViewPosition="DOE").save_as(folder / "x.dcm", enforce_file_format=True)
    make(SOPInstanceUID="1.2.8", IssuerOfPatientID="Zq").save_as(folder / "y.dcm", enforce_file_format=True)
    audit = deidentify(plan(folder))
    assert list(audit.to_read.values()) == [("ViewPosition",)]
    page = audit.to_markdown()
    assert "Read these files" in page
    assert "several issuers" in page
    assert "English, German, French and Spanish" in page
