"""A reader has a report: sections, clean text, assertions, labels, and the score of the reader itself."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from radalign.cli.report import app
from radalign.study import Manifest, Report, Study

TEXT = """FINAL REPORT
INDICATION: s/p CABG.

FINDINGS: No PTX. A 5-mm nodule is new. Seen on ___.

IMPRESSION:
1. Cannot exclude pneumonia.
"""


@pytest.fixture
def report(tmp_path: Path) -> str:
    file = tmp_path / "report.txt"
    file.write_text(TEXT)
    return str(file)


def run(*words: str, given: str = "") -> str:
    result = CliRunner().invoke(app, list(words), input=given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_sections_clean_text_and_assertions(report: str) -> None:
    assert json.loads(run("sections", report, "--json"))["impression"] == "Cannot exclude pneumonia."
    cleaned = run("clean", report)
    assert cleaned == "No pneumothorax. A 5 mm nodule is new. Seen. Cannot exclude pneumonia.\n"
    said = {a["finding"]: (a["status"], a["change"]) for a in json.loads(run("assertions", report, "--json"))}
    assert said == {"Pneumothorax": ("absent", ""), "Nodule": ("present", "new"), "Pneumonia": ("unsure", "")}


def test_a_report_from_standard_input() -> None:
    assert run("assertions", "-", given="Large effusion.") == "present  Pleural Effusion\n"
    assert run("sections", "-", given="FINDINGS: Clear.") == "findings: Clear.\n"


def test_a_manifest_gets_labels_and_keeps_its_own(tmp_path: Path) -> None:
    studies = [
        Study("a", "p", report=Report(findings="Small effusion. No edema."), labels={"Edema": 1}),
        Study("b", "q", report=Report(text="")),
    ]
    Manifest(studies).write(tmp_path / "in.parquet")
    counts = json.loads(
        run("label", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.parquet"), "--json")
    )
    assert counts["Pleural Effusion"] == {"1": 1, "0": 0, "-1": 0}
    labelled = Manifest.read(tmp_path / "out.parquet")
    assert labelled["a"].labels == {"Pleural Effusion": 1, "Edema": 1}
    assert labelled["b"].labels == {}
    run("label", str(tmp_path / "in.parquet"), "--out", str(tmp_path / "out.parquet"), "--overwrite")
    assert Manifest.read(tmp_path / "out.parquet")["a"].labels["Edema"] == 0


def test_the_score_names_both_halves_and_every_status() -> None:
    table = run("score")
    assert re.search(r"\| held_out \(\d{3}\) \| absent \|", table)
    assert re.search(r"\| development \(\d{4}\) \| unsure \|", table)
    record = json.loads(run("score", "held_out", "--json"))
    assert record["held_out"]["statuses"]["absent"]["f1"] >= 0.95
    assert "missed" in run("score", "held_out", "--misses")
