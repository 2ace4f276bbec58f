"""What every protocol is: a name, what its folder must hold, and a function that evaluates systems on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from radalign.data.sources.csv_rows import Row, read_csv
from radalign.evaluate.embeddings import Embedder, EvaluationError, Progress
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.results import Mode, Result
from radalign.evaluate.subgroups import KINDS
from radalign.study import Manifest, Study, View

if TYPE_CHECKING:
    from radalign.evaluate.grounding import LocalSystem

_PATIENT = re.compile(r"patient(\d+)|/p(\d{8})(?:/|$)")


@dataclass(frozen=True)
class Options:
    """What the user may choose.

    Args:
        mode: `paper` or `strict`.
        pooling: How prompts are pooled; None takes the protocol's own way.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap and of whatever the protocol draws.
        progress: Wraps loops over batches.
        fine_tune: Also train copies of the systems on the protocol's labels, where it has any (slow).
        prompts: A packaged prompt set or a TOML file; "" takes the protocol's own.
        similarity: Of images and texts: `global`, `local` (patches and words) or `both`.
        subgroups: Kinds of subgroup that are also reported, where the studies say any.
    """

    mode: Mode = "strict"
    pooling: Pooling | None = None
    resamples: int = 1000
    seed: int = 0
    progress: Progress | None = None
    fine_tune: bool = False
    prompts: str = ""
    similarity: str = "global"
    subgroups: tuple[str, ...] = KINDS


@dataclass(frozen=True)
class Protocol:
    """One published evaluation.

    Args:
        name: As it is asked for.
        title: As a table names it.
        layout: What the folder must hold, one sentence.
        run: Evaluates named systems on a folder.
        paper: What `paper` mode does that `strict` mode does not, one sentence.
    """

    name: str
    title: str
    layout: str
    run: Callable[[Mapping[str, Embedder], Path, Options], Result]
    paper: str


def frontal_studies(paths: Iterable[str], labels: Sequence[Mapping[str, int]] | None = None) -> list[Study]:
    """One study with one frontal view per image path; the patient is read from the path where it names one.

    >>> frontal_studies(["CheXpert-v1.0-small/train/patient00123/study2/view1_frontal.jpg"])[0].patient_id
    'patient00123'
    """
    listed = list(paths)
    known = labels or [{}] * len(listed)
    return [
        Study(path, patient_of(path), (View(path, "FRONTAL"),), labels=row)
        for path, row in zip(listed, known, strict=True)
    ]


def patient_of(path: str) -> str:
    """The patient that a CheXpert or MIMIC-CXR path names, else the path itself.

    >>> patient_of("files/p10/p10000032/s50414267/02aa804e.jpg"), patient_of("x.png")
    ('p10000032', 'x.png')
    """
    found = _PATIENT.search(path)
    return found.group(0).strip("/") if found else path


def embed_frontals(
    system: Embedder, studies: Sequence[Study], root: Path, options: Options
) -> NDArray[np.float32]:
    """Embed studies whose paths start at `root`; an image that two studies share is read twice.

    Raises:
        EvaluationError: If a file is missing, naming the first.
    """
    missing = [s.views[0].path for s in studies if not (root / s.views[0].path).is_file()]
    if missing:
        raise EvaluationError(
            f"{len(missing)} of {len(studies)} images are not under {root} (first: {missing[0]}); "
            "give the folder that the paths of the protocol's lists start from."
        )
    unique = {s.id: s for s in studies}
    manifest = Manifest(unique.values(), root)
    rows = np.asarray(
        system.embed_studies(list(unique.values()), manifest, progress=options.progress), np.float32
    )
    place = {study_id: i for i, study_id in enumerate(unique)}
    return rows[[place[s.id] for s in studies]]


def compare_words(
    system: Embedder, studies: Sequence[Study], root: Path, texts: Sequence[str], options: Options
) -> NDArray[np.float32]:
    """Local similarity of studies whose paths start at `root` (rows) and texts (columns), float32 [N, T].

    Raises:
        EvaluationError: If the system has no local embeddings.
    """
    from radalign.evaluate.local_similarity import image_scores

    manifest = Manifest({s.id: s for s in studies}.values(), root)
    ids = [study.id for study in studies]
    return image_scores(cast("LocalSystem", system), ids, manifest, texts, options.progress)


def need_apart(tuning: Iterable[str], tested: Iterable[str], where: Path | str) -> None:
    """Refuse data that pick a threshold or a setting, and whose patients or images are tested too.

    Args:
        tuning: Patients (or images, where no patient is known) that settings are picked on.
        tested: Those that are reported.
        where: The list, table or manifest that says so.

    Raises:
        EvaluationError: If one is in both.
    """
    both = sorted(set(tuning) & set(tested))
    if both:
        raise EvaluationError(
            f"{where}: {len(both)} patients or images are both in what picks the settings and in what is "
            f"tested (first: {both[0]}); take them out of one, or use --mode paper."
        )


def listed_rows(path: Path, needs: Iterable[str]) -> list[tuple[str, Row]]:
    """The rows of a benchmark's table, each with its file and number, for errors.

    Rows are counted as a spreadsheet does: the header is row 1.

    Raises:
        EvaluationError: If there is none.
        SourceError: If the table cannot be read, or lacks a column.
    """
    rows = [(f"{path}, row {number}", row) for number, row in enumerate(read_csv(path, needs=needs), start=2)]
    if not rows:
        raise EvaluationError(f"{path} has a header and no row; use the benchmark's own list.")
    return rows


def first_file(folder: Path, names: Iterable[str]) -> Path:
    """The first of several possible files in a folder.

    Raises:
        EvaluationError: If none is there.
    """
    tried = list(names)
    for name in tried:
        if (folder / name).is_file():
            return folder / name
    raise EvaluationError(f"{folder} holds none of {', '.join(tried)}; put the benchmark's own list there.")
