"""MS-CXR: phrases of MIMIC-CXR reports with the boxes that radiologists drew for them.

folder/
MS_CXR_Local_Alignment_v1.1.0.csv     category_name, label_text, path, x, y, w, h, image_width, image_height,
                                      split (from v1.1.0 on)
--images: the folder of MIMIC-CXR-JPG that holds files/p10/...
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from radalign.data.exclusions import ExclusionFlow
from radalign.data.own_split import one_split, split_name
from radalign.data.sources.csv_rows import Row, number, read_csv, row_once, whole
from radalign.data.sources.files import need_file
from radalign.data.sources.mimic_images import image_suffix
from radalign.data.sources.source import Source, SourceOptions
from radalign.study import Report, Study, View

LAYOUT = "a folder with MS_CXR_Local_Alignment_v1.1.0.csv; --images names the folder of MIMIC-CXR-JPG"
_PATH = re.compile(r"(?:files/)?(p\d\d/p(\d+)/s(\d+)/([0-9a-f-]+))(?:\.\w+)?$")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per image, its phrases as findings and phrases with boxes in `extra["phrases"]`.

    The split is the table's own; v1.0.0 has none, and all of it is for testing. Neither is MIMIC-CXR's:
    whoever trains there leaves these patients out.

    Args:
        folder: The distribution's folder.
        flow: Counts rows whose path is not MIMIC-CXR's, phrases that are listed twice, and unknown splits.
        options: `images` is where MIMIC-CXR-JPG is.

    Raises:
        SourceError: If the table is missing.
    """
    table = need_file(folder, ["MS_CXR_Local_Alignment*.csv"], "The table of MS-CXR")
    suffix = image_suffix(options.images or folder)
    images: dict[str, list[Row]] = {}
    seen: set[tuple[str, ...]] = set()
    for row in read_csv(table, flow, ["category_name", "label_text", "path", "x", "y", "w", "h"]):
        if _PATH.search(row["path"]):
            if not row_once(row, seen, f"{row['path']}: {row['label_text']}", flow):
                continue
            images.setdefault(row["path"], []).append(row)
        else:
            flow.reject("path is not MIMIC-CXR's", images=1, example=row["path"])
    for path, rows in images.items():
        flow.found(images=1, studies=1)
        study = _study(path, rows, suffix)
        words = (split_name(row.get("split", "test"), path, study.id, flow) for row in rows)
        yield replace(study, split=one_split(words, study.id, flow))


def mimic_path(text: str, suffix: str = ".jpg") -> tuple[str, str, str, str]:
    """Image path, patient, study and image id from any of MIMIC-CXR's ways to write a path.

    Raises:
        ValueError: If it is none.

    >>> mimic_path("p10/p10000032/s50414267/02aa-bd")
    ('files/p10/p10000032/s50414267/02aa-bd.jpg', '10000032', '50414267', '02aa-bd')
    """
    match = _PATH.search(text)
    if match is None:
        raise ValueError(f"{text!r} is not a path of MIMIC-CXR, such as p10/p10000032/s50414267/<image>.")
    return f"files/{match[1]}{suffix}", match[2], match[3], match[4]


def _study(path: str, rows: list[Row], suffix: str) -> Study:
    image, patient, study, name = mimic_path(path, suffix)
    phrases = [_phrase(row) for row in rows]
    texts = list(dict.fromkeys(row["label_text"] for row in rows))
    return Study(
        id=f"{study}/{name}",
        patient_id=patient,
        views=(
            View(
                image, "FRONTAL", name, *(whole(rows[0].get(f"image_{s}", "")) for s in ("width", "height"))
            ),
        ),
        report=Report(findings=". ".join(text.rstrip(".") for text in texts) + "."),
        labels=dict.fromkeys((row["category_name"] for row in rows), 1),
        source="MS-CXR",
        licence="PhysioNet Credentialed Health Data License 1.5.0",
        extra={"phrases": json.dumps(phrases), "mimic_study_id": study},
    )


def _phrase(row: Row) -> dict[str, object]:
    names = {"x": "x_px", "y": "y_px", "w": "width_px", "h": "height_px"}
    box = {name: number(row[column]) for column, name in names.items()}
    return {"label": row["category_name"], "text": row["label_text"], **box}


SOURCE = Source("mscxr", "MS-CXR, phrases with boxes on MIMIC-CXR", LAYOUT, read, check="exists")
