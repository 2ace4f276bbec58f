"""NIH ChestX-ray14: linear probe and fine-tuning with 1, 10 and 100 % of the training images.

    Data_Entry_2017*.csv   Image Index, Finding Labels ("A|B" or "No Finding"), Patient ID, ...
    train_val_list.txt     official split, by patient
    test_list.txt
    **/<Image Index>       the images, in any folder below

A tenth of the training patients (seeded) is kept for validation, which picks the probe's penalty and the
fine-tuning's epoch.

| | paper | strict |
|---|---|---|
| a share of the training set | of the images, one draw | of the patients, three draws |

References:
    Wang et al., CVPR 2017 (data, 14 labels, official split).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from radalign.data.sources.csv_rows import Row, read_csv
from radalign.evaluate.embeddings import Embedder, EvaluationError
from radalign.evaluate.fine_tune import FineTuneSettings
from radalign.evaluate.learning import learn_from_labels
from radalign.evaluate.probing import ProbeSettings
from radalign.evaluate.protocols.protocol import Options, Protocol, first_file
from radalign.evaluate.results import Result, joined
from radalign.study import Manifest, Study, View, parse_position

LABELS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
TABLES = ("Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv")
VALIDATION_SHARE = 0.1


def read(folder: Path, seed: int = 0) -> Manifest:
    """The listed images as a manifest with splits.

    Raises:
        EvaluationError: If a listed image is not in the table or the folder, or a split list is missing.
    """
    table = first_file(folder, TABLES)
    rows = {r["Image Index"]: r for r in read_csv(table, needs=("Image Index", "Finding Labels"))}
    files = {path.name: path for path in sorted(folder.rglob("*.png"))}
    splits = {"train": "train_val_list.txt", "test": "test_list.txt"}
    names = {
        split: first_file(folder, (listed,)).read_text(encoding="utf-8").split()
        for split, listed in splits.items()
    }
    unknown = [name for listed in names.values() for name in listed if name not in rows]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} images of {' and '.join(splits.values())} are not in {table} (first: "
            f"{unknown[0]}); use the table and the lists of one release, complete."
        )
    studies = [_study(rows[name], files, folder, split) for split, listed in names.items() for name in listed]
    held = _validation_patients([s.patient_id for s in studies if s.split == "train"], seed)
    return Manifest((replace(s, split="validate") if s.patient_id in held else s for s in studies), folder)


def run(systems: Mapping[str, Embedder], folder: Path, options: Options) -> Result:
    """Probe every system, and fine-tune it when asked for."""
    manifest = read(folder, options.seed)
    settings = ProbeSettings(LABELS, resamples=options.resamples, seed=options.seed)
    if options.mode == "paper":
        settings = replace(settings, by="image", seeds=(options.seed,))
    methods = [None, FineTuneSettings(seed=options.seed)] if options.fine_tune else [None]
    parts = [learn_from_labels(systems, manifest, settings, tune, options.progress) for tune in methods]
    return replace(joined(parts), protocol=PROTOCOL.name, mode=options.mode)


def _study(row: Row, files: Mapping[str, Path], folder: Path, split: str) -> Study:
    name = row["Image Index"]
    if name not in files:
        raise EvaluationError(f"The image {name} is not below {folder}; unpack all image archives there.")
    found = set(row["Finding Labels"].split("|"))
    view = View(
        str(files[name].relative_to(folder)), parse_position(row.get("View Position", "")) or "FRONTAL"
    )
    age = row.get("Patient Age", "").rstrip("Y").lstrip("0")
    return Study(
        name, row.get("Patient ID", "") or name.split("_")[0], (view,),
        labels={label: int(label in found) for label in LABELS}, split=split,
        sex=row.get("Patient Gender", "") or row.get("Patient Sex", ""),
        age_years=float(age) if age.isdigit() else None,
    )  # fmt: skip


def _validation_patients(patients: list[str], seed: int) -> set[str]:
    unique = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(unique))
    return {unique[i] for i in order[: max(1, round(VALIDATION_SHARE * len(unique)))]}


PROTOCOL = Protocol(
    "nih",
    "NIH ChestX-ray14 linear probe and fine-tuning",
    "Data_Entry_2017.csv, train_val_list.txt, test_list.txt, and the images in any folder below.",
    run,
    "A share of the training set is drawn by image, once.",
)
