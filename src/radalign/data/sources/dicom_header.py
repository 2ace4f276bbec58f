"""What a DICOM header says of a study and a view, in plain words."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from radalign.data.dates import full_clock, parse_date_or_day
from radalign.data.sources.ages import age_years
from radalign.images.errors import ImageError
from radalign.study import parse_position

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# A word of its own, whatever stands between: `CHEST_PA`, `Thorax pa/lat`, `W033 Chest AP`.
_VIEW_WORD = re.compile(r"(?<![a-z])(pa|ap|lat|lateral|decub\w*)(?![a-z])", re.IGNORECASE)
# View codes, in SNOMED CT and the older SRT: their meanings may be in any language.
_VIEW_CODES = {
    "399348003": "AP", "R-10206": "AP", "272479007": "PA", "R-10214": "PA", "R-40888": "PA",
    "399033003": "FRONTAL", "R-10202": "FRONTAL", "399067008": "LATERAL", "R-102CD": "LATERAL",
    "399173006": "LL", "R-10236": "LL", "399198007": "RL", "R-10232": "RL",
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What a header says; "" or 0 or None where it is silent.

    Args:
        date: ISO, without the time when only that cannot be read, "" when the day cannot.
        bad_date: What cannot be read of the date, as a sentence; "" when all can.
        fault: Why the header cannot be used, as a sentence; "" when it can, and when there is no file.
    """

    study_uid: str = ""
    instance_uid: str = ""
    patient_id: str = ""
    accession: str = ""
    modality: str = ""
    position: str = ""
    date: str = ""
    bad_date: str = ""
    sex: str = ""
    age_years: float | None = None
    width_px: int = 0
    height_px: int = 0
    for_processing: bool = False
    description: str = ""
    fault: str = ""


def read_facts(path: Path) -> Facts:
    """The facts of a file; all silent when there is none (the image check counts that).

    A file that is there but whose header cannot be read, or states no image, has a `fault`: its source
    rejects it, since nothing else would notice unless the images are decoded.
    """
    from radalign.images.dicom import read_header

    if not path.is_file():
        return Facts()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of values that the facts leave out
            header = read_header(path)
        facts = header_facts(header)
    except (ImageError, OSError, ValueError) as error:
        return Facts(fault=str(error).replace(str(path), path.name))
    if not facts.height_px:
        return replace(facts, fault=f"{path.name} states no image: it is cut off or of another kind.")
    return facts


def header_facts(header: Dataset) -> Facts:
    """The facts of a data set.

    References:
        DICOM PS3.3 C.7.2.1 (General Study), C.8.11.7 and C.8.7.1.1.1 (View Position), C.8.11.1 (Presentation
        Intent Type).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of values that are told as bad below
        return _facts(header)


def _facts(header: Dataset) -> Facts:
    date, bad_date = parse_date_or_day(_text(header, "StudyDate"), full_clock(_text(header, "StudyTime")))
    sex = _text(header, "PatientSex")
    return Facts(
        study_uid=_text(header, "StudyInstanceUID"),
        instance_uid=_text(header, "SOPInstanceUID"),
        patient_id=_text(header, "PatientID"),
        accession=_text(header, "AccessionNumber"),
        modality=_text(header, "Modality"),
        position=view_position(header),
        date=date,
        bad_date=bad_date,
        sex=sex if sex in ("F", "M") else "",
        age_years=age_years(_text(header, "PatientAge")),
        width_px=int(header.get("Columns") or 0),
        height_px=int(header.get("Rows") or 0),
        for_processing=_text(header, "PresentationIntentType") == "FOR PROCESSING",
        description=_text(header, "StudyDescription") or _text(header, "SeriesDescription"),
    )


def view_position(header: Dataset) -> str:
    """The view position: from its own element, else the view code, else a word in the series description.

    A description of two views ("PA and lateral") stands with both of them, so it says nothing of one.

    References:
        DICOM PS3.16 CID 4010 (DX View).

    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.SeriesDescription = "CHEST LAT"
    >>> view_position(header)
    'LATERAL'
    """
    codes = header.get("ViewCodeSequence") or []
    coded = (_VIEW_CODES.get(_text(code, "CodeValue")) or _text(code, "CodeMeaning") for code in codes)
    for text in (_text(header, "ViewPosition"), *coded):
        if position := parse_position(text):
            return position
    texts = (_text(header, f"{name}Description") for name in ("Series", "AcquisitionDeviceProcessing"))
    return next(filter(None, map(_described, texts)), "")


def _described(text: str) -> str:
    """The one position that a description names, "" when it names none or several.

    >>> [_described(text) for text in ("CHEST_PA", "Thorax lat.", "PA/LAT", "lateral decubitus")]
    ['PA', 'LATERAL', '', '']
    """
    positions = {parse_position(word) for word in _VIEW_WORD.findall(text)}
    return positions.pop() if len(positions) == 1 else ""


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else " ".join(str(value).split())
