"""Beginning from a trained system: what is taken, what starts anew, what is refused."""

from __future__ import annotations

import json

import pytest
import torch

import radalign
from radalign.systems.folder import SystemFolderError
from radalign.systems.start_from import start_from
from radalign.train.loop import train
from tests.training_toy import toy_manifest


def scrambled(system):
    """Every own tensor moved, so that taking it shows."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in system.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator))
    return system


def test_a_downstream_system_begins_where_alignment_ended(tiny, batch, tmp_path):
    aligned = scrambled(tiny())
    aligned.save(tmp_path / "align" / "best")
    downstream = tiny("clinvla", 'model.stage="downstream"', "train.seed=5")
    started = start_from(downstream, tmp_path / "align")
    assert (started.folder, started.fresh) == ("align", ())
    b = batch(aligned)
    one, two = (system.eval().encode_images(b.images).global_ for system in (aligned, downstream))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)
    trains = {n for n, p in downstream.named_parameters() if p.requires_grad and "adapter" in n}
    assert trains
    assert all(".task." in name for name in trains)


def test_what_the_earlier_run_had_not_starts_anew_and_is_said(tiny, tmp_path):
    scrambled(tiny("clinvla", "model.invertible=false")).save(tmp_path / "align")
    system = tiny()
    started = start_from(system, tmp_path / "align")
    assert {name.split(".")[1] for name in started.fresh} == {"embedding_adapter"}
    assert "16 start anew (text.embedding_adapter" in started.sentence()


def test_misfits_are_refused_with_what_to_do(tiny, tmp_path):
    tiny("clinvla", "model.adapter_hidden=4").save(tmp_path / "narrow")
    with pytest.raises(SystemFolderError, match=r"has another shape there; use the sizes"):
        start_from(tiny(), tmp_path / "narrow")
    tiny("clinvla-full").save(tmp_path / "full")
    with pytest.raises(SystemFolderError, match=r"trained its backbone .*train_backbones=true"):
        start_from(tiny("clinvla-heads"), tmp_path / "full")
    other = "backbones.vision={random={width=32, depth=2, heads=2, mlp_width=64, patch_px=8, image_px=32, seed=9}}"
    tiny("clinvla", other).save(tmp_path / "other")
    with pytest.raises(SystemFolderError, match="was trained on the vision backbone"):
        start_from(tiny(), tmp_path / "other")
    tiny("nearl-align", "model={template='{}', embedding_width=16}").save(tmp_path / "nearl")
    with pytest.raises(SystemFolderError, match="kind nearl_clip, and this run trains clinvla"):
        start_from(tiny(), tmp_path / "nearl")
    with pytest.raises(SystemFolderError, match="There is no trained system"):
        start_from(tiny(), tmp_path / "nowhere")


def test_a_downstream_run_moves_task_adapters_and_heads_and_nothing_else(tiny, tmp_path):
    manifest = toy_manifest(tmp_path, studies=18)
    short = ["train.epochs=1", "train.batch_size=6", "train.warmup_epochs=0"]
    train(tiny("clinvla", *short), manifest, tmp_path / "align", tmp_path / "pixels")
    stage = 'model.stage="downstream"'
    run = train(
        tiny("clinvla", stage, *short),
        manifest,
        tmp_path / "down",
        tmp_path / "pixels",
        start=tmp_path / "align",
    )
    before, after = (
        radalign.load(tmp_path / "align").own_state(),
        radalign.load(tmp_path / "down" / "last").own_state(),
    )
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert any(".task." in name for name in moved)
    assert all(".task." in name or "_head." in name for name in moved)
    assert json.loads((run.folder / "run.json").read_text())["details"]["start"]["folder"] == "align"
