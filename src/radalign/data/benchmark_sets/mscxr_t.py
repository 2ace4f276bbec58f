"""The pairs of MS-CXR-T per finding, with their hashes and the patients shared with training on MIMIC-CXR."""

from __future__ import annotations

from pathlib import Path

from radalign.data.benchmark_sets.built import BenchmarkError, BenchmarkList, Built
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
    rows = list(read_csv(table, needs=["dicom_id", "previous_dicom_id"]))
    lists = tuple(part for finding in FINDINGS if (part := _list(finding, rows)).items)
    if not lists:
        raise BenchmarkError(f"{table} annotates no pair with {', '.join(CHANGES)}; fetch it again.")
    files = tuple(_write(out / f"{part.name}.txt", part) for part in lists)
    return Built("mscxr-t", lists, None, files, _notes(lists, mimic))


def _list(finding: str, rows: list[Row]) -> BenchmarkList:
    column = f"{finding}_progression"
    found = [row for row in rows if row.get(column) in CHANGES]
    pairs = tuple(f"{row['dicom_id']} {row['previous_dicom_id']}" for row in found)
    patients = tuple(mimic_path(row["dicom_id"])[1] for row in found)
    return BenchmarkList(finding, pairs, tuple(row[column] for row in found), patients)


def _notes(lists: tuple[BenchmarkList, ...], mimic: Path | None) -> tuple[str, ...]:
    table = find_file(mimic, ["mimic-cxr-*split.csv.gz", "mimic-cxr-*split.csv"]) if mimic else None
    if table is None:
        return ("Without MIMIC-CXR's split table it is not known which patients are in its training split.",)
    training = {
        row["subject_id"] for row in read_csv(table, needs=["subject_id", "split"]) if row["split"] == "train"
    }
    patients = {patient for part in lists for patient in part.patients}
    shared = len(patients & training)
    return (f"{shared} of {len(patients)} patients are in MIMIC-CXR's training split: do not train on them.",)


def _write(path: Path, part: BenchmarkList) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{item} {cls}\n" for item, cls in zip(part.items, part.classes, strict=True))
    path.write_text("".join(lines), encoding="utf-8")
    return path
