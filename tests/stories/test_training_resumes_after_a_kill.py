"""A person trains, the machine kills the run at once, and `--resume` goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import radalign
from radalign.study import Manifest
from radalign.train.record import read_log
from tests.training_toy import toy_manifest

PROJECT = Path(__file__).parents[2]
TINY = "width=16, depth=2, heads=2, mlp_width=32"
SETTINGS = {
    "backbones.vision": f"{{random={{{TINY}, patch_px=8, image_px=32, seed=1}}}}",
    "backbones.text": f"{{random={{{TINY}, vocabulary=200, max_tokens=64, seed=2}}}}",
    "backbones.max_tokens": "32",
    "model.adapter_hidden": "8",
    "model.embedding_width": "16",
    "data.size_px": "32",
    "data.text.sample_probability": "0.5",
    "train.batch_size": "4",
    "train.epochs": "6",
    "train.lr": "0.003",
    "train.precision": "fp32",
    "train.save_every_steps": "4",
    "train.validate_every_epochs": "3",
    "train.average": "ema",
}


def words(folder: Path, out: str, *more: str) -> list[str]:
    sets = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    manifest, run = str(folder / "m.parquet"), str(folder / out)
    return ["train", "clinvla", "--data", manifest, "--out", run, "--device", "cpu", *sets, *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    toy_manifest(folder / "images", 36).write(folder / "m.parquet")
    return folder


def here(*arguments: str) -> dict:
    from radalign.cli import build_app

    result = CliRunner().invoke(build_app(), [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def killed_after(folder: Path, out: str, lines: int) -> None:
    """Run the command in a process of its own, and kill it with SIGKILL once its log has so many steps."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "radalign", *words(folder, out)], env=environment, stderr=subprocess.PIPE
    )
    log = folder / out / "log.jsonl"
    with process:
        while not log.is_file() or log.read_bytes().count(b'"kind": "step"') < lines:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (folder / out / "run.json").exists()


def steps(folder: Path) -> list[tuple[int, float]]:
    return [
        (line["step"], line["total"]) for line in read_log(folder / "log.jsonl") if line["kind"] == "step"
    ]


def test_a_killed_run_goes_on_with_the_losses_of_an_uninterrupted_one(folder):
    whole = here(*words(folder, "whole"))
    killed_after(folder, "killed", 9)
    resumed = here(*words(folder, "killed", "--resume"))

    begun = [line for line in read_log(folder / "killed" / "log.jsonl") if line["kind"] == "start"]
    assert begun[-1]["resumed_at_step"] >= 8  # it did not simply begin again
    assert len(steps(folder / "whole")) == 36
    assert steps(folder / "killed") == steps(folder / "whole")
    assert resumed["best_numbers"] == whole["best_numbers"]
    assert resumed["stopped_by"] == "epochs"

    systems = [radalign.load(folder / name) for name in ("whole", "killed")]
    studies = Manifest.read(folder / "m.parquet").where(split="validate")
    images = [system.embed_studies(studies.studies, studies) for system in systems]
    assert np.array_equal(*images)
    assert systems[0].identity == systems[1].identity


def test_a_second_run_into_the_same_folder_is_refused_with_a_sentence(folder, monkeypatch, capsys):
    from radalign.cli import main

    arguments = words(folder, "again", "--set", "train.epochs=1")
    here(*arguments)
    best = (folder / "again" / "best" / "adapters.safetensors").read_bytes()
    monkeypatch.setattr(sys, "argv", ["radalign", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert (
        "holds a finished run; go on with --resume, start again with --overwrite" in capsys.readouterr().err
    )
    assert (folder / "again" / "best" / "adapters.safetensors").read_bytes() == best


def test_the_trained_system_is_a_folder_that_loads_to_the_same_numbers(folder):
    here(*words(folder, "kept", "--set", "train.epochs=2"))
    for part in ("best", "last"):
        system = radalign.load(folder / "kept" / part)
        first = system.embed_texts(["Opacity at alpha."])
        assert np.allclose(
            first, radalign.load(folder / "kept" / part).embed_texts(["Opacity at alpha."]), atol=1e-6
        )
        assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
        assert not any(torch.is_tensor(v) and v.isnan().any() for v in system.own_state().values())
