"""Enhanced multi-frame objects: what their functional groups say of the first frame, as plain attributes.

A classic object has its window, its rescaling and its spacing at the top. An enhanced one has them in
sequences, once for all frames or once per frame; without them its grey values and its shape are wrong.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUPS = {
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    "PixelMeasuresSequence": ("PixelSpacing",),
}


def with_first_frame(header: Dataset) -> Dataset:
    """A data set with the attributes that its functional groups give the first frame; itself without any.

    What the frame says of itself goes before what is shared by all, and both before what stands at the top.

    References:
        DICOM PS3.3 C.7.6.16.1 (functional groups), C.7.6.16.2.1 (Pixel Measures), C.7.6.16.2.9 (Pixel Value
        Transformation), C.7.6.16.2.10 (Frame VOI LUT).

    >>> from pydicom.dataset import Dataset
    >>> header, shared, spacing = Dataset(), Dataset(), Dataset()
    >>> spacing.PixelSpacing = [0.4, 0.2]
    >>> shared.PixelMeasuresSequence = [spacing]
    >>> header.SharedFunctionalGroupsSequence = [shared]
    >>> with_first_frame(header).PixelSpacing
    [0.4, 0.2]
    """
    groups = [
        header[keyword].value[0]
        for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        if header.get(keyword)
    ]
    if not groups:
        return header
    flat = copy(header)
    for group in groups:
        for sequence, keywords in _GROUPS.items():
            for item in (group.get(sequence) or ())[:1]:
                for keyword in keywords:
                    if keyword in item:
                        flat[keyword] = item[keyword]
    return flat
