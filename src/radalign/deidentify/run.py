"""A folder de-identified: resumable, file by file, with quarantine and audit.

IN/any/tree/*.dcm ─ header ─ pixels ─ read again ─> OUT/<patient>/<study>/<image>.dcm
IN/any/tree/*.txt ─ free text ───────────────────> OUT/text/<pseudonym>.txt

A file is written under a name that ends in .partial, read again, and only then gets its own name.
"""

from __future__ import annotations

import filecmp
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from radalign.deidentify.audit import AUDIT_NAME, Audit, FileAudit
from radalign.deidentify.errors import DeidentifyError, OutputError, RetryableError, is_of_a_file
from radalign.deidentify.freetext import Identities, scrub
from radalign.deidentify.header import Outcome, deidentify_header, note_clean_pixels
from radalign.deidentify.identities import identities
from radalign.deidentify.ledger import Ledger
from radalign.deidentify.pixel_bytes import tidy_pixel_bytes
from radalign.deidentify.pixels import PixelOutcome, clean_pixels
from radalign.deidentify.plan import Plan
from radalign.deidentify.residue import is_like, leaks_of, likenesses_of, originals_of
from radalign.images.apart import Apart

Progress = Callable[[Iterable[Path], str], Iterable[Path]]
_PARTIAL = ".partial"
_NO_IMAGE = (
    "No image in the file (report, document or presentation state); de-identify it with a tool made for it."
)
_NO_DICOM = "This is no DICOM file, whatever its name says; rename it or leave it out."
_IDENTIFYING_GROUP = 0x0008
_NO_UIDS = "The image has no SOP Instance UID or no Study Instance UID; give it one or leave it out."
_EMPTY = "The file is empty (0 bytes); fetch it again or leave it out."
_NOT_UTF8 = "The text is not UTF-8; convert it."
_TAKEN = (
    "Another file with the same SOP Instance UID is written already; find out which of the two is right, "
    "or give one a UID of its own."
)


class _NotOurs(Exception):
    """A file that is neither de-identified nor a reason to worry."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(reason)
        self.output = output


@dataclass
class _Run:
    """What the files of one run share."""

    plan: Plan
    ledger: Ledger
    apart: Apart
    beside: dict[Path, Identities] = field(default_factory=dict)


def deidentify(plan: Plan, progress: Progress | None = None) -> Audit:
    """De-identify every file that the ledger does not call done, and write the audit of all of them.

    Args:
        plan: What and how.
        progress: Wraps the loop.

    Raises:
        OutputError: If nothing can be written any more.
    """
    audit = Audit(tuple(sorted(plan.profile.options)), _pixel_words(plan))
    audit.unchecked = [*_unchecked(plan), *audit.unchecked]
    plan.out.mkdir(parents=True, exist_ok=True)
    for left_over in plan.out.rglob(f"*{_PARTIAL}"):
        left_over.unlink()  # of a run that was killed; nobody read it again
    source = plan.source.resolve()
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    with Ledger(plan.ledger, plan.out, plan.fingerprint) as ledger, Apart() as apart:
        run = _Run(plan, ledger, apart)
        left = [file for file in files if not ledger.is_done(file)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they print the odd values, which may be identities
            for file in progress(left, "De-identifying") if progress else left:
                _one(file, run)
        _gather(audit, run, files)
    audit.write(plan.out)
    return audit


def _one(file: Path, run: _Run) -> None:
    """One file: written, quarantined with its reason, or skipped because it is neither DICOM nor text."""
    try:
        made = _made(file, run)
    except _NotOurs as other:
        run.ledger.file(file, "skipped", output=other.output, reason=str(other))
    except BaseException as error:
        if not is_of_a_file(error):
            raise
        again = isinstance(error, (RetryableError, OSError, MemoryError))
        run.ledger.file(file, "quarantined", reason=_reason(error), again=again)
    else:
        run.ledger.file(file, "written", output=made.output, audit=asdict(made))


def _made(file: Path, run: _Run) -> FileAudit:
    is_text = file.suffix.lower() == ".txt"
    if not is_text and not _is_dicom(file):
        raise _NotOurs("Neither DICOM nor .txt.")
    if not file.stat().st_size:
        raise DeidentifyError(_EMPTY)
    return _text(file, run) if is_text else _dicom(file, run)


def _dicom(file: Path, run: _Run) -> FileAudit:
    plan, dataset = run.plan, dcmread(file, force=True)
    if not dataset.preamble and not dataset.group_dataset(_IDENTIFYING_GROUP):
        raise DeidentifyError(_NO_DICOM)
    if "PixelData" not in dataset:
        raise DeidentifyError(_NO_IMAGE)
    if not all(dataset.get(keyword) for keyword in ("SOPInstanceUID", "StudyInstanceUID")):
        raise DeidentifyError(_NO_UIDS)
    originals = originals_of(dataset)
    outcome = deidentify_header(dataset, plan.key, plan.profile)
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    outcome.notes += tidy_pixel_bytes(dataset)
    pixels = clean_pixels(dataset, plan.reader, plan.band, run.apart.decode) if plan.mask_pixels else None
    if pixels and pixels.was_read and not (pixels.residual or pixels.left):
        note_clean_pixels(dataset)
    run.ledger.patient(outcome.patient, outcome.pseudonym, outcome.shift_days)
    relative = Path(outcome.pseudonym) / str(dataset.StudyInstanceUID) / f"{dataset.SOPInstanceUID}.dcm"
    with _partial(plan.out / relative) as partial:
        with _writing():
            dataset.save_as(partial, enforce_file_format=True)
        leaks = leaks_of(partial, outcome.known, originals, plan.profile)
        if leaks:
            raise DeidentifyError(
                f"An identity is still found in {', '.join(leaks)}; look at these attributes."
            )
        likenesses = likenesses_of(partial, outcome.known, plan.profile)
        _settle(partial, plan.out / relative, file, run.ledger)
    return replace(_file_audit(str(relative), outcome, pixels), likenesses=likenesses)


def _settle(partial: Path, target: Path, file: Path, ledger: Ledger) -> None:
    """Give a file its name, unless that name is another file's."""
    output = str(target.relative_to(ledger.out))
    owner = ledger.source_of(output)
    if target.exists() and owner != str(file):
        if not filecmp.cmp(partial, target, shallow=False):
            raise DeidentifyError(_TAKEN)
        if owner and Path(owner).exists():
            raise _NotOurs("A copy of another file, which is written.", output)
    with _writing():
        partial.replace(target)


def _text(file: Path, run: _Run) -> FileAudit:
    """A report: scrubbed with the names of the DICOM files that lie beside it."""
    plan, known = run.plan, _known_beside(file, run)
    try:
        scrubbed = scrub(file.read_text(encoding="utf-8-sig"), known)
    except UnicodeDecodeError as error:
        raise DeidentifyError(_NOT_UTF8) from error
    named = plan.key.pseudonym("text", str(file.relative_to(plan.source.resolve().parent)))
    relative = Path("text") / f"{named}.txt"
    with _partial(plan.out / relative) as partial, _writing():
        partial.write_text(scrubbed.text, encoding="utf-8")
        partial.replace(plan.out / relative)
    alone = "A text without DICOM files beside it: only shapes and titles were scrubbed."
    return FileAudit(
        str(relative),
        kept_text=("text file",),
        notes=() if known.names else (alone,),
        likenesses=("text file",) if is_like(scrubbed.text, known) else (),
    )


def _known_beside(file: Path, run: _Run) -> Identities:
    """The identities of the DICOM files in a text's folder."""
    if file.parent not in run.beside:
        known = Identities()
        for beside in sorted(file.parent.iterdir()):
            if beside.is_file() and beside.suffix.lower() != ".txt" and _is_dicom(beside):
                known |= _known_of(beside)
        run.beside[file.parent] = known
    return run.beside[file.parent]


def _known_of(file: Path) -> Identities:
    try:
        return identities(dcmread(file, force=True, stop_before_pixels=True))
    except Exception as error:  # a broken file raises whatever it leads to
        raise RetryableError(
            "A DICOM file beside this text is broken, so its names are not known; repair it or take it away."
        ) from error


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A name to write under, beside the target; nothing stays there."""
    partial = target.with_name(target.name + _PARTIAL)
    with _writing():
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The output cannot be written ({error.strerror or error}); make room or mend the folder, "
            "and run the same command again."
        ) from error


def _file_audit(output: str, outcome: Outcome, pixels: PixelOutcome | None) -> FileAudit:
    audit = FileAudit(output, tuple(sorted(outcome.kept_text)), notes=tuple(outcome.notes))
    if pixels is None:
        return audit
    return replace(audit, masked=pixels.masked, left_marks=pixels.left, residual_marks=pixels.residual)


def _gather(audit: Audit, run: _Run, files: Iterable[Path]) -> None:
    """The audit of all files of this source that are in the folder, those of earlier runs included."""
    for file in files:
        line = run.ledger.files[str(file)]
        if line["state"] == "quarantined":
            audit.quarantined[line["reason"]] += 1
        elif line["state"] == "skipped":
            audit.skipped += 1
        elif (run.plan.out / line["output"]).is_file():
            audit.files.append(FileAudit.of_record(line["audit"]))
    ours = {f.output for f in audit.files}
    there = {str(p.relative_to(run.plan.out)) for p in run.plan.out.rglob("*") if p.is_file()}
    audit.others = len(there - ours - {f"{AUDIT_NAME}.json", f"{AUDIT_NAME}.md"})
    several = run.ledger.with_several_issuers()
    if several:
        audit.notes.append(
            "A Patient ID occurs with several issuers, or with and without one: "
            f"each counts as a patient of its own ({several} such IDs in the ledger)."
        )


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


def _reason(error: BaseException) -> str:
    if isinstance(error, DeidentifyError):
        return str(error)
    kind = f"{type(error).__module__}.{type(error).__name__}".removeprefix("builtins.")
    return f"The file is broken ({kind}); repair it or leave it out."
