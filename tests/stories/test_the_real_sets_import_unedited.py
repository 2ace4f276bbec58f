"""The four sets of real radiographs import with no editing, and every image is accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from radalign.data.importing import ImportSettings, import_source
from radalign.study import Manifest

# From the sets' own README: images, studies, patients; then what is left out on purpose.
SETS = {
    "openi_iu_xray": {
        "found": (5596, 2870),
        "kept": (5594, 2870, 2870),
        "left_out": {"duplicate of another image"},
    },
    "covid19_image_data": {
        "found": (255, 209),
        "kept": (250, 206, 122),
        "left_out": {"duplicate of another image", "study has no usable image"},
    },
    "hannover_covid19": {"found": (186, 186), "kept": (186, 186, 53), "left_out": set()},
    "nih_cxr14_small": {"found": (79, 79), "kept": (79, 79, 75), "left_out": set()},
}


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_a_set_imports_as_it_is(real_data: Path, name: str) -> None:
    expected: dict[str, Any] = SETS[name]
    # Decoding thousands of images takes a while: the small sets are decoded, the others are looked for.
    check = "decode" if name in ("covid19_image_data", "nih_cxr14_small") else "exists"
    settings = ImportSettings(reports="keep", check=check)
    manifest, flow = import_source("table", real_data / name, settings)
    assert (flow.images_found, flow.studies_found) == expected["found"]
    assert (flow.images_kept, flow.studies_kept, flow.patients_kept) == expected["kept"]
    assert set(flow.dropped) == expected["left_out"]
    assert all(study.frontal or study.lateral for study in manifest)
    assert {s.split for s in manifest} == {"train", "validate", "test"}


@pytest.mark.data
def test_open_i_has_the_labels_and_pairs_that_its_readme_counts(real_data: Path) -> None:
    manifest, _ = import_source("table", real_data / "openi_iu_xray", ImportSettings(check="none"))
    assert sum(s.labels.get("normal") == 1 for s in manifest) == 1014
    assert sum(s.frontal is not None and s.lateral is not None for s in manifest) == 2547
    assert sum(bool(s.report.findings) for s in manifest) == 2505
    assert sum(bool(s.report.impression) for s in manifest) == 2865
    counts = {name: len(manifest.where(split=name)) for name in ("train", "validate", "test")}
    assert counts == {"train": 2009, "validate": 287, "test": 574}


@pytest.mark.data
def test_follow_up_patients_get_their_priors(real_data: Path) -> None:
    manifest, _ = import_source("table", real_data / "hannover_covid19", ImportSettings(check="none"))
    linked = [(s, manifest.prior(s)) for s in manifest if s.prior_study_id]
    assert len({s.patient_id for s, _ in linked}) == 27  # patients with two or more time points
    for study, prior in linked:
        assert prior is not None
        assert prior.patient_id == study.patient_id
        assert (prior.time_offset_days or 0) < (study.time_offset_days or 0)


@pytest.mark.data
def test_import_show_and_split_on_the_command_line(real_data: Path, tmp_path: Path) -> None:
    from radalign.cli.data import app

    run = CliRunner()
    out = tmp_path / "nih.parquet"
    done = run.invoke(app, ["import", "table", str(real_data / "nih_cxr14_small"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "| **kept** | 79 | 79 |" in done.output
    assert (tmp_path / "nih.parquet.exclusions.md").is_file()
    done = run.invoke(app, ["show", str(out), "--studies", "4"])
    assert "79 studies of 75 patients, 79 views" in done.output
    assert (tmp_path / "nih.parquet.sheet.png").stat().st_size > 10_000
    done = run.invoke(app, ["split", str(out), "--shares", "50/0/50", "--seed", "3"])
    assert done.exit_code == 0, done.output
    assert {s.split for s in Manifest.read(out)} == {"train", "test"}
