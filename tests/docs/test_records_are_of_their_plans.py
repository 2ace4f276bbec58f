"""The results that the project keeps are those of its packaged plans: a plan that changes leaves none behind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from radalign.leaderboard.cells import cells_of
from radalign.leaderboard.plan import load_plan
from radalign.leaderboard.records import take_in

RECORDS = Path(__file__).parents[2] / "docs" / "results" / "records"


@pytest.mark.parametrize("folder", sorted(RECORDS.iterdir()), ids=lambda folder: folder.name)
def test_every_record_is_taken_in_by_a_board_of_its_plan(folder, tmp_path):
    kept = sorted(folder.iterdir())
    with zipfile.ZipFile(kept[0]) as archive:
        sha256 = json.loads(archive.read("cell.json"))["data_sha256"]
    cells = cells_of(load_plan(folder.name), tmp_path, Path("openi.parquet"), Path("pixels"), sha256)
    assert take_in(cells, folder) == {path: "" for path in kept}
