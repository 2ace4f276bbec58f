"""Open-i, the Indiana University chest radiograph collection, as its distributor packs it.

    folder/
      ecgen-radiology/1.xml ...                    one report per study, with the ids of its images
      CXR1_1_IM-0001-3001.png ...                  the images, in any folder below (PNG or JPEG)

One study per patient. A report has no date and does not say which image is the frontal one: an import guesses
that from the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.files import first_of_each, named_images
from radalign.data.sources.mesh import mesh_labels, with_absent_labels
from radalign.data.sources.source import Source, SourceError, SourceOptions
from radalign.study import Report, Study, View

LAYOUT = "a folder with ecgen-radiology/*.xml (the reports) and the PNG or JPEG images below it"
_IMAGE_ID = re.compile(r"(?:CXR)?(\d+)_(?:\d+_)?(IM-[\d-]+)", re.IGNORECASE)
_SECTIONS = ("findings", "impression", "indication", "comparison")


def read(folder: Path, flow: ExclusionFlow, options: SourceOptions) -> Iterator[Study]:
    """Yield one study per report, in order of report number, with those of its images that are there.

    Args:
        folder: The distribution's folder.
        flow: Counts reports that cannot be parsed and images that no report names.
        options: `images` and `reports` say where these are, when not below the folder.

    Raises:
        SourceError: If there are no XML reports.
    """
    reports = sorted(_report_files(options.reports or folder), key=_number)
    if not reports:
        raise SourceError(f"There are no XML reports below {folder}; Open-i needs {LAYOUT}.")
    root = options.images or folder
    files = image_files(root, flow)
    studies = [study for path in reports if (study := _study(path, files, flow)) is not None]
    named = {view.path for study in studies for view in study.views}
    for path in sorted(set(files.values()) - named):
        flow.reject("no report names the image", images=1, example=path)
    yield from with_absent_labels(studies)


def image_files(root: Path, flow: ExclusionFlow) -> dict[str, str]:
    """Image key to path relative to the root; a PNG wins over a JPEG copy of the same image."""
    files = [(image_key(stem), path) for stem, path in named_images(root)]
    return first_of_each(sorted(files, key=lambda file: not file[1].lower().endswith(".png")), flow)


def image_key(name: str) -> str:
    """The part of an image id on which all copies of the collection agree.

    >>> image_key("CXR1_1_IM-0001-3001"), image_key("1_IM-0001-3001.dcm.png")
    ('1_IM-0001-3001', '1_IM-0001-3001')
    """
    match = _IMAGE_ID.match(name)
    return f"{match[1]}_{match[2].rstrip('-')}" if match else name


def _report_files(folder: Path) -> Iterable[Path]:
    inner = folder / "ecgen-radiology"
    return inner.glob("*.xml") if inner.is_dir() else folder.rglob("*.xml")


def _number(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdigit() else 10**9, path.name)


def _study(path: Path, files: dict[str, str], flow: ExclusionFlow) -> Study | None:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, OSError) as error:
        flow.reject("report is not readable XML", studies=1, example=f"{path.name}: {error}")
        return None
    name = _attribute(root, "uId") or f"CXR{path.stem}"
    images = list(root.iter("parentImage"))
    flow.found(images=len(images), studies=1)
    major = [_text(e) for e in root.iter("major")]
    return Study(
        id=name,
        patient_id=name,
        views=tuple(_views(images, files)),
        report=Report(**_sections(root)),
        labels=mesh_labels(major) or {},
        source="Open-i / Indiana University Chest X-ray Collection",
        licence=_text(root.find("licenseURL")) or "CC BY-NC-ND 4.0",
        extra=_extra(root, images, major),
    )


def _views(images: list[ElementTree.Element], files: dict[str, str]) -> Iterator[View]:
    for image in images:
        name = image.get("id", "")
        yield View(files.get(image_key(name), f"{name}.png"), id=name)


def _sections(root: ElementTree.Element) -> dict[str, str]:
    texts: dict[str, str] = {}
    for element in root.iter("AbstractText"):
        name = element.get("Label", "").strip().lower()
        if name in _SECTIONS:
            texts[name] = " ".join(filter(None, (texts.get(name, ""), _text(element))))
    return texts


def _extra(root: ElementTree.Element, images: list[ElementTree.Element], major: list[str]) -> dict[str, str]:
    values = {
        "mesh_major": "|".join(major),
        "mesh_automatic": "|".join(_text(e) for e in root.iter("automatic")),
        "caption": " | ".join(dict.fromkeys(_text(image.find("caption")) for image in images)),
    }
    return {name: value for name, value in values.items() if value}


def _attribute(root: ElementTree.Element, tag: str) -> str:
    element = root.find(tag)
    return "" if element is None else element.get("id", "").strip()


def _text(element: ElementTree.Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


SOURCE = Source(
    "openi",
    "Open-i, Indiana University chest radiographs with reports",
    LAYOUT,
    read,
    takes=("report-files",),
    without_positions=True,
)
