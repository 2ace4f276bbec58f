"""One healthy patient, seen from the front and the side, in whom tests place what they like."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radalign.data.phantom.case import Acquisition, Case
from radalign.data.phantom.course import patient_cases

SIZE_PX = 128


@pytest.fixture(scope="session")
def healthy() -> Case:
    """A patient without findings or variants, standing straight, PA and lateral."""
    case = patient_cases(7, 0, prior_share=0.0)[0]
    anatomy = replace(case.anatomy, variants=(), breast_mm=0.0)
    return replace(case, anatomy=anatomy, acquisition=Acquisition(), placed=())
