"""Many simulated studies as images and one manifest; the same seed gives the same studies on any machine.

    seed ──> patients ──> cases ──> images/ (those that are not there yet) ──> manifest.parquet

A study depends on the seed and its patient's number alone, not on how many studies or processes there are,
so that an interrupted simulation goes on where it stopped and a longer one begins like a shorter one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from radalign.data.phantom.case import Case
from radalign.data.phantom.course import has_second_study, patient_cases
from radalign.data.phantom.dicom import SOURCE, sop_instance_uid, study_instance_uid
from radalign.data.phantom.files import FileFormat, SimulationError, why, write_whole
from radalign.data.phantom.render import LARGEST_PX, SMALLEST_PX, positions, render
from radalign.data.phantom.report import write_report
from radalign.data.phantom.truth import labels_of
from radalign.data.split import DEFAULT_SHARES, split_studies
from radalign.study import Manifest, Study, View

MANIFEST, SETTINGS, IMAGES = "manifest.parquet", "simulation.json", "images"
LICENCE = "CC0-1.0"
VERSION = 1
"""Raised whenever the same seed gives other pixels or words, so that no folder mixes two phantoms."""
_PATIENTS_PER_TASK, _SMALLEST_FOR_POOL = 8, 64
Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True)
class Settings:
    """What a simulation's images and truth follow from (their number aside).

    Args:
        seed: Another seed, other patients.
        size_px: Side of the square images, pixels.
        priors: Share of patients with a second, later study.
        laterals: Share of PA studies with a lateral view.
        side_marker: Burn in the technologist's side marker.
        file_format: PNG or DICOM, and how DICOM stores grey values.

    Raises:
        SimulationError: If a value is out of range.
    """

    seed: int = 0
    size_px: int = 256
    priors: float = 0.4
    laterals: float = 0.9
    side_marker: bool = False
    file_format: FileFormat = field(default_factory=FileFormat)

    def __post_init__(self) -> None:
        if not SMALLEST_PX <= self.size_px <= LARGEST_PX:
            raise SimulationError(
                f"A size of {self.size_px} pixels cannot be simulated; choose {SMALLEST_PX} to {LARGEST_PX}."
            )
        if not (0 <= self.priors <= 1 and 0 <= self.laterals <= 1):
            raise SimulationError("The shares of priors and laterals must lie between 0 and 1.")
        if self.seed < 0:
            raise SimulationError(f"The seed {self.seed} is negative; choose 0 or more.")


def simulate(
    out: str | Path,
    studies: int,
    settings: Settings | None = None,
    workers: int = 1,
    progress: Progress = lambda items, title: items,
    shares: tuple[float, float, float] = DEFAULT_SHARES,
) -> Manifest:
    """Simulate studies into a folder: images, and `manifest.parquet` with reports, labels and the truth.

    Args:
        out: Folder; it may hold the beginning of the same simulation, which is then continued.
        studies: How many studies; a patient's second study follows directly on the first.
        settings: What to simulate.
        workers: Processes; 0 means one per core.
        progress: Wraps an iterable to show progress.
        shares: Percent of the patients in train, validate and test.

    Raises:
        SimulationError: If the folder holds something else, cannot be written to, or the disk is full.
    """
    out, settings = Path(out), settings or Settings()
    if studies < 1:
        raise SimulationError(f"{studies} studies cannot be simulated; ask for at least 1.")
    _claim(out, settings)
    counts = studies_per_patient(settings, studies)
    tasks = [
        range(n, min(n + _PATIENTS_PER_TASK, len(counts))) for n in range(0, len(counts), _PATIENTS_PER_TASK)
    ]
    rows: list[Study] = []
    with _runner(workers or os.cpu_count() or 1, studies) as submit:
        futures = [
            submit(_simulate_patients, out, settings, task, [counts[n] for n in task]) for task in tasks
        ]
        for future in progress(futures, "Simulating"):
            rows += future.result() if isinstance(future, Future) else future()
    manifest = Manifest(split_studies(rows, shares, settings.seed), out)
    try:
        manifest.write(out / MANIFEST)
    except OSError as error:
        raise SimulationError(why(error, out / MANIFEST)) from error
    return manifest


def studies_per_patient(settings: Settings, studies: int) -> list[int]:
    """How many studies each patient has, until there are `studies`; the last may lack a second one.

    >>> sum(studies_per_patient(Settings(), 10)), studies_per_patient(Settings(priors=0.0), 3)
    (10, [1, 1, 1])
    """
    counts: list[int] = []
    left = studies
    while left > 0:
        counts.append(min(left, 2 if has_second_study(settings.seed, len(counts), settings.priors) else 1))
        left -= counts[-1]
    return counts


def case_of(study: Study) -> Case:
    """The case that a simulated study of a manifest was made from.

    Raises:
        SimulationError: If the study is not simulated.
    """
    extra = study.extra
    if "phantom_seed" not in extra:
        raise SimulationError(f"Study {study.id!r} is not simulated; take one from `radalign data simulate`.")
    seed, patient, visit = (int(extra[f"phantom_{key}"]) for key in ("seed", "patient", "visit"))
    shares = float(extra["phantom_priors"]), float(extra["phantom_laterals"])
    return patient_cases(seed, patient, *shares)[visit]


def study_of(case: Case, settings: Settings) -> Study:
    """The manifest's row of a case; images are named whether or not they exist yet."""
    photometry = settings.file_format.photometry if settings.file_format.name == "dicom" else None
    views = [
        View(str(image_path(case, p, settings)), p, sop_instance_uid(case, p, settings.size_px, photometry),
             settings.size_px, settings.size_px)
        for p in positions(case)
    ]  # fmt: skip
    return Study(
        id=case.study_id,
        patient_id=case.patient_id,
        views=tuple(views),
        report=write_report(case),
        labels=labels_of(case.placed),
        prior_study_id=case.prior.study_id if case.prior else "",
        time_offset_days=float(case.days),
        date=case.date,
        sex=case.anatomy.sex,
        age_years=float(case.anatomy.age_years + case.days // 365),
        source=SOURCE,
        licence=LICENCE,
        truth=tuple(p.finding for p in case.placed),
        extra=_extra(case, settings),
    )


def _extra(case: Case, settings: Settings) -> dict[str, str]:
    return {
        "phantom_seed": str(case.seed),
        "phantom_patient": str(case.patient),
        "phantom_visit": str(case.visit),
        "phantom_priors": repr(settings.priors),
        "phantom_laterals": repr(settings.laterals),
        "study_instance_uid": study_instance_uid(case),
        "variants": "; ".join(case.anatomy.variants),
    }


def image_path(case: Case, position: str, settings: Settings) -> Path:
    """Where a view goes, relative to the simulation's folder; a thousand patients share a folder."""
    name = f"{case.study_id}-{position.lower()}{settings.file_format.suffix}"
    return Path(IMAGES) / f"{case.patient // 1000:04d}" / name


def _simulate_patients(out: Path, settings: Settings, patients: range, counts: list[int]) -> list[Study]:
    rows = []
    for patient, count in zip(patients, counts, strict=True):
        for case in patient_cases(settings.seed, patient, settings.priors, settings.laterals)[:count]:
            _write_images(out, case, settings)
            rows.append(study_of(case, settings))
    return rows


def _write_images(out: Path, case: Case, settings: Settings) -> None:
    paths = {p: out / image_path(case, p, settings) for p in positions(case)}
    missing = [p for p, path in paths.items() if not (path.is_file() and path.stat().st_size)]
    if not missing:
        return
    images = render(case, settings.size_px, settings.side_marker)
    for position in missing:
        write_whole(paths[position], settings.file_format.encode(case, position, images[position]))


def _claim(out: Path, settings: Settings) -> None:
    """Make the folder this simulation's own, or find that it already is.

    Raises:
        SimulationError: If it holds another simulation or something else.
    """
    mine = json.dumps(asdict(settings) | {"phantom": VERSION}, indent=2, sort_keys=True)
    note = out / SETTINGS
    if note.is_file():
        if note.read_text(encoding="utf-8") != mine:
            raise SimulationError(
                f"{out} holds a simulation with other settings (its {SETTINGS}); choose another folder."
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise SimulationError(
            f"{out} is not empty and holds no simulation; choose another folder with --out."
        )
    write_whole(note, mine.encode())


@contextmanager
def _runner(workers: int, studies: int) -> Iterator[Callable[..., Any]]:
    """A function that runs calls in processes with one thread each, or (few studies) later in this one."""
    if studies < _SMALLEST_FOR_POOL:
        yield lambda call, *args: lambda: call(*args)
        return
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)
        os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)
