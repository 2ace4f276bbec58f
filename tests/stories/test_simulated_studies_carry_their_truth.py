"""A user simulates studies on the command line and finds truth, reports and priors in one manifest."""

from __future__ import annotations

import json

from typer import Typer
from typer.testing import CliRunner

from radalign.cli.simulate import simulate
from radalign.images.read import read_image
from radalign.study import Manifest


def run(*arguments):
    app = Typer()
    app.command()(simulate)
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_simulated_studies_carry_their_truth(tmp_path):
    out = tmp_path / "phantom"
    result = run("--out", out, "--studies", 6, "--size", 64, "--priors", 0.6, "--workers", 1, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.output)
    assert summary["studies"] == 6
    manifest = Manifest.read(summary["manifest"])
    assert any(manifest.prior(s) for s in manifest)
    for study in manifest:
        assert study.frontal is not None
        for view in study.views:
            assert read_image(manifest.image_path(view)).shape == (64, 64)
        for finding in study.truth:
            assert study.labels[finding.name] == int(finding.change != "resolved")
            assert (finding.change != "") == bool(study.prior_study_id)


def test_dicom_is_read_back_as_the_same_picture(tmp_path):
    common = ("--studies", 1, "--size", 64, "--workers", 1, "--marker")
    assert run("--out", tmp_path / "png", *common).exit_code == 0
    dicom = ("--format", "dicom", "--monochrome1", "--voi", "sigmoid", "--bits", 14)
    assert run("--out", tmp_path / "dcm", *common, *dicom).exit_code == 0
    pictures = []
    for name in ("png", "dcm"):
        manifest = Manifest.read(tmp_path / name / "manifest.parquet")
        pictures.append([read_image(manifest.image_path(v)) for v in manifest.studies[0].views])
    for png, dcm in zip(*pictures, strict=True):
        assert abs(png - dcm).max() <= 1 / 255
