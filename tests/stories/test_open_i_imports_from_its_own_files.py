"""The real Open-i images, with XML reports in the distributor's form, give what the prepared table gives."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from radalign.data.importing import ImportSettings, import_source

STUDIES = 100


def write_report(path: Path, row: dict[str, str]) -> None:
    sections = "".join(
        f'<AbstractText Label="{name.upper()}">{escape(row[name])}</AbstractText>'
        for name in ("comparison", "indication", "findings", "impression")
    )
    mesh = "".join(f"<major>{escape(term)}</major>" for term in row["mesh_major"].split("|"))
    images = "".join(f'<parentImage id="{name}"/>' for name in row["image_ids"].split(";") if name)
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?><eCitation><uId id="{row["uid"]}"/><MedlineCitation><Article>'
        f"<Abstract>{sections}</Abstract></Article></MedlineCitation><MeSH>{mesh}</MeSH>{images}</eCitation>",
        encoding="utf-8",
    )


@pytest.mark.data
def test_reports_and_images_meet(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "openi_iu_xray"
    with (folder / "reports.csv").open(encoding="utf-8", newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["image_ids"]]
    rows = listed[:: len(listed) // STUDIES][:STUDIES]  # spread evenly over the set
    (tmp_path / "ecgen-radiology").mkdir()
    for row in rows:
        write_report(tmp_path / "ecgen-radiology" / f"{row['uid'].removeprefix('CXR')}.xml", row)
    (tmp_path / "images").symlink_to(folder / "images")
    ours, _ = import_source("openi", tmp_path)
    table, _ = import_source("table", folder, ImportSettings(check="none", split="none"))
    assert len(ours) > STUDIES * 0.9
    wrong = 0
    for study in ours:
        prepared = table[study.id]
        assert study.report.body.split() == prepared.report.body.split()
        assert study.positives == prepared.positives
        frontal = {Path(view.path).name for view in prepared.views if view.is_frontal}
        wrong += sum((Path(view.path).name in frontal) != view.is_frontal for view in study.views)
    assert wrong <= 0.02 * sum(len(study.views) for study in ours)
