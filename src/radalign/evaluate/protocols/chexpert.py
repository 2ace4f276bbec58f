"""CheXpert's label columns, as its CSV files write them."""

from __future__ import annotations

from collections.abc import Mapping

from radalign.data.sources.csv_rows import number
from radalign.evaluate.embeddings import EvaluationError

# The 14 columns after Path, Sex, Age, Frontal/Lateral, AP/PA, in order.
LABELS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other",
    "Fracture", "Support Devices",
)  # fmt: skip
FIVE = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")


def label_row(row: Mapping[str, str], where: str) -> dict[str, int]:
    """A CSV row's labels: 1, 0 or -1; an empty cell is not mentioned and is left out.

    Args:
        row: Column to cell.
        where: File and row, for the error.

    Raises:
        EvaluationError: If a label is something else, such as `nan`.

    >>> label_row({"Edema": "1.0", "Fracture": "", "Pneumonia": "-1.0", "Sex": "F"}, "list.csv, row 2")
    {'Edema': 1, 'Pneumonia': -1}
    """
    cells = {name: row[name].strip() for name in LABELS if row.get(name, "").strip()}
    wrong = next((name for name, cell in cells.items() if number(cell) not in (1.0, 0.0, -1.0)), None)
    if wrong is not None:
        raise EvaluationError(
            f"{where}: the label {wrong} is {cells[wrong]!r}; write 1, 0 or -1, or leave the cell empty."
        )
    return {name: int(float(cell)) for name, cell in cells.items()}


def positives(row: Mapping[str, str], where: str) -> list[str]:
    """The labels that are 1, in column order; `where` as in `label_row`."""
    return [name for name, value in label_row(row, where).items() if value == 1]
