"""Open-i and report-to-report: which studies count in which mode, and numbers counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.protocols import openi, report_to_report
from radalign.evaluate.protocols.protocol import Options
from radalign.study import Manifest, Report, Study, View

ANGLES = {"normal": 20, "Cardiomegaly": 80}


@pytest.fixture
def manifest(tmp_path, write_image):
    """24 studies of two labels; every third one is for validation, two patients have two studies."""
    studies = []
    for i in range(24):
        label = "normal" if i % 2 else "Cardiomegaly"
        write_image(tmp_path / f"{i}.png", ANGLES[label] + i)
        report = Report(
            findings=f"{label} finding {i}.", impression=f"{label}." if i > 3 else f"{label} {i}."
        )
        labels = {name: int(name == label) for name in ANGLES}
        split = "validate" if i % 3 == 0 else "test"
        studies.append(Study(f"s{i}", f"{split} {i // 4}", (View(f"{i}.png", "PA"),), report, labels, split))
    Manifest(studies, tmp_path).write(tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


@pytest.fixture
def system(manifest, angles, fast_recipe):
    """Reads a report's label and number as an angle; prompts about the heart stand at 80 degrees."""
    lookup = {}
    for study in Manifest.read(manifest):
        label, number = study.positives[0], int(study.id[1:])
        lookup[study.report.body] = lookup[study.report.findings] = ANGLES[label] + number
        lookup[study.report.impression] = ANGLES[label] + (number if number < 4 else 4)
    lookup |= {
        "The heart is enlarged.": 80,
        "Cardiomegaly is present.": 80,
        "The cardiac silhouette is enlarged.": 80,
    }
    lookup |= {"The heart is normal in size.": 20, "No cardiomegaly.": 20}
    found = angles(lookup)
    found.recipe = fast_recipe
    return found


def test_openi_takes_the_test_split_in_strict_mode_and_everything_in_paper_mode(manifest, system):
    strict = openi.run({"fake": system}, manifest, Options(resamples=10))
    paper = openi.run({"fake": system}, manifest, Options(mode="paper", resamples=10))
    assert strict["fake", "image to text", "R@1"].n == 16
    assert paper["fake", "image to text", "R@1"].n == 24
    assert strict["fake", "image to text", "R@1"].value == 1.0
    metrics = {r.mode: {m.metric for m in r.measures if m.group == "cardiomegaly"} for r in (strict, paper)}
    assert "F1" in metrics["strict"]
    assert metrics["paper"] == {"AUC", "AUPRC"}
    assert strict.protocol == "openi"
    assert strict.settings["prompts"] == "chest-findings"
    assert strict.settings["studies"] == 16


def test_openi_reports_the_kinds_of_subgroup_that_are_asked_for(tmp_path, manifest, system):
    known = Manifest.read(manifest)
    people = [replace(s, sex="FM"[i % 2], age_years=50.0 + 20 * (i % 2)) for i, s in enumerate(known)]
    Manifest(people, known.root).write(tmp_path / "people.parquet")
    for kinds in ((), ("sex",), ("sex", "age")):
        options = Options(mode="paper", resamples=5, subgroups=kinds)
        found = openi.run({"fake": system}, tmp_path / "people.parquet", options)
        assert {m.group.split(": ")[0] for m in found.measures if ": " in m.group} == set(kinds)


def test_openi_needs_a_split_in_strict_mode(tmp_path, manifest, system):
    bare = [Study(s.id, s.patient_id, s.views, s.report, s.labels) for s in Manifest.read(manifest)]
    Manifest(bare, manifest.parent).write(tmp_path / "bare.parquet")
    with pytest.raises(EvaluationError, match="--mode paper"):
        openi.run({"fake": system}, tmp_path / "bare.parquet", Options())


def test_findings_find_their_impression(manifest, system):
    found = report_to_report.run({"fake": system}, manifest, Options(mode="paper", resamples=10))
    pair = found["fake", "findings to impression", "R@1"]
    # Of each label, the two numbered impressions are found alone; the other ten share one text, and the
    # first of the ten in the pool is taken.
    assert pair.value == pytest.approx((4 + 2) / 24)
    assert found["fake", "findings to impression", "same text@1"].value == 1.0
    assert found["fake", "report to report", "P@5"].value == 1.0


def test_strict_mode_hides_the_own_patient(manifest, system):
    strict = report_to_report.run({"fake": system}, manifest, Options(resamples=10))
    paper = report_to_report.run({"fake": system}, manifest, Options(mode="paper", resamples=10))
    pools = {r.mode: r["fake", "report to report", "P@5"].chance for r in (strict, paper)}
    assert pools["paper"] == pytest.approx(11 / 23)
    assert strict["fake", "report to report", "P@5"].patients == 6


def test_images_are_not_needed(tmp_path, system):
    studies = [
        Study(f"s{i}", f"p{i}", report=Report(findings=f"a {i}.", impression=f"b {i}."), split="test")
        for i in range(3)
    ]
    Manifest(studies).write(tmp_path / "m.parquet")
    found = report_to_report.run({"fake": system}, tmp_path / "m.parquet", Options(resamples=5))
    assert found.tasks == ["findings to impression"]
    Manifest(studies[:1]).write(tmp_path / "one.parquet")
    with pytest.raises(EvaluationError, match="two are needed"):
        report_to_report.run({"fake": system}, tmp_path / "one.parquet", Options())
