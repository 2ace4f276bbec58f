"""A table of methods x shots from systems that are trained for it: one cell per method, K, seed and data set.

    method, K, seed, data set ── trained? ──no──> train (given by the caller) ─┐
                                   └────yes───────────────────────────────────┴─ test split ─> test.json
    all cells ──> mean and SD over seeds, interval over test studies, lists and their SHA-256

A cell that is done is not done again; the same command goes on after an interruption.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radalign.data.examples import Part, chosen_classes, class_of, of_classes, part_of_classes
from radalign.data.read_slots import has_view
from radalign.data.settings import DataSettings
from radalign.evaluate.embeddings import EvaluationError, Progress
from radalign.evaluate.few_shot import SEEDS, SHOTS, need_two_sides
from radalign.files import whole_file
from radalign.study import Manifest, Study

if TYPE_CHECKING:
    from radalign.systems.remembered import Remembered

FEW_SHOT, BASE_TO_NOVEL = "few-shot", "base-to-novel"
BASE_SHOTS = (16,)

TrainCell = Callable[[str, list[str], Manifest, Path], Mapping[str, Any]]
"""Trains a recipe with overrides on a manifest into a folder, unless done; gives what `run.json` holds."""


@dataclass(frozen=True)
class Table:
    """What is to be trained and tested.

    Args:
        methods: Recipes.
        data: Manifests with labels and a split.
        out: Folder of all cells.
        protocol: `few-shot` (all classes) or `base-to-novel` (trained on the first half of the classes).
        shots: Numbers of studies per class.
        seeds: Every seed draws other studies.
        settings: Overrides for every method.
    """

    methods: tuple[str, ...]
    data: tuple[Path, ...]
    out: Path
    protocol: str = FEW_SHOT
    shots: tuple[int, ...] = SHOTS
    seeds: tuple[int, ...] = SEEDS
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.protocol not in (FEW_SHOT, BASE_TO_NOVEL):
            raise EvaluationError(
                f"There is no protocol {self.protocol!r}; choose few-shot or base-to-novel."
            )
        names = [set_name(path) for path in self.data]
        for what, values in (("a method", self.methods), ("data", names), ("a number of shots", self.shots),
                             ("a seed", self.seeds)):  # fmt: skip
            if not values or len(set(values)) != len(values):
                raise EvaluationError(f"Name {what} at least once and none twice; got {list(values)}.")
        if min(self.shots) < 1:
            raise EvaluationError("The smallest number of shots is 1; leave 0 out.")


def make_table(
    methods: Sequence[str], data: Sequence[Path], out: Path, protocol: str, shots: str, seeds: str,
    settings: Sequence[str],
) -> Table:  # fmt: skip
    """A table from what a command line gives; without shots or seeds it takes the protocol's own.

    Raises:
        EvaluationError: If a number is none, or something is missing or named twice.
    """
    own = BASE_SHOTS if protocol == BASE_TO_NOVEL else SHOTS
    numbers = numbers_of(shots) if shots else own
    drawn = numbers_of(seeds) if seeds else SEEDS
    return Table(tuple(methods), tuple(data), out, protocol, numbers, drawn, tuple(settings))


def numbers_of(text: str) -> tuple[int, ...]:
    """Whole numbers from text.

    >>> numbers_of("1, 2,4")
    (1, 2, 4)
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise EvaluationError(f"{text!r} are no whole numbers; write them as 1,2,4.") from error


@dataclass(frozen=True)
class Cell:
    """One trained system and what it decided.

    Args:
        method: The recipe's name.
        data: The data set's name.
        shots: K.
        seed: Of the draw and of the training.
        right: Per part of the test (`all`, or `base` and `novel`): 1 where the decision was right, in the
            order of the test studies.
        truth: Per part: the number of each test study's class.
        patients: Per part: the patient of each test study, whom the intervals resample.
        facts: Hash of the drawn list, number of drawn studies, trainable parameters, minutes, classes.
        made: Recipe, hash of the manifest, device and seconds of the training.
    """

    method: str
    data: str
    shots: int
    seed: int
    right: Mapping[str, NDArray[np.float64]]
    truth: Mapping[str, NDArray[np.int64]]
    patients: Mapping[str, Sequence[str]]
    facts: Mapping[str, Any]
    made: Mapping[str, Any] = field(default_factory=dict)


def set_name(path: Path) -> str:
    """The name of a data set: the manifest's, or its folder's when it is called `manifest`.

    >>> set_name(Path("covid/manifest.parquet")), set_name(Path("openi.parquet"))
    ('covid', 'openi')
    """
    return path.parent.name if path.stem == "manifest" and path.parent.name else path.stem


def run_cells(table: Table, train_cell: TrainCell, progress: Progress | None = None) -> list[Cell]:
    """Train and test every cell that is not done.

    Raises:
        EvaluationError: If a test split is empty, a recipe does not learn classes, or base-to-novel is asked
            of fewer than four classes.
    """
    from radalign.systems.remembered import Remembered

    cells = []
    memory = Remembered()
    manifests = [(path, Manifest.read(path)) for path in table.data]
    if table.protocol == BASE_TO_NOVEL:
        _need_two_sides(table, manifests)
    for path, manifest in manifests:
        for method in table.methods:
            for shots in table.shots:
                for seed in table.seeds:
                    place = (
                        table.out
                        / set_name(path)
                        / Path(method).name.removesuffix(".toml")
                        / f"{table.protocol}-{shots}-seed{seed}"
                    )
                    overrides = _overrides(table, shots, seed)
                    run = train_cell(method, overrides, manifest, place)
                    cells.append(_tested(table, manifest, set_name(path), place, run, progress, memory))
    return cells


def _need_two_sides(table: Table, manifests: Sequence[tuple[Path, Manifest]]) -> None:
    """Refuse too few classes before anything is trained."""
    from radalign.systems.recipe import load_recipe

    for method in table.methods:
        labels = load_recipe(method, table.settings).data.labels
        for path, manifest in manifests:
            need_two_sides(set_name(path), len(chosen_classes(manifest.studies, labels)))


def _overrides(table: Table, shots: int, seed: int) -> list[str]:
    part = "base" if table.protocol == BASE_TO_NOVEL else "all"
    own = [f"data.shots={shots}", f"train.seed={seed}", f'data.classes="{part}"']
    return [*table.settings, *own]


def _tested(
    table: Table,
    manifest: Manifest,
    name: str,
    place: Path,
    run: Mapping[str, Any],
    progress: Progress | None,
    memory: Remembered,
) -> Cell:
    path, made = place / "test.json", run["details"]
    recipe = made["recipe"]
    if not path.is_file():
        found = decide_on_test(place, manifest, table.protocol, progress, memory)
        with whole_file(path) as partial:
            partial.write_text(
                json.dumps({part: [rows.tolist() for rows in pair] for part, pair in found.items()}),
                encoding="utf-8",
            )
    stored = json.loads(path.read_text(encoding="utf-8"))
    right = {part: np.array(rows, np.float64) for part, (rows, _) in stored.items()}
    truth = {part: np.array(rows, np.int64) for part, (_, rows) in stored.items()}
    facts = {
        "list_sha256": made["data_sha256"],
        "train_studies": made["studies"]["train"],
        "trainable": made["parameters"]["total"]["trainable"],
        "minutes": round(run["wall_s"] / 60, 2),
        "classes": recipe["model"]["classes"],
        "counts": _counts(table, manifest, recipe["data"]["labels"]),
    }
    how = {
        "recipe": recipe, "manifest_sha256": made["manifest_sha256"],
        "device": made.get("device", ""), "wall_s": run["wall_s"],
    }  # fmt: skip
    shots, seed = recipe["data"]["shots"], recipe["train"]["seed"]
    patients = _patients(table, manifest, DataSettings.model_validate(recipe["data"]))
    return Cell(recipe["name"], name, shots, seed, right, truth, patients, facts, how)


def _patients(table: Table, manifest: Manifest, data: DataSettings) -> dict[str, Sequence[str]]:
    """The patients of the tested studies, part by part."""
    names = chosen_classes(manifest.studies, data.labels)
    parts = {part: part_of_classes(names, part) for part in _parts(table.protocol)}
    return {p: [s.patient_id for s in studies_of_test(manifest, c, data)] for p, c in parts.items()}


def _counts(table: Table, manifest: Manifest, labels: Sequence[str]) -> dict[str, int]:
    """How many classes each part of the test has."""
    names = chosen_classes(manifest.studies, labels)
    return {part: len(part_of_classes(names, part)) for part in _parts(table.protocol)}


def _parts(protocol: str) -> tuple[Part, ...]:
    return ("base", "novel") if protocol == BASE_TO_NOVEL else ("all",)


def decide_on_test(
    place: Path,
    manifest: Manifest,
    protocol: str,
    progress: Progress | None = None,
    memory: Remembered | None = None,
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Decide on the whole test split with the system of a run; each part among its own classes.

    Args:
        place: The run.
        manifest: With a test split.
        protocol: Which parts the test has.
        progress: Wraps the loop over studies.
        memory: Where systems over frozen towers find the features of the test studies that another cell made.

    Returns:
        Per part: 1 where the decision was right, and the number of the true class.

    Raises:
        EvaluationError: If the system does not learn classes, or no test study shows one.
    """
    from radalign.systems.base import load
    from radalign.systems.classifier import Classifier
    from radalign.systems.frozen_space import FrozenSpace

    system = load(place)
    if not isinstance(system, Classifier) or not system.learns_from_labels:
        raise EvaluationError(
            f"{system.recipe.name} does not learn classes; name recipes such as nearl-few-shot."
        )
    space = getattr(system, "space", None)
    if memory is not None and isinstance(space, FrozenSpace):
        space.memory = memory
    data = system.recipe.data
    names = chosen_classes(manifest.studies, data.labels)
    found: dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
    for part in _parts(protocol):
        classes = part_of_classes(names, part)
        studies = studies_of_test(manifest, classes, data)
        system.set_classes(classes)
        decided = system.classify_studies(studies, manifest, progress=progress).argmax(axis=1)
        truth = np.array([class_of(s, classes) for s in studies], np.int64)
        found[part] = ((decided == truth).astype(np.float64), truth)
    return found


def studies_of_test(manifest: Manifest, classes: Sequence[str], data: Any) -> list[Study]:
    """The test studies with an image and exactly one of the classes.

    Raises:
        EvaluationError: If there is none.
    """
    seen = (study for study in manifest.where(split="test") if has_view(study, manifest, data))
    studies = of_classes(seen, classes)
    if not studies:
        raise EvaluationError(
            f"No test study shows exactly one of {', '.join(classes)}; split the manifest with "
            "`radalign data split`, or name other classes with --set data.labels=[...]."
        )
    return studies
