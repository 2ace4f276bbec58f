"""CheXpert's label columns, as its CSV files write them."""

from __future__ import annotations

from collections.abc import Mapping

# The 14 columns after Path, Sex, Age, Frontal/Lateral, AP/PA, in order.
LABELS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip
FIVE = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")


def label_row(row: Mapping[str, str]) -> dict[str, int]:
    """A CSV row's labels: 1, 0 or -1; an empty cell is not mentioned and is left out.

    >>> label_row({"Edema": "1.0", "Fracture": "", "Pneumonia": "-1.0", "Sex": "F"})
    {'Edema': 1, 'Pneumonia': -1}
    """
    return {name: int(float(row[name])) for name in LABELS if row.get(name, "").strip()}


def positives(row: Mapping[str, str]) -> list[str]:
    """The labels that are 1, in column order."""
    return [name for name, value in label_row(row).items() if value == 1]
