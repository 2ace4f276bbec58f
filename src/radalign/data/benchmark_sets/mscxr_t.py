"""The pairs of MS-CXR-T per finding, with their hashes and the patients shared with training on MIMIC-CXR."""

from __future__ import annotations

from pathlib import Path

from radalign.data.benchmark_sets.built import BenchmarkError, BenchmarkList, Built, left_out, write_lines
from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import Row, read_csv
from radalign.data.sources.files import find_file, need_file
from radalign.data.sources.mscxr import mimic_path
from radalign.data.sources.mscxr_t import CHANGES, FINDINGS


def build_mscxr_t(folder: Path, out: Path, mimic: Path | None = None) -> Built:
    """List the annotated pairs of each finding and write `<finding>.txt`: later image, earlier image, change.

    Nothing is drawn: every pair with one of the three changes is listed, in the table's order.

    Args:
        folder: The folder of MS-CXR-T.
        out: Where the lists go.
        mimic: The folder of MIMIC-CXR-JPG with its split table; then patients that its official training
            split shares with the pairs are counted.

    Raises:
        BenchmarkError: If no pair is annotated.
    """
    table = need_file(folder, ["MS_CXR_T_temporal_image_classification*.csv"], "The table of MS-CXR-T")
    flow = ExclusionFlow("mscxr-t")
    needs = ["dicom_id", "previous_dicom_id"]
    rows = [row for row in read_csv(table, flow, needs) if _names_images(row, flow)]
    chosen = {finding: [row for row in rows if row.get(_column(finding)) in CHANGES] for finding in FINDINGS}
    lists = tuple(_list(finding, found, out) for finding, found in chosen.items() if found)
    if not lists:
        raise BenchmarkError(f"{table} annotates no pair with {', '.join(CHANGES)}; fetch it again.")
    files = tuple(part.file for part in lists)
    return Built("mscxr-t", lists, None, files, _notes(lists, mimic) + left_out(flow))


def _column(finding: str) -> str:
    return f"{finding}_progression"


def _names_images(row: Row, flow: ExclusionFlow) -> bool:
    try:
        for name in ("dicom_id", "previous_dicom_id"):
            mimic_path(row[name])
    except ValueError as error:
        flow.reject("image id is not MIMIC-CXR's", images=1, example=str(error))
        return False
    return True


def _list(finding: str, rows: list[Row], out: Path) -> BenchmarkList:
    pairs = tuple(f"{row['dicom_id']} {row['previous_dicom_id']}" for row in rows)
    patients = tuple(mimic_path(row["dicom_id"])[1] for row in rows)
    changes = tuple(row[_column(finding)] for row in rows)
    file = write_lines(out / f"{finding}.txt", pairs, changes)
    return BenchmarkList(finding, pairs, changes, patients, file)


def _notes(lists: tuple[BenchmarkList, ...], mimic: Path | None) -> tuple[str, ...]:
    table = find_file(mimic, ["mimic-cxr-*split.csv.gz", "mimic-cxr-*split.csv"]) if mimic else None
    if table is None:
        return ("Without MIMIC-CXR's split table it is not known which patients are in its training split.",)
    training = {
        row["subject_id"]
        for row in read_csv(table, ExclusionFlow("split"), ["subject_id", "split"], side=True)
        if row["split"] == "train"
    }
    patients = {patient for part in lists for patient in part.patients}
    shared = len(patients & training)
    return (f"{shared} of {len(patients)} patients are in MIMIC-CXR's training split: do not train on them.",)
