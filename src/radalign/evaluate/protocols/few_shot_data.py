"""Data sets with a CoOp-style split file or a manifest, and what one system makes of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.data.examples import VALIDATION_SHOTS, chosen_classes, class_of, draw_shots, of_classes
from radalign.data.read_slots import has_view
from radalign.evaluate import metrics
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.few_shot import Method, Shots
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols.protocol import Options, embed_frontals, frontal_studies, need_apart
from radalign.evaluate.provenance import sha256_of
from radalign.evaluate.statistic import Statistic
from radalign.study import SPLITS, Manifest, Study

PROMPTS = "few-shot-template"
AS_TRAINED = "as trained"
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """One split: studies whose image paths start at the set's root, and their classes, [N]."""

    studies: list[Study]
    classes: NDArray[np.int64]

    @property
    def paths(self) -> list[str]:
        """The first image of every study."""
        return [study.views[0].path for study in self.studies]

    @property
    def patients(self) -> list[str]:
        """The patient of every study; the path where none is known."""
        return [study.patient_id for study in self.studies]

    def patients_of(self, labels: Sequence[int]) -> list[str]:
        """The patients of the items of these labels."""
        return [self.studies[i].patient_id for i in self.of(labels)[0].tolist()]

    def of(self, labels: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices of the items of these labels, and each one's place in the list of labels."""
        place = {label: i for i, label in enumerate(labels)}
        chosen = np.array(
            [i for i, label in enumerate(self.classes.tolist()) if label in place], dtype=np.int64
        )
        return chosen, np.array([place[label] for label in self.classes[chosen].tolist()], dtype=np.int64)


@dataclass(frozen=True)
class FewShotSet:
    """One data set.

    Args:
        name: Of its folder.
        root: What the paths start from.
        class_names: Name of every label, by label.
        train: What may be learnt from.
        val: What picks settings.
        test: What is reported.
        leaked: Training images whose bytes are also in the test split.
        sha256: Of the split file or the manifest's content.
        unseen: Studies left out, because no image of theirs fits a slot of every system.
    """

    name: str
    root: Path
    class_names: tuple[str, ...]
    train: Part
    val: Part
    test: Part
    leaked: int
    sha256: str
    unseen: int = 0

    @property
    def knows_patients(self) -> bool:
        """Whether the test studies name patients, and not only images."""
        return any(study.patient_id != study.views[0].path for study in self.test.studies)

    @property
    def without_shots(self) -> list[str]:
        """The classes that no training item shows."""
        shown = set(self.train.classes.tolist())
        return [name for label, name in enumerate(self.class_names) if label not in shown]


def labels_of(systems: Iterable[Any]) -> tuple[str, ...]:
    """The class set that the first system with one in its recipe (`data.labels`) was trained on, else ()."""
    recipes = (getattr(system, "recipe", None) for system in systems)
    return next((r.data.labels for r in recipes if r is not None and r.data.labels), ())


def find_sets(folder: Path, strict: bool, systems: Sequence[Any] = ()) -> list[FewShotSet]:
    """Every data set with a split file, in the folder or one below it.

    Args:
        folder: Where to look, or a manifest.
        strict: Take training images that are also test images out of the training split, and refuse what
            picks settings and is tested too.
        systems: For a manifest: their recipes name the classes (else all of its labels) and the slots.

    Raises:
        EvaluationError: If there is none, a split file cannot be read, or strict mode refuses it.
    """
    if folder.suffix == ".parquet":
        return [set_of_manifest(folder, systems)]
    files = sorted([*folder.glob("split*.json"), *folder.glob("*/split*.json")])
    if not files:
        raise EvaluationError(
            f"{folder} holds no split*.json, nor does a folder below; put CoOp's split file there."
        )
    return [read_set(path, strict) for path in files]


def read_set(path: Path, strict: bool = False) -> FewShotSet:
    """Read one split file: `{"train": [[path, label, class name], ...], "val": ..., "test": ...}`.

    Args:
        path: The file.
        strict: Take training images that are also test images out; refuse validation images that are, and
            patients that the paths name in both.

    Raises:
        EvaluationError: If it is not a complete split file, or strict mode refuses it.
    """
    text = path.read_text(encoding="utf-8")
    try:
        items = {
            part: [(str(p), int(label), str(name)) for p, label, name in json.loads(text)[part]]
            for part in PARTS
        }
    except (ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"{path} is not a split file ({error}); it needs train, val and test lists."
        ) from error
    empty = [part for part in ("train", "test") if not items[part]]
    if empty:
        raise EvaluationError(
            f"The list {empty[0]!r} of {path} is empty; use the benchmark's own split file."
        )
    names = {label: name for part in PARTS for _, label, name in items[part]}
    if sorted(names) != list(range(len(names))):
        raise EvaluationError(
            f"The labels of {path} are not 0 to {len(names) - 1}; number the classes without gaps."
        )
    root = _root(path.parent, items["train"][0][0])
    tested = {_digest(root / p): p for p, _, _ in items["test"]}
    leaks = [i for i, (p, _, _) in enumerate(items["train"]) if _digest(root / p) in tested]
    if strict:
        need_apart((tested.get(_digest(root / p), p) for p, _, _ in items["val"]), tested.values(), path)
        items["train"] = [item for i, item in enumerate(items["train"]) if i not in set(leaks)]
    parts = {
        part: Part(frontal_studies(p for p, _, _ in rows), np.array([label for _, label, _ in rows]))
        for part, rows in items.items()
    }
    if not parts["train"].studies:
        raise EvaluationError(
            f"Every training image of {path} is also a test image; nothing is left to learn."
        )
    if strict:
        need_apart(parts["val"].patients, parts["test"].patients, path)
    class_names = tuple(names[i].replace("_", " ") for i in range(len(names)))
    train, val, test = (parts[part] for part in PARTS)
    return FewShotSet(path.parent.name, root, class_names, train, val, test, len(leaks), sha256_of(text))


def set_of_manifest(path: Path, systems: Sequence[Any] = ()) -> FewShotSet:
    """The studies of a manifest that show exactly one class; no manifest has a patient in two splits.

    Args:
        path: The manifest, with a split.
        systems: Their recipes name the classes (else all labels of the manifest); a study that one of them
            has no image for is left out for all, so that all are tested on the same.

    Raises:
        EvaluationError: If a split that is needed has none of them.
    """
    manifest = Manifest.read(path)
    names = chosen_classes(manifest.studies, labels_of(systems))
    slots = [system.recipe.data for system in systems if hasattr(system, "recipe")]
    parts, unseen = {}, 0
    for part, split in zip(PARTS, SPLITS, strict=True):
        shown = of_classes(manifest.where(split=split), names)
        studies = [s for s in shown if s.views and all(has_view(s, manifest, own) for own in slots)]
        unseen += len(shown) - len(studies)
        parts[part] = Part(studies, np.array([class_of(study, names) for study in studies], dtype=np.int64))
        if not studies and part != "val":
            raise EvaluationError(
                f"No study of the split {split!r} of {path} shows exactly one of {', '.join(names[:9])}"
                f"{' in an image that every system takes' if shown else ''}; split the manifest with "
                "`radalign data split`, or name fewer classes."
            )
    train, val, test = (parts[part] for part in PARTS)
    return FewShotSet(path.stem, manifest.root, names, train, val, test, 0, manifest.sha256(), unseen)


class EmbeddedSet:
    """One system's embeddings of one data set, made once.

    Args:
        system: The system.
        data: The data set.
        options: Where progress goes.
    """

    def __init__(self, system: Embedder, data: FewShotSet, options: Options) -> None:
        self.data, self._system, self._options = data, system, options
        self._z = {
            part: embed_frontals(system, getattr(data, part).studies, data.root, options) for part in PARTS
        }
        prompts = load_prompts(PROMPTS)
        sentences = [prompts.filled("class", name)[0] for name in data.class_names]
        self._texts = np.asarray(system.embed_texts(sentences), dtype=np.float64)

    @property
    def decides(self) -> bool:
        """Whether the system was trained on classes and decides by itself."""
        return bool(getattr(self._system, "learns_from_labels", False))

    def own_accuracy(self, labels: Sequence[int]) -> Statistic:
        """Top-1 accuracy of the system's own decisions among these labels, its class set replaced by them."""
        chosen, classes = self.data.test.of(labels)
        studies = [self.data.test.studies[i] for i in chosen.tolist()]
        names = [self.data.class_names[label] for label in labels]
        return metrics.accuracy(decided(self._system, studies, names, self.data.root, self._options), classes)

    def accuracy(self, method: Method, shots: int, seed: int, labels: Sequence[int]) -> Statistic:
        """Top-1 accuracy among these labels, as a statistic of the test images that have one of them."""
        chosen, classes = self.data.test.of(labels)
        scores = method(self._shots(shots, seed, labels))(self._z["test"][chosen])
        return metrics.accuracy(scores.argmax(axis=1), classes)

    def _shots(self, shots: int, seed: int, labels: Sequence[int]) -> Shots:
        train = self._drawn("train", shots, seed, labels)
        val = self._drawn("val", min(shots, VALIDATION_SHOTS), seed, labels)
        return Shots(*train, *val, self._texts[list(labels)])

    def _drawn(
        self, part: str, count: int, seed: int, labels: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        split: Part = getattr(self.data, part)
        chosen, classes = split.of(labels)
        picked = draw_shots(classes.tolist(), count, seed)
        return self._z[part][chosen[picked]].astype(np.float64), classes[picked]


def decided(
    system: Any, studies: Sequence[Study], names: Sequence[str], root: Path, options: Options
) -> NDArray[np.int64]:
    """The class that a trained classifier decides for, of these names: int64 [N]."""
    before = system.classes
    system.set_classes(names)
    logits = system.classify_studies(studies, Manifest(studies, root), progress=options.progress)
    system.set_classes(before)
    found: NDArray[np.int64] = logits.argmax(axis=1)
    return found


def _root(folder: Path, first: str) -> Path:
    """The folder that the split file's paths start from: its own, or one just below."""
    for candidate in (folder, *sorted(p for p in folder.iterdir() if p.is_dir())):
        if (candidate / first).is_file():
            return candidate
    raise EvaluationError(
        f"The image {first} is neither in {folder} nor in a folder just below it; unpack it there."
    )


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise EvaluationError(
            f"The image {path} cannot be read ({error}); unpack the data set again."
        ) from error
