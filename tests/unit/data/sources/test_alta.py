"""ALTA's five columns: current and prior views, -1 for missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from radalign.data.importing import import_source

Image = Callable[..., str]
Table = Callable[..., Path]
HEADER = "image_path,auxview_image_path,last_image_path,last_auxview_image_path,report"


@pytest.mark.parametrize("source", ["alta", "table"])
@pytest.mark.parametrize("index", ["", "0"])
def test_a_row_with_a_prior_makes_two_studies(image: Image, table: Table, source: str, index: str) -> None:
    f, lat, pf = image("f.jpg"), image("l.jpg"), image("pf.jpg")
    lines = [HEADER, f'{f},{lat},{pf},-1,"Clear, stable."']
    path = table([f",{lines[0]}", f"{index},{lines[1]}"] if index else lines)
    manifest, flow = import_source(source, path)
    current = manifest["f.jpg"]
    assert [(v.path, v.position) for v in current.views] == [("f.jpg", "FRONTAL"), ("l.jpg", "LATERAL")]
    assert current.report.body == "Clear, stable."
    prior = manifest.prior(current)
    assert prior is not None
    assert [v.path for v in prior.views] == ["pf.jpg"]
    assert (prior.patient_id, prior.split) == (current.patient_id, current.split)
    assert flow.noted["without a report, kept as a prior"].studies == 1


def test_a_prior_that_is_itself_a_row_keeps_its_report_and_its_own_prior(image: Image, table: Table) -> None:
    for name in ("1.jpg", "2.jpg", "3.jpg", "3l.jpg"):
        image(name)
    path = table([HEADER, "3.jpg,3l.jpg,2.jpg,-1,Worse.", "2.jpg,-1,1.jpg,-1,New.", "1.jpg,-1,-1,-1,Clear."])
    manifest, flow = import_source("alta", path)
    assert {s.id: (s.prior_study_id, s.report.text) for s in manifest} == {
        "3.jpg": ("2.jpg", "Worse."),
        "2.jpg": ("1.jpg", "New."),
        "1.jpg": ("", "Clear."),
    }
    assert len({s.patient_id for s in manifest}) == 1
    assert (flow.images_found, flow.studies_found) == (4, 3)


def test_missing_frontals_and_repeats(image: Image, table: Table) -> None:
    path = table(
        [HEADER, f"-1,{image('l.jpg')},-1,-1,Only lateral.", "-1,-1,-1,-1,No image.", "-1,l.jpg,-1,-1,Again."]
    )
    manifest, flow = import_source("alta", path)
    assert [s.id for s in manifest] == ["l.jpg"]
    assert flow.dropped["row names no image"].studies == 1
    assert flow.dropped["study is listed twice"].studies == 1
    assert flow.noted["study with only a lateral"].studies == 1
