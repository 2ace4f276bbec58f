"""A case: everything that one simulated study follows from, and nothing that a rendering decides.

(seed, patient, visit) ──> Case: anatomy, acquisition, findings, date, prior Case
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from radalign.data.phantom.anatomy import Anatomy
from radalign.data.phantom.truth import Placed

STREAMS = {"visits": 0, "anatomy": 1, "findings": 2, "acquisition": 3, "noise": 4, "words": 5, "dates": 6}


@dataclass(frozen=True)
class Acquisition:
    """How the images of one study were taken.

    Args:
        position: `PA` or `AP`.
        has_lateral: Whether there is a lateral view.
        breath_mm: How far the diaphragm stands above full inspiration.
        twist: Rotation of the patient (sine).
        shift_mm: Off-centre stand (image right, image up).
        exposure: Shift of the tone curve's level.
        contrast: Factor on the tone curve's width.
    """

    position: str = "PA"
    has_lateral: bool = True
    breath_mm: float = 0.0
    twist: float = 0.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    exposure: float = 0.0
    contrast: float = 1.0


@dataclass(frozen=True)
class Case:
    """One study before it is rendered or reported.

    Args:
        seed: The simulation's seed.
        patient: Number of the patient, from 0.
        visit: 0 for the first study, 1 for the one that has it as prior.
        anatomy: The patient.
        acquisition: How the images were taken.
        placed: Findings, those that have resolved since the prior included.
        date: ISO date.
        days: Days since the patient's first study.
        prior: The earlier study, None for the first.
    """

    seed: int
    patient: int
    visit: int
    anatomy: Anatomy
    acquisition: Acquisition
    placed: tuple[Placed, ...]
    date: str = "2015-01-01"
    days: int = 0
    prior: Case | None = None

    @property
    def patient_id(self) -> str:
        """The patient's id; it names the seed, so that two simulations can be joined."""
        return f"sim{self.seed}-{self.patient:06d}"

    @property
    def study_id(self) -> str:
        """The study's id."""
        return f"{self.patient_id}-{self.visit + 1}"

    @property
    def present(self) -> tuple[Placed, ...]:
        """The findings that are in this study."""
        return tuple(p for p in self.placed if p.is_present)

    def find(self, name: str) -> Placed | None:
        """The finding of this name, None if it was never placed."""
        return next((p for p in self.placed if p.name == name), None)

    def with_placed(self, placed: tuple[Placed, ...]) -> Case:
        """The same patient and acquisition with other findings."""
        return replace(self, placed=placed)

    def rng(self, stream: str, *more: int) -> np.random.Generator:
        """Random numbers of one purpose, the same whatever else is drawn."""
        return generator(self.seed, self.patient, stream, self.visit, *more)


def generator(seed: int, patient: int, stream: str, *more: int) -> np.random.Generator:
    """Random numbers that depend on seed, patient and purpose alone."""
    return np.random.default_rng([seed, patient, STREAMS[stream], *more])
