"""Lists for RSNA zero-shot pneumonia: a validation and a test list, drawn by patient.

The lists that papers share (1,500 and 3,000 images) came without their rule. Here both are drawn from the
labelled training images, whole patients at a time where the mapping to ChestX-ray14 is there, so that no
patient is in both.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from radalign.data.benchmark_sets.built import BenchmarkError, BenchmarkList, Built, left_out, write_lines
from radalign.data.exclusions import NO_PATIENT, ExclusionFlow
from radalign.data.sources import rsna
from radalign.data.sources.source import SourceOptions
from radalign.study import Study


def build_rsna(folder: Path, out: Path, seed: int = 0, validate: int = 1500, test: int = 3000) -> Built:
    """Draw the two lists and write `val.txt` and `test.txt`, one `<path> <0|1>` per line.

    Args:
        folder: The challenge's folder.
        out: Where the lists go.
        seed: Patients are sorted by SHA-256 of `seed:patient`; the first ones fill the test list, the next
            the validation list.
        validate: Images in the validation list.
        test: Images in the test list.

    Raises:
        BenchmarkError: If there are too few images.
    """
    flow = ExclusionFlow("rsna")
    studies = list(rsna.read(folder, flow, SourceOptions()))
    if len(studies) < validate + test:
        raise BenchmarkError(f"{folder} has {len(studies)} labelled images, {validate + test} are needed.")
    ranked = sorted(studies, key=lambda s: (hashlib.sha256(f"{seed}:{s.patient_id}".encode()).digest(), s.id))
    first = _whole_patients(ranked, 0, test)
    second = _whole_patients(ranked, first, validate)
    lists = (
        _list("test", ranked[:first], out / "test.txt"),
        _list("validate", ranked[first : first + second], out / "val.txt"),
    )
    unknown = flow.noted.get(NO_PATIENT)
    notes = (
        ("Patients are unknown without the mapping file, so one may be in both lists.",) if unknown else ()
    )
    files = tuple(part.file for part in lists)
    return Built("rsna", lists, seed, files, notes + left_out(flow))


def _whole_patients(ranked: list[Study], start: int, count: int) -> int:
    """The smallest number of studies from `start`, at least `count`, that ends with a patient."""
    end = start + count
    while end < len(ranked) and ranked[end].patient_id == ranked[end - 1].patient_id:
        end += 1
    return min(end, len(ranked)) - start


def _list(name: str, studies: list[Study], path: Path) -> BenchmarkList:
    paths = tuple(study.views[0].path for study in studies)
    classes = tuple(str(study.labels["Pneumonia"]) for study in studies)
    patients = tuple(study.patient_id for study in studies)
    return BenchmarkList(name, paths, classes, patients, write_lines(path, paths, classes))
