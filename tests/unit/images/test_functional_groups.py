"""Enhanced multi-frame objects: the first frame's window, rescaling and spacing come from its groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from radalign.images.read import read_image

Write = Callable[..., Path]


def group(**sequences: dict[str, Any]) -> Dataset:
    out = Dataset()
    for sequence, values in sequences.items():
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(out, sequence, [item])
    return out


FRAMES = np.stack([np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)] * 2)
WINDOW = {"WindowCenter": 1000, "WindowWidth": 201}
RESCALE = {"RescaleSlope": 1, "RescaleIntercept": -500}


@pytest.mark.parametrize("shared", [True, False])
def test_the_groups_give_what_a_classic_object_says_at_its_top(write_dicom: Write, shared: bool) -> None:
    expected = read_image(write_dicom(FRAMES[0], "classic.dcm", BitsStored=12, **WINDOW, **RESCALE))
    groups = group(FrameVOILUTSequence=WINDOW, PixelValueTransformationSequence=RESCALE)
    other = group(FrameVOILUTSequence={"WindowCenter": 1, "WindowWidth": 2})
    where = (
        {"SharedFunctionalGroupsSequence": [groups]}
        if shared
        else {"PerFrameFunctionalGroupsSequence": [groups, other], "SharedFunctionalGroupsSequence": [other]}
    )
    image = read_image(write_dicom(FRAMES, NumberOfFrames=2, BitsStored=12, **where))
    np.testing.assert_array_equal(image, expected)


def test_the_groups_give_the_shape_of_a_pixel(write_dicom: Write) -> None:
    groups = group(PixelMeasuresSequence={"PixelSpacing": [0.4, 0.2]})
    path = write_dicom(FRAMES, NumberOfFrames=2, SharedFunctionalGroupsSequence=[groups])
    assert read_image(path).shape == (32, 16)


def test_empty_groups_change_nothing(write_dicom: Write) -> None:
    path = write_dicom(FRAMES, NumberOfFrames=2, SharedFunctionalGroupsSequence=[], **WINDOW)
    assert read_image(path).shape == (16, 16)
