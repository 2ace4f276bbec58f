"""A board of tiny random systems on forty drawn studies, made once: two arms x two seeds, one that fails."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from radalign.leaderboard.board import BoardOptions, make_board
from radalign.leaderboard.plan import load_plan
from radalign.study import Manifest, Report, Study, View

TINY = "width=16, depth=1, heads=2, mlp_width=16"
REPORTS = {
    "normal": "The lungs are clear. No acute disease.",
    "Cardiomegaly": "The heart is enlarged. No pleural effusion.",
    "Pleural Effusion": "Small left pleural effusion. The heart is normal in size.",
}
PLAN = f"""
name = "tiny"
title = "A tiny board"
reference = "heads"
seeds = [0, 1]
settings = [
  'backbones.vision={{random={{{TINY}, patch_px=16, image_px=32}}}}',
  'backbones.text={{random={{{TINY}, vocabulary=300, max_tokens=64}}}}',
  "backbones.max_tokens=32", "data.size_px=32", "train.batch_size=4", "train.precision=fp32",
  "train.validate_at_start=false", "train.save_every_steps=2",
]

[budget]
epochs = 2

[evaluate]
resamples = 40

[[test]]
name = "all"

[[test]]
name = "with frontal"
has = ["frontal"]

[[arm]]
name = "heads"
recipe = "clinvla-heads"

[[arm]]
name = "adapters <d>"
recipe = "clinvla"
settings = ["model.adapter_hidden=4", "train.lr=0.01"]
ablates = "heads"

[[arm]]
name = "frontal only"
recipe = "clinvla-heads"
settings = ['data.slots=["current_frontal"]']
tests = ["with frontal"]
seeds = [0]

[[arm]]
name = "closed form"
recipe = "ridge"
seeds = [0]

[[arm]]
name = "broken"
recipe = "clinvla-heads"
settings = ["model.no_such_setting=1"]
seeds = [0]
"""


def drawn_studies(folder):
    """Sixteen studies train, four validate, twenty test; every fifth has a lateral view alone."""
    random = np.random.default_rng(0)
    for i in range(40):
        label = sorted(REPORTS)[i % 3]
        pixels = (random.integers(0, 80, (32, 32)) + 60 * (i % 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        split = "train" if i < 16 else "validate" if i < 20 else "test"
        views = (View(f"{i}.png", "LL" if i % 5 == 4 else "PA"),)
        report = Report(findings=REPORTS[label], impression=f"{label} {i}.")
        labels = {name: int(name == label) for name in REPORTS}
        yield Study(f"s{i}", f"p{i // 2}", views, report, labels, split, source="drawn")


def finished_board(folder, text):
    """The finished board of a plan: its plan, data, folder and what was said."""
    data, plan = folder / "m.parquet", folder / "plan.toml"
    Manifest(drawn_studies(folder), folder).write(data)
    plan.write_text(text)
    said: list[str] = []
    options = BoardOptions(quiet=True, isolate=False)
    files = make_board(load_plan(plan), data, folder / "board", options, said.append)
    return SimpleNamespace(plan=plan, data=data, out=folder / "board", files=files, said=said)


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """The board of `PLAN`."""
    return finished_board(tmp_path_factory.mktemp("board"), PLAN)
