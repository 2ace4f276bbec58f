"""MeSH terms of Open-i to labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from radalign.study import Study

# Heads that name a place, not a finding: their label keeps what is wrong there (`Lung/hypoinflation`).
ANATOMY = frozenset(
    {
        "Abdomen", "Adipose Tissue", "Aorta", "Aorta, Thoracic", "Blood Vessels", "Bone and Bones",
        "Bronchi", "Cardiac Shadow", "Cervical Vertebrae", "Costophrenic Angle", "Diaphragm",
        "Epicardial Fat", "Heart", "Heart Atria", "Heart Ventricles", "Humerus", "Lumbar Vertebrae", "Lung",
        "Lymph Nodes", "Lymph nodes", "Mediastinum", "Pleura", "Pulmonary Artery", "Ribs", "Shoulder",
        "Spine", "Sulcus", "Thoracic Vertebrae", "Thorax", "Trachea", "Trachea, Carina",
    }
)  # fmt: skip
SIDES = frozenset({"left", "right", "bilateral"})
NOT_INDEXED = "No Indexing"
NORMAL = "normal"
FREQUENT_SHARE = 0.01


def mesh_labels(terms: Sequence[str]) -> dict[str, int] | None:
    """The labels that the major MeSH terms of one study state as present; None when it was not indexed.

    Args:
        terms: Terms such as `Opacity/lung/base/left` or `normal`.

    >>> mesh_labels(["Opacity/lung/base/left", "Diaphragm/right/elevated"])
    {'Opacity': 1, 'Diaphragm/elevated': 1}
    >>> mesh_labels(["No Indexing"]) is None
    True
    """
    names = [_label(term) for term in terms if term.strip()]
    if not names or names == [NOT_INDEXED]:
        return None
    return {name: 1 for name in names if name != NOT_INDEXED}


def with_absent_labels(studies: Iterable[Study], share: float = FREQUENT_SHARE) -> list[Study]:
    """Say 0 for every frequent label that an indexed study does not have: the indexing is complete by design.

    Args:
        studies: Studies with positive labels only; one without any label was not indexed and stays unknown.
        share: A label is frequent when at least this share of the indexed studies has it.

    References:
        Demner-Fushman et al., JAMIA 2016;23(2):304-310 (every report was coded by two people).

    >>> studies = [Study("a", "p", labels={"normal": 1}), Study("b", "q", labels={"Mass": 1})]
    >>> [dict(s.labels) for s in with_absent_labels(studies)]
    [{'normal': 1, 'Mass': 0}, {'normal': 0, 'Mass': 1}]
    """
    studies = list(studies)
    indexed = [study for study in studies if study.labels]
    counts = Counter(name for study in indexed for name in study.labels)
    frequent = [name for name, count in counts.most_common() if count >= share * len(indexed)]
    absent = dict.fromkeys(frequent, 0)
    return [replace(s, labels=absent | dict(s.labels)) if s.labels else s for s in studies]


def _label(term: str) -> str:
    head, *rest = (part.strip() for part in term.split("/"))
    finding = next((part for part in rest if part not in SIDES), "")
    return f"{head}/{finding}" if head in ANATOMY and finding else head
