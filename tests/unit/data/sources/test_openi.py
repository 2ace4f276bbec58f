"""Open-i from files in the distributor's own form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import ImportSettings, import_source
from radalign.data.sources.mesh import mesh_labels
from radalign.data.sources.source import SourceError, SourceOptions

Image = Callable[..., str]
Table = Callable[..., Path]

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <meta type="rr"/>
   <uId id="CXR{number}"/>
   <pmcId id="{number}"/>
   <docSource>CXR</docSource>
   <IUXRId id="{number}"/>
   <licenseType>open-access</licenseType>
   <licenseURL>http://creativecommons.org/licenses/by-nc-nd/4.0/</licenseURL>
   <ccLicense>byncnd</ccLicense>
   <articleDate>2013-08-01</articleDate>
   <publisher>Indiana University</publisher>
   <MedlineCitation Owner="Indiana University" Status="supplied by publisher">
      <Article PubModel="Electronic">
         <Abstract>
            <AbstractText Label="COMPARISON">None.</AbstractText>
            <AbstractText Label="INDICATION">{indication}</AbstractText>
            <AbstractText Label="FINDINGS">{findings}</AbstractText>
            <AbstractText Label="IMPRESSION">{impression}</AbstractText>
         </Abstract>
      </Article>
   </MedlineCitation>
   <MeSH>{mesh}</MeSH>
   {images}
</eCitation>
"""
PARENT = """<parentImage id="{id}"><figureId>F{n}</figureId><caption>PA and lateral</caption>
      <panel type="single"><url>/hadoop/storage/radiology/extract/{id}.jpg</url><imgModality>7</imgModality>
      </panel></parentImage>"""


@pytest.fixture
def openi(image: Image, tmp_path: Path) -> Callable[..., Path]:
    def write(number: int, images: list[str], mesh: str = "<major>normal</major>", **texts: str) -> Path:
        parents = "\n".join(PARENT.format(id=name, n=n + 1) for n, name in enumerate(images))
        sections = {"indication": "Cough", "findings": "Clear lungs.", "impression": "Normal."} | texts
        folder = tmp_path / "ecgen-radiology"
        folder.mkdir(exist_ok=True)
        text = XML.format(number=number, images=parents, mesh=mesh, **sections)
        (folder / f"{number}.xml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_report_becomes_a_study_with_its_images(openi: Callable[..., Path], image: Image) -> None:
    folder = openi(1, ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"], findings=" Heart\n  normal. ")
    image("NLMCXR_png/CXR1_1_IM-0001-3001.png")
    image("NLMCXR_png/CXR1_1_IM-0001-4001.png")
    manifest, flow = import_source("openi", folder)
    study = manifest["CXR1"]
    assert study.patient_id == "CXR1"
    assert [v.path for v in study.views] == [f"NLMCXR_png/CXR1_1_IM-0001-{n}001.png" for n in (3, 4)]
    assert [v.id for v in study.views] == ["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"]
    assert study.report.findings == "Heart normal."
    assert study.report.body == "Heart normal. Normal."
    assert study.labels == {"normal": 1}
    assert study.licence == "http://creativecommons.org/licenses/by-nc-nd/4.0/"
    assert study.extra == {"mesh_major": "normal", "caption": "PA and lateral"}
    assert flow.noted["position guessed from the pixels"].images == 2
    assert sorted(v.position for v in study.views) == ["FRONTAL", "LATERAL"]


@pytest.mark.parametrize(
    "name", ["CXR7_IM-2263-1001.jpg", "7_IM-2263-1001.dcm.png", "deep/er/CXR7_IM-2263-1001.PNG"]
)
def test_images_are_found_under_the_names_of_the_known_copies(
    openi: Callable[..., Path], image: Image, name: str
) -> None:
    folder = openi(7, ["CXR7_IM-2263-1001"])
    image(name)
    assert [v.path for v in import_source("openi", folder)[0]["CXR7"].views] == [name]


def test_images_and_reports_may_be_in_two_places(
    openi: Callable[..., Path], image: Image, tmp_path: Path
) -> None:
    folder = openi(1, ["CXR1_IM-0001-1001"])
    image("elsewhere/CXR1_IM-0001-1001.png")
    options = SourceOptions(images=tmp_path / "elsewhere")
    manifest, _ = import_source("openi", folder / "ecgen-radiology", ImportSettings(options=options))
    assert manifest.image_path(manifest["CXR1"].views[0]).is_file()


def test_what_is_wrong_is_counted(openi: Callable[..., Path], image: Image, tmp_path: Path) -> None:
    openi(1, ["CXR1_IM-0001-1001", "CXR1_IM-0001-2001"])
    openi(2, ["CXR2_IM-0002-1001"], findings="", impression="")
    openi(3, [])
    folder = openi(10, ["CXR10_IM-0010-1001"])
    (folder / "ecgen-radiology" / "4.xml").write_text("<eCitation><uId id='CXR4'/>")
    for name in ("CXR1_IM-0001-1001", "CXR2_IM-0002-1001", "CXR10_IM-0010-1001", "CXR99_IM-0099-1001"):
        image(f"{name}.png")
    manifest, flow = import_source("openi", folder)
    assert [s.id for s in manifest] == ["CXR1", "CXR10"]
    assert {name: (r.images, r.studies) for name, r in flow.dropped.items()} == {
        "report is not readable XML": (0, 1),
        "no report names the image": (1, 0),
        "image file is missing": (1, 0),
        "study has no usable image": (0, 1),
        "report says nothing of the images": (1, 1),
    }


def test_absent_findings_are_stated_for_indexed_studies_only(
    openi: Callable[..., Path], image: Image
) -> None:
    for number, mesh in (
        (1, "<major>Cardiomegaly/mild</major>"),
        (2, "<major>normal</major>"),
        (3, "<major>No Indexing</major>"),
    ):
        folder = openi(number, [f"CXR{number}_IM-0001-1001"], mesh)
        image(f"CXR{number}_IM-0001-1001.png")
    labels = {s.id: dict(s.labels) for s in import_source("openi", folder)[0]}
    assert labels == {
        "CXR1": {"Cardiomegaly": 1, "normal": 0},
        "CXR2": {"Cardiomegaly": 0, "normal": 1},
        "CXR3": {},
    }


def test_places_are_labelled_with_what_is_wrong_there() -> None:
    assert mesh_labels(["Lung/hypoinflation/mild", "Costophrenic Angle/right/blunted", "Nodule/lung"]) == {
        "Lung/hypoinflation": 1,
        "Costophrenic Angle/blunted": 1,
        "Nodule": 1,
    }


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no XML reports"):
        import_source("openi", tmp_path)
