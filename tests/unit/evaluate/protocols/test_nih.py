"""NIH ChestX-ray14: the official files become splits by patient, and the probe reads what is there."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.protocols import nih
from radalign.evaluate.protocols.protocol import Options

HEAD = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"


@pytest.fixture
def folder(tmp_path, write_image):
    """60 training and 24 test patients, two images each; Effusion lies at 60 degrees, the rest at 20."""
    random = np.random.default_rng(0)
    lines, lists = [HEAD], {"train_val_list.txt": [], "test_list.txt": []}
    for patient in range(84):
        for visit in range(2):
            name = f"{patient:08d}_{visit:03d}.png"
            sick = (patient + visit) % 3 == 0
            write_image(
                tmp_path / "images_001" / "images" / name, int((60 if sick else 20) + random.integers(-9, 10))
            )
            label = "Effusion|Mass" if sick else ("No Finding" if visit else "Mass")
            lines.append(f"{name},{label},{visit},{patient},0{30 + patient % 50}Y,{'FM'[patient % 2]},PA")
            lists["train_val_list.txt" if patient < 60 else "test_list.txt"].append(name)
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join(lines))
    for name, names in lists.items():
        (tmp_path / name).write_text("\n".join(names) + "\n")
    return tmp_path


def test_the_official_files_become_a_manifest(folder):
    manifest = nih.read(folder)
    assert {s: len(manifest.where(split=s)) for s in ("train", "validate", "test")} == {
        "train": 108, "validate": 12, "test": 48,
    }  # fmt: skip
    study = manifest["00000003_000.png"]
    assert study.positives == ("Effusion", "Mass")
    assert study.labels["Hernia"] == 0
    assert (study.patient_id, study.sex, study.age_years, study.frontal.position) == ("3", "M", 33.0, "PA")
    assert manifest.image_path(study.views[0]).is_file()


def test_the_probe_finds_the_effusion_and_draws_patients_or_images(folder, angles, fast_recipe):
    system = angles({})
    system.recipe = fast_recipe
    strict = nih.run({"fake": system}, folder, Options(mode="strict", resamples=20))
    paper = nih.run({"fake": system}, folder, Options(mode="paper", resamples=20))
    effusion = {m.task: m.value for m in strict.measures if (m.metric, m.group) == ("AUC", "Effusion")}
    assert effusion["linear probe, 100 %"] == 1.0
    assert set(effusion) == {"linear probe, 1 %", "linear probe, 10 %", "linear probe, 100 %"}
    draws = {
        r.mode: next(m.n for m in r.measures if m.metric.startswith("SD") and "10 %" in m.task)
        for r in (strict, paper)
    }
    assert draws == {"strict": 3, "paper": 1}
    assert paper.protocol == "nih"


def test_fine_tuning_is_reported_beside_the_probe(folder, monkeypatch):
    from PIL import Image

    from radalign.systems.base import create

    for path in folder.rglob("*.png"):  # an effusion is now a dense right half
        pixels = np.full((16, 16), 90, np.uint8)
        pixels[:, 8:] = 170 if np.asarray(Image.open(path))[0, 0] > 40 else 90
        Image.fromarray(pixels).save(path)
    tiny = "width=16, depth=1, heads=2, mlp_width=32"
    system = create(
        "clinvla",
        [
            f"backbones.vision={{random={{{tiny}, patch_px=8, image_px=16}}}}",
            f"backbones.text={{random={{{tiny}, vocabulary=100, max_tokens=16}}}}",
            "backbones.max_tokens=16", "data.size_px=16", "model.embedding_width=8", "model.adapter_hidden=4",
            "model.mask_ratio=0", "train.lr=3e-3",
        ],
    )  # fmt: skip
    monkeypatch.setattr(nih, "FineTuneSettings", partial(nih.FineTuneSettings, epochs=6, batch_size=8))
    found = nih.run({"tiny": system}, folder, Options(mode="paper", resamples=10, fine_tune=True))
    shares = ("1 %", "10 %", "100 %")
    assert set(found.tasks) == {f"{how}, {n}" for how in ("linear probe", "fine-tuning") for n in shares}
    tuned = {m.group: m for m in found.measures if (m.task, m.metric) == ("fine-tuning, 100 %", "AUC")}
    assert tuned["Effusion"].value > 0.9
    assert tuned["Effusion"].n == 48
    assert found.settings["epochs"] == 6


def test_a_missing_image_is_named(folder):
    (folder / "images_001" / "images" / "00000007_001.png").unlink()
    with pytest.raises(EvaluationError, match="00000007_001"):
        nih.read(folder)


def test_images_that_are_listed_and_not_in_the_table_are_counted(folder):
    table = folder / "Data_Entry_2017.csv"
    kept = [line for line in table.read_text().splitlines() if not line.startswith(("00000007", "00000070"))]
    table.write_text("\n".join(kept))
    with pytest.raises(EvaluationError, match=r"4 images of .* \(first: 00000007_000.png\); use the table"):
        nih.read(folder)
