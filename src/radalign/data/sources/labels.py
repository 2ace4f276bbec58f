"""Label columns as the public sets write them: 1 present, 0 absent, -1 unsure, blank not mentioned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# The fourteen observations of the CheXpert and NegBio labellers, as MIMIC-CXR-JPG and CheXpert order them.
CHEXPERT = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip

# The fourteen findings of ChestX-ray14, as its boxes and reports spell them.
NIH = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip


def label_value(text: str) -> int | None:
    """A cell of a label column: 1 present, 0 absent, -1 unsure, None for blank.

    >>> [label_value(t) for t in ("1.0", "0", "-1.0", "")]
    [1, 0, -1, None]
    """
    if text in _VALUES:
        return _VALUES[text]
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value in (-1, 0, 1) else None


_VALUES = {"": None, "1.0": 1, "0.0": 0, "-1.0": -1, "1": 1, "0": 0, "-1": -1}


def row_labels(row: Mapping[str, str], names: Iterable[str]) -> dict[str, int]:
    """The labels of a row that has one column per label; blank cells are left out.

    >>> row_labels({"Edema": "1.0", "Fracture": "", "Path": "a.jpg"}, ("Edema", "Fracture"))
    {'Edema': 1}
    """
    return {name: value for name in names if (value := label_value(row.get(name, ""))) is not None}


def listed_labels(listed: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    """Labels of a set whose list is complete: what is listed is present, every other name is absent.

    >>> listed_labels(["Mass"], ["Mass", "Hernia"])
    {'Mass': 1, 'Hernia': 0}
    """
    present = set(listed)
    return {name: int(name in present) for name in names}
