"""MS-CXR-T: pairs of MIMIC-CXR studies with the change of five findings between them.

folder/
MS_CXR_T_temporal_image_classification_v1.0.0.csv     dicom_id, previous_dicom_id, subject_id, study_id,
previous_study_id, <finding>_progression
--images: the folder of MIMIC-CXR-JPG that holds files/p10/... and, if they are there, its reports;
--report-files: where the reports are, if elsewhere: their folder, their zip, or the folder of the zip
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, read_csv
from radalign.data.sources.files import need_file
from radalign.data.sources.mimic_images import image_suffix
from radalign.data.sources.mimic_reports import ReportFault, ReportShelf, find_reports
from radalign.data.sources.mscxr import mimic_path
from radalign.data.sources.source import Source, SourceOptions
from radalign.reports.sections import parse_report
from radalign.study import Report, Study, View

LAYOUT = (
    "a folder with MS_CXR_T_temporal_image_classification_v1.0.0.csv; --images names that of MIMIC-CXR-JPG"
)
FINDINGS = ("consolidation", "edema", "pleural_effusion", "pneumonia", "pneumothorax")
CHANGES = ("improving", "stable", "worsening")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield every study of a pair once, the later one with its prior and `<finding>_progression` in `extra`.

    All pairs are for testing. A study that is the later one of two pairs keeps the first.

    Args:
        folder: The distribution's folder.
        flow: Counts rows whose image ids cannot be read, and repeated pairs.
        options: `images` is where MIMIC-CXR-JPG is, `reports` its reports.

    Raises:
        SourceError: If the table is missing.
    """
    table = need_file(folder, ["MS_CXR_T_temporal_image_classification*.csv"], "The table of MS-CXR-T")
    shelf = ReportShelf(find_reports(options.images or folder, options.reports))
    suffix = image_suffix(options.images or folder)
    studies: dict[str, Study] = {}
    for row in read_csv(table, flow, ["dicom_id", "previous_dicom_id", "study_id", "previous_study_id"]):
        _add_pair(row, suffix, studies, shelf, flow)
    flow.found(images=len(studies), studies=len(studies))
    yield from studies.values()


def _add_pair(
    row: Row, suffix: str, studies: dict[str, Study], shelf: ReportShelf, flow: ExclusionFlow
) -> None:
    try:
        names = (row[name] for name in ("dicom_id", "previous_dicom_id"))
        later, earlier = (_study(name, suffix, shelf, flow) for name in names)
    except ValueError as error:
        flow.reject("image id is not MIMIC-CXR's", images=1, example=str(error))
        return
    changes = {f"{f}_progression": row.get(f"{f}_progression", "") for f in FINDINGS}
    changes = {name: value for name, value in changes.items() if value in CHANGES}
    studies.setdefault(earlier.id, earlier)
    known = studies.setdefault(later.id, later)
    if known.prior_study_id:
        flow.note("study is in two pairs, the first kept", studies=1, example=later.id, of=later.id)
        return
    studies[later.id] = replace(known, prior_study_id=earlier.id, extra=changes)


def _study(dicom_id: str, suffix: str, shelf: ReportShelf, flow: ExclusionFlow) -> Study:
    path, patient, study, name = mimic_path(dicom_id, suffix)
    try:
        text = shelf.text(patient, study)
    except ReportFault as error:
        flow.note("report file cannot be read", studies=1, example=str(error), of=study)
        text = None
    return Study(
        id=study,
        patient_id=patient,
        views=(View(path, "FRONTAL", name),),
        report=parse_report(text) if text else Report(),
        split="test",
        source="MS-CXR-T",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
    )


SOURCE = Source(
    "mscxr_t",
    "MS-CXR-T, change between two studies of MIMIC-CXR",
    LAYOUT,
    read,
    check="exists",
    takes=("report-files",),
)
