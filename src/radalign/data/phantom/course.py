"""How a patient's truth is drawn: who is ill with what, and what becomes of it until the next study.

patient ──> anatomy, findings (about a third of the studies normal) ──> Case
        └─> second visit: new, better, worse, stable, resolved       ──> Case with prior
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from radalign.data.phantom.anatomy import draw_anatomy
from radalign.data.phantom.case import Acquisition, Case, generator
from radalign.data.phantom.truth import DEVICES, SIDED, Placed, size_of

NORMAL_SHARE = 0.41
CHANCES = {
    "Edema": 0.14, "Cardiomegaly": 0.28, "Pneumothorax": 0.11, "Effusion": 0.32, "Consolidation": 0.24,
    "Atelectasis": 0.30, "Nodule": 0.18, "Endotracheal tube": 0.06, "Central line": 0.12, "Pacemaker": 0.09,
    "Enteric tube": 0.02,
}  # fmt: skip
"""How often each finding is drawn in an ill patient."""
GIVEN = {
    ("Edema", "Cardiomegaly"): 0.65, ("Edema", "Effusion"): 0.5, ("Effusion", "Atelectasis"): 0.4,
    ("Endotracheal tube", "Central line"): 0.6, ("Endotracheal tube", "Enteric tube"): 0.7,
    ("Cardiomegaly", "Pacemaker"): 0.2,
}  # fmt: skip
"""How often the second is drawn when the first is there."""
_BOTH = {"Effusion": 0.3, "Atelectasis": 0.4}
# Chances of stable, better, worse, resolved until the next study.
_COURSE = {
    "Nodule": (0.55, 0.08, 0.37, 0.0), "Cardiomegaly": (0.7, 0.15, 0.15, 0.0), "Pacemaker": (1.0, 0, 0, 0),
    "Central line": (0.6, 0, 0, 0.4), "Endotracheal tube": (0.45, 0, 0, 0.55),
    "Enteric tube": (0.5, 0, 0, 0.5),
}  # fmt: skip
_USUAL_COURSE = (0.28, 0.24, 0.24, 0.24)
_CHANGES = ("stable", "better", "worse", "resolved")
_LEAST_STEP = 0.2


def patient_cases(
    seed: int, patient: int, prior_share: float = 0.4, lateral_share: float = 0.9
) -> list[Case]:
    """The one or two studies of a patient, the earlier first.

    Args:
        seed: The simulation's seed.
        patient: Number of the patient.
        prior_share: Share of patients with a second study.
        lateral_share: Share of PA studies with a lateral view.

    >>> [c.study_id for c in patient_cases(0, 3, prior_share=1.0)]
    ['sim0-000003-1', 'sim0-000003-2']
    """
    anatomy = draw_anatomy(generator(seed, patient, "anatomy"))
    placed = draw_findings(generator(seed, patient, "findings", 0))
    first = Case(seed, patient, 0, anatomy, Acquisition(), placed, _first_date(seed, patient))
    first = replace(first, acquisition=draw_acquisition(first, lateral_share))
    if not has_second_study(seed, patient, prior_share):
        return [first]
    return [first, _second(first, lateral_share)]


def has_second_study(seed: int, patient: int, prior_share: float) -> bool:
    """Whether a patient comes back."""
    return bool(generator(seed, patient, "visits").random() < prior_share)


def _second(first: Case, lateral_share: float) -> Case:
    rng = generator(first.seed, first.patient, "findings", 1)
    acute = bool({p.name for p in first.placed} - {"Nodule", "Cardiomegaly", "Pacemaker"})
    days = int(rng.integers(1, 12)) if acute and rng.random() < 0.7 else int(rng.integers(60, 900))
    when = (date.fromisoformat(first.date) + timedelta(days=days)).isoformat()
    placed = evolve(first.placed, rng)
    second = replace(first, visit=1, placed=placed, date=when, days=days, prior=first)
    return replace(second, acquisition=draw_acquisition(second, lateral_share))


def draw_findings(rng: np.random.Generator) -> tuple[Placed, ...]:
    """A patient's findings; none in about a third of the patients."""
    if rng.random() < NORMAL_SHARE:
        return ()
    placed: tuple[Placed, ...] = ()
    while not placed:
        for name, usual in CHANCES.items():
            present = {p.name for p in placed}
            raised = [GIVEN[pair] for pair in GIVEN if pair[1] == name and pair[0] in present]
            if rng.random() < max([usual, *raised]):
                placed = _joined(placed, draw_finding(name, rng))
    return placed


def draw_finding(name: str, rng: np.random.Generator) -> Placed:
    """One finding with side, place and extent."""
    extent = float(rng.beta(1.3, 1.5))
    side = str(rng.choice(["left", "right"])) if name in SIDED else ""
    if name == "Edema" or rng.random() < _BOTH.get(name, 0.0):
        side = "both"
    if name == "Pacemaker":
        side = "left" if rng.random() < 0.85 else "right"
    size = size_of(name, extent)
    if name == "Endotracheal tube":
        size = float(rng.uniform(15, 65))
    texture = int(rng.integers(2**31))
    return Placed(name, side, _location(name, side, rng), extent, size, "", texture)


def _location(name: str, side: str, rng: np.random.Generator) -> str:
    if name == "Central line":
        return str(rng.choice(["internal jugular", "subclavian", "arm"]))
    if name not in {"Consolidation", "Nodule"}:
        return ""
    lobes = ["upper lobe", "lower lobe", "middle lobe" if side == "right" else "lingula"]
    return str(rng.choice(lobes, p=[0.42, 0.4, 0.18]))


def _joined(placed: tuple[Placed, ...], new: Placed) -> tuple[Placed, ...]:
    """The findings with one more, unless another hides it or the two exclude each other."""
    return placed if any(conflict(p, new) for p in placed) else (*placed, new)


def conflict(old: Placed, new: Placed) -> bool:
    """Whether two findings exclude each other, or one would hide the other."""
    if old.name == new.name:
        return True
    if old.name in DEVICES or new.name in DEVICES or not set(old.sides) & set(new.sides):
        return False
    names = {old.name, new.name}
    if "Pneumothorax" in names:
        return bool(names & {"Effusion", "Consolidation", "Nodule", "Atelectasis", "Edema"})
    if "Effusion" in names and names & {"Consolidation", "Nodule", "Atelectasis"}:
        fluid, other = (old, new) if old.name == "Effusion" else (new, old)
        return fluid.extent > (0.85 if other.location == "upper lobe" else 0.4)
    if names in ({"Consolidation", "Nodule"}, {"Consolidation", "Atelectasis"}, {"Nodule", "Atelectasis"}):
        return old.location == new.location or "upper lobe" not in {old.location, new.location}
    if names == {"Effusion", "Cardiomegaly"}:
        fluid = old if old.name == "Effusion" else new
        return fluid.extent > 0.6 and fluid.side != "right"
    return names == {"Edema", "Nodule"}


def evolve(placed: tuple[Placed, ...], rng: np.random.Generator) -> tuple[Placed, ...]:
    """What the findings have become in the next study, and at times one that is new."""
    now: tuple[Placed, ...] = ()
    for p in (p for p in placed if p.is_present):
        changed = _changed(p, rng)
        hides = changed.is_present and any(conflict(changed, q) for q in placed if q.name != p.name)
        now = (*now, replace(p, change="stable") if hides else changed)
    if rng.random() < (0.35 if placed else 0.5):
        names = list(CHANCES)
        weights = np.array(list(CHANCES.values()))
        name = str(rng.choice(names, p=weights / weights.sum()))
        now = _joined(now, replace(draw_finding(name, rng), change="new"))
    return now


def _changed(p: Placed, rng: np.random.Generator) -> Placed:
    room = np.array([1, p.extent >= _LEAST_STEP, 1 - p.extent >= _LEAST_STEP, 1])
    chances = np.array(_COURSE.get(p.name, _USUAL_COURSE)) * room
    change = str(rng.choice(_CHANGES, p=chances / chances.sum()))
    step = float(rng.uniform(0.25, 0.45))
    if change == "worse":
        return p.with_extent(min(p.extent + step, 1.0), change)
    if change == "better":
        return p.with_extent(max(p.extent - step, 0.0), change)
    return replace(p, change=change)


def draw_acquisition(case: Case, lateral_share: float) -> Acquisition:
    """How the images were taken: the very ill lie in bed (AP, no lateral, shallow breath)."""
    rng = case.rng("acquisition")
    names = {p.name for p in case.present}
    chance = (
        0.95 if "Endotracheal tube" in names else 0.6 if "Central line" in names else 0.2 if names else 0.06
    )
    in_bed = bool(rng.random() < chance)
    lateral = bool(rng.random() < (0.1 * lateral_share if in_bed else lateral_share))
    return Acquisition(
        position="AP" if in_bed else "PA",
        has_lateral=lateral,
        breath_mm=float(np.clip(rng.exponential(14 if in_bed else 4), 0, 30)),
        twist=float(rng.normal(0, 0.045 if in_bed else 0.02)),
        shift_mm=(float(rng.normal(0, 4)), float(rng.normal(0, 5))),
        exposure=float(rng.normal(0, 0.1)),
        contrast=float(np.clip(rng.normal(1.08 if in_bed else 1.0, 0.06), 0.88, 1.2)),
    )


def _first_date(seed: int, patient: int) -> str:
    days = int(generator(seed, patient, "dates").integers(0, 3650))
    return (date(2010, 1, 1) + timedelta(days=days)).isoformat()
