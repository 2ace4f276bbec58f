"""A folder de-identified: resumable, file by file, with quarantine and audit.

IN/any/tree/*.dcm ─ header ─ pixels ─> OUT/<patient>/<study>/<image>.dcm ─ read again ─> audit
IN/any/tree/*.txt ─ free text ───────> OUT/text/<pseudonym>.txt
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ImplicitVRLittleEndian

from radalign.deidentify.audit import Audit, FileAudit, residual_of
from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.freetext import Identities, scrub
from radalign.deidentify.header import Outcome, deidentify_header, identities, note_clean_pixels
from radalign.deidentify.ledger import Ledger
from radalign.deidentify.pixels import PixelOutcome, clean_pixels
from radalign.deidentify.plan import Plan

Progress = Callable[[Iterable[Path], str], Iterable[Path]]
_NO_IMAGE = (
    "No image in the file (report, document or presentation state); de-identify it with a tool made for it."
)


def deidentify(plan: Plan, progress: Progress | None = None) -> Audit:
    """De-identify every file that the ledger does not call done, and write the audit of all of them.

    Args:
        plan: What and how.
        progress: Wraps the loop.
    """
    audit = Audit(tuple(sorted(plan.profile.options)), _pixel_words(plan))
    audit.unchecked = [*_unchecked(plan), *audit.unchecked]
    plan.out.mkdir(parents=True, exist_ok=True)
    source = plan.source.resolve()
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    with Ledger(plan.ledger, plan.fingerprint) as ledger:
        left = [file for file in files if not ledger.is_done(file)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they print the odd values, which may be identities
            for file in progress(left, "De-identifying") if progress else left:
                _one(file, plan, ledger)
        _gather(audit, ledger, files)
    audit.write(plan.out)
    return audit


def _one(file: Path, plan: Plan, ledger: Ledger) -> None:
    """One file: written, quarantined with its reason, or skipped because it is neither DICOM nor text."""
    try:
        if file.suffix.lower() == ".txt":
            made = _text(file, plan)
        elif _is_dicom(file):
            made = _dicom(file, plan, ledger)
        else:
            ledger.file(file, "skipped", reason="Neither DICOM nor .txt.")
            return
    except (
        DeidentifyError,
        InvalidDicomError,
        OSError,
        ValueError,
        AttributeError,
        KeyError,
        TypeError,
    ) as error:
        ledger.file(
            file, "quarantined", reason=f"{error}" if isinstance(error, DeidentifyError) else _broken(error)
        )
        return
    ledger.file(file, "written", output=made.output, audit=_as_record(made))


def _dicom(file: Path, plan: Plan, ledger: Ledger) -> FileAudit:
    dataset = dcmread(file, force=True)
    if "PixelData" not in dataset or "SOPInstanceUID" not in dataset:
        raise DeidentifyError(_NO_IMAGE)
    originals = _originals(dataset)
    outcome = deidentify_header(dataset, plan.key, plan.profile)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    pixels = clean_pixels(dataset, plan.reader, plan.band) if plan.mask_pixels else None
    if pixels and pixels.was_read and not (pixels.residual or pixels.left):
        note_clean_pixels(dataset)
    ledger.patient(outcome.patient, outcome.pseudonym, outcome.shift_days)
    relative = Path(outcome.pseudonym) / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"
    _save(dataset, plan.out / relative)
    residual = residual_of(plan.out / relative, outcome.known, originals, plan.profile)
    if residual:
        (plan.out / relative).unlink()
        raise DeidentifyError(
            f"An identity is still found in {', '.join(residual)}; look at these attributes."
        )
    return _file_audit(str(relative), outcome, pixels)


def _text(file: Path, plan: Plan) -> FileAudit:
    """A report: scrubbed with the names of the DICOM files that lie beside it."""
    known = Identities()
    for beside in sorted(file.parent.iterdir()):
        if beside != file and beside.is_file() and _is_dicom(beside):
            known |= identities(dcmread(beside, force=True, stop_before_pixels=True))
    scrubbed = scrub(file.read_text(encoding="utf-8-sig"), known)
    relative = (
        Path("text")
        / f"{plan.key.pseudonym('text', str(file.relative_to(plan.source.resolve().parent)))}.txt"
    )
    target = plan.out / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(scrubbed.text, encoding="utf-8")
    notes = (
        ()
        if known.names
        else ("A text without DICOM files beside it: only shapes and titles were scrubbed.",)
    )
    return FileAudit(str(relative), kept_text=("text file",), notes=notes)


def _originals(dataset: Dataset) -> dict[str, frozenset[str]]:
    """The UIDs (not those of the standard) and dates that must be gone afterwards."""
    uids = {str(e.value) for e in dataset.iterall() if e.VR == "UI"}
    dates = {str(e.value) for e in dataset.iterall() if e.VR in {"DA", "DT"} and e.value}
    return {"UI": frozenset(u for u in uids if not u.startswith("1.2.840.10008.")), "DA": frozenset(dates)}


def _save(dataset: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    dataset.save_as(partial, enforce_file_format=True)
    partial.replace(path)


def _file_audit(output: str, outcome: Outcome, pixels: PixelOutcome | None) -> FileAudit:
    audit = FileAudit(output, tuple(sorted(outcome.kept_text)), notes=tuple(outcome.notes))
    if pixels is None:
        return audit
    return replace(audit, masked=pixels.masked, left_marks=pixels.left, residual_marks=pixels.residual)


def _as_record(audit: FileAudit) -> dict[str, Any]:
    return {name: getattr(audit, name) for name in FileAudit.__dataclass_fields__}


def _gather(audit: Audit, ledger: Ledger, files: Iterable[Path]) -> None:
    """The audit of all files of this source, those of earlier runs included."""
    for file in files:
        line = ledger.files[str(file)]
        if line["state"] == "written":
            audit.files.append(FileAudit.of_record(line["audit"]))
        elif line["state"] == "quarantined":
            audit.quarantined[line["reason"]] += 1
        else:
            audit.skipped += 1


def _unchecked(plan: Plan) -> list[str]:
    if not plan.mask_pixels:
        return ["The pixels: burned-in text was neither searched nor masked."]
    if plan.reader is None:
        return [
            "Whether what was masked was all: without OCR (radalign[ocr]) the pixels were not read again."
        ]
    return []


def _pixel_words(plan: Plan) -> str:
    if not plan.mask_pixels:
        return "not touched"
    return "masked and read again by OCR" if plan.reader else "masked by edges, all marks, without OCR"


def _is_dicom(file: Path) -> bool:
    with file.open("rb") as handle:
        head = handle.read(132)
    return head[128:] == b"DICM" or file.suffix.lower() in {".dcm", ".dicom"}


def _broken(error: Exception) -> str:
    return f"The file is broken ({type(error).__name__}); repair it or leave it out."
