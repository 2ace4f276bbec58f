"""The loop with two linear layers: it learns, resumes to the bit, keeps the best, and says what is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from radalign.objectives.collapse import CollapseError
from radalign.study import Report
from radalign.train.bar import Bar
from radalign.train.card import draw_curves
from radalign.train.checkpoint import CheckpointError
from radalign.train.loop import train
from radalign.train.record import read_log
from radalign.train.selection import SelectionError
from radalign.train.start import TrainError
from radalign.train.zero_shot import ZeroShotError, zero_shot_auc
from tests.training_toy import ToySystem, toy_manifest, toy_recipe


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    return folder / "pixels", toy_manifest(folder / "images")


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch):
    """Drawing takes longer than training here; one test looks at the picture."""
    monkeypatch.setattr("radalign.train.card.draw_curves", lambda *_: False)


@pytest.fixture
def run(place, tmp_path):
    """Train a toy system; keywords are recipe sections and options of `train`."""
    pixels, manifest = place

    def go(out="run", system=None, manifest=manifest, **more):
        options = {
            key: more.pop(key) for key in ("resume", "overwrite", "fail_on_collapse", "bar") if key in more
        }
        system = system or ToySystem(toy_recipe(**more))
        return train(system, manifest, tmp_path / out, pixels, device="cpu", **options)

    return go


def steps(folder):
    return [
        (line["step"], line["total"]) for line in read_log(folder / "log.jsonl") if line["kind"] == "step"
    ]


def checks(folder):
    return [line for line in read_log(folder / "log.jsonl") if line["kind"] == "validation"]


def test_it_learns(run):
    result = run(train={"epochs": 12, "lr": 0.05})
    first, last = checks(result.folder)[0], checks(result.folder)[-1]
    # 16 validation studies, 9 places: the report fits one or two studies, so R@1 cannot be 1, but R@5 can.
    assert first["r5"] < 0.6
    assert last["r5"] == 1.0
    assert last["loss"] < first["loss"] - 1
    assert result.best == result.best_numbers["r10"] == max(c["r10"] for c in checks(result.folder))
    assert result.stopped_by == "epochs"
    assert result.steps == 12 * 4


def test_the_best_and_the_last_system_are_the_ones_that_were_measured(run):
    system = ToySystem(toy_recipe(train={"epochs": 6, "select": "loss"}))
    result = run(system=system)
    last = load_file(result.folder / "last" / "adapters.safetensors")
    assert all(torch.equal(tensor, system.state_dict()[name]) for name, tensor in last.items())
    losses = {round(c["epoch"]): c["loss"] for c in checks(result.folder)}
    assert result.best == min(losses.values())
    assert losses[result.best_epoch] == result.best
    again = run("again", train={"epochs": 6, "select": "loss"})
    best = load_file(again.folder / "best" / "adapters.safetensors")
    assert all(
        torch.equal(best[n], t) for n, t in load_file(result.folder / "best" / "adapters.safetensors").items()
    )


class Killed(Exception):
    pass


class Dying(ToySystem):
    """Dies after some steps, as a process would: nothing is tidied up by the loop."""

    def __init__(self, recipe, die_after):
        super().__init__(recipe)
        self.left = die_after

    def after_step(self):
        super().after_step()
        self.left -= 1
        if not self.left:
            raise Killed


VARIANTS = [
    {},
    {"accumulate": 3},
    {"average": "ema", "average_decay": 0.8, "average_from_epoch": 0.5},
    {"average": "uniform", "clip": 0.5, "workers": 2, "group_by_length": True},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(v) or "plain")
def test_a_resumed_run_repeats_the_uninterrupted_one_to_the_bit(run, variant):
    how = {"train": {"epochs": 2, "batch_size": 4, "save_every_steps": 2, **variant}}
    how["data"] = {"augment": {"probability": 0.7}, "soft_targets": {"rule": "identical"}}
    whole = run("whole", **how)
    names = ("loss", "r10", "mrr", "negative")
    for die_after in (1, 3):  # before and after the first point within an epoch
        out = f"killed{die_after}"
        with pytest.raises(Killed):
            run(out, system=Dying(toy_recipe(**how), die_after))
        resumed = run(out, resume=True, **how)
        assert steps(resumed.folder) == steps(whole.folder)
        measured = [[[c[n] for n in names] for c in checks(r.folder)] for r in (whole, resumed)]
        assert measured[0] == measured[1]
        assert resumed.best_numbers == whole.best_numbers
        for part in ("best", "last"):
            a, b = (load_file(r.folder / part / "adapters.safetensors") for r in (whole, resumed))
            assert all(torch.equal(a[name], b[name]) for name in a)


def test_threads_and_portions_do_not_change_the_losses(run):
    assert steps(run("a").folder) == steps(run("b", train={"workers": 3}).folder)


def test_accumulation_over_equal_parts_is_the_mean_gradient(run):
    # An attraction-only objective is a mean over pairs, so two halves make the same step as the whole.
    how = {"objectives": {"attraction": 1.0}}
    whole = ToySystem(toy_recipe(train={"epochs": 1, "batch_size": 16}, **how), dropout=0)
    halves = ToySystem(toy_recipe(train={"epochs": 1, "batch_size": 8, "accumulate": 2}, **how), dropout=0)
    run("whole", system=whole)
    run("halves", system=halves)
    for a, b in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_a_run_may_not_go_on_with_other_settings_or_data(run, place):
    with pytest.raises(Killed):
        run(system=Dying(toy_recipe(), 6))
    with pytest.raises(
        TrainError, match=r"began with recipe.train.lr = 0.02, not 0.5; resume with what it began with"
    ):
        run(resume=True, train={"lr": 0.5})
    manifest = place[1]
    fewer = manifest.with_studies(manifest.studies[1:])
    with pytest.raises(TrainError, match=r"began with run.data"):
        run(resume=True, manifest=fewer)
    assert run(resume=True, train={"save_every_steps": 3, "workers": 1}).is_finished


def test_resuming_where_nothing_began_begins(run):
    assert run(resume=True, train={"epochs": 1}).steps == 4


def test_a_finished_run_is_not_overwritten_unasked(run):
    result = run(train={"epochs": 1})
    best = (result.folder / "best" / "adapters.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"finished run; go on with --resume, start again with --overwrite"):
        run(train={"epochs": 1})
    assert (result.folder / "best" / "adapters.safetensors").read_bytes() == best
    assert run(train={"epochs": 1}, overwrite=True).steps == 4


def test_time_ends_a_run_which_may_go_on_later(run, monkeypatch):
    result = run(train={"epochs": 5, "max_minutes": 1e-9})
    assert result.stopped_by == "time"
    assert result.steps == 1
    assert checks(result.folder)[-1]["step"] == 1
    assert (result.folder / "best" / "adapters.safetensors").is_file()
    said = [row["text"] for row in read_log(result.folder / "log.jsonl") if row["kind"] == "message"]
    assert any("before the first step took" in text and "give more for more steps" in text for text in said)
    assert "(1 step," in result.sentence()
    more = run(resume=True, train={"epochs": 5, "max_minutes": 0})
    assert more.stopped_by == "epochs"
    assert [step for step, _ in steps(more.folder)] == list(range(1, 21))


def test_patience_ends_a_run(run):
    result = run(
        train={"epochs": 50, "patience": 2, "lr": 1e-12}
    )  # nothing gets better than the first validation
    assert result.stopped_by == "patience"
    assert result.epochs == 2
    assert result.best_epoch == 0


def test_an_interrupt_ends_after_the_step_and_can_be_resumed(run):
    class Interrupted(ToySystem):
        def after_step(self):
            super().after_step()
            import signal

            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 2:
                signal.raise_signal(signal.SIGINT)

    result = run(system=Interrupted(toy_recipe()))
    assert result.stopped_by == "interrupt"
    assert not result.is_finished
    assert not json.loads((result.folder / "run.json").read_text())["finished"]
    assert steps(run(resume=True).folder) == steps(run("whole").folder)


def test_a_collapse_is_said_and_can_be_an_error(run):
    how = {"objectives": {"attraction": 1.0}, "train": {"epochs": 12, "lr": 0.1}}
    result = run(**how)
    assert checks(result.folder)[-1]["verdict"] == "fail"
    assert checks(result.folder)[-1]["negative"] > 0.95
    assert "have collapsed" in (result.folder / "README.md").read_text()
    with pytest.raises(CollapseError, match=r"collapsed.*contrastive objective.*card is in"):
        run("stopped", fail_on_collapse=True, **how)
    folder = result.folder.parent / "stopped"
    assert json.loads((folder / "run.json").read_text())["stopped_by"] == "collapse"
    assert len(checks(folder)) < len(checks(result.folder))


def test_a_loss_that_is_not_finite_stops_before_the_step(run):
    system = ToySystem(toy_recipe())
    system.log_scale.data.fill_(float("nan"))
    before = system.image_head.weight.clone()
    with pytest.raises(TrainError, match=r"The loss is nan at step 1 .*train.clip=1"):
        run(system=system)
    assert torch.equal(system.image_head.weight, before)


def test_without_a_validation_split_the_last_is_the_best(run, place):
    manifest = place[1].with_studies(s for s in place[1] if s.split == "train")
    result = run(manifest=manifest, train={"epochs": 2})
    assert result.best_epoch == 2
    assert "No study has the split `validate`" in (result.folder / "README.md").read_text()
    a, b = (load_file(result.folder / part / "adapters.safetensors") for part in ("best", "last"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_one_study_and_a_batch_of_one_train(run, place):
    manifest = place[1].with_studies(s for s in place[1] if s.id in ("s0", "s40"))
    result = run(manifest=manifest, train={"epochs": 2})
    assert result.steps == 2
    assert math.isfinite(result.last_numbers["loss"])
    assert run("ones", train={"epochs": 1, "batch_size": 1}).steps == 32


def test_what_is_left_out_is_counted_and_said(run, place, tmp_path):
    manifest = toy_manifest(tmp_path / "images", 24)
    (tmp_path / "images" / "1-PA.png").write_bytes(b"x")
    (tmp_path / "images" / "1-LL.png").write_bytes(b"")
    studies = [replace(s, report=Report()) if s.id == "s2" else s for s in manifest]
    result = run(manifest=manifest.with_studies(studies), train={"epochs": 1})
    assert result.details["excluded"] == {
        "train: an empty report": 1,
        "train: no usable image in any slot": 1,
    }
    assert result.details["unreadable_images"] == 2
    card = (result.folder / "README.md").read_text()
    assert "2 images cannot be read" in card
    assert "1 (train: an empty report)" in card


def test_without_training_studies_nothing_starts(run, place):
    manifest = place[1].with_studies(s for s in place[1] if s.split != "train")
    with pytest.raises(ValueError, match=r"No study has the split `train`; split the manifest"):
        run(manifest=manifest)


def test_an_unknown_selection_is_refused_before_any_work(run, tmp_path):
    with pytest.raises(SelectionError, match=r"train.select=accuracy"):
        run(train={"select": "accuracy"})
    assert not (tmp_path / "run").exists()


class ClosedForm(ToySystem):
    """All of it is computed in the warm start."""

    def __init__(self, recipe):
        super().__init__(recipe)
        self.requires_grad_(False)

    def warm_start(self, manifest, progress=None):
        self.image_head.weight.zero_()
        return {"studies": len(manifest.where(split="train"))}


def test_a_closed_form_system_is_computed_validated_and_saved(run):
    result = run(system=ClosedForm(toy_recipe()))
    assert result.stopped_by == "closed form"
    assert result.steps == 0
    assert not load_file(result.folder / "best" / "adapters.safetensors")["image_head.weight"].any()
    lines = read_log(result.folder / "log.jsonl")
    assert next(line for line in lines if line["kind"] == "warm start")["numbers"] == {"studies": 32}


def test_a_system_without_anything_to_train_is_an_error(run):
    frozen = ToySystem(toy_recipe()).requires_grad_(False)
    with pytest.raises(TrainError, match=r"Nothing in this system trains"):
        run(system=frozen)


def test_a_disk_that_is_full_when_the_best_is_saved_keeps_the_earlier_best(run, tmp_path):
    class Full(ToySystem):
        saves = 0

        def save(self, folder, card=""):
            self.saves += 1
            if self.saves > 2:  # the first validation saves best and last
                raise OSError(28, "No space left on device")
            super().save(folder, card)

    system = Full(toy_recipe(train={"select": "loss"}))
    start = {name: tensor.clone() for name, tensor in system.own_state().items()}
    with pytest.raises(CheckpointError, match=r"cannot be saved to .*No space left.*go on with --resume"):
        run(system=system)
    best = load_file(tmp_path / "run" / "best" / "adapters.safetensors")
    assert all(torch.equal(tensor, start[name]) for name, tensor in best.items())
    assert steps(run(resume=True, train={"select": "loss"}).folder) == steps(
        run("whole", train={"select": "loss"}).folder
    )


def test_bf16_trains_and_keeps_fp32_weights(run):
    system = ToySystem(toy_recipe(train={"epochs": 5, "precision": "bf16"}))
    result = run(system=system)
    assert {p.dtype for p in system.parameters()} == {torch.float32}
    assert result.details["precision"] == "bf16"
    fp32 = steps(run("fp32", train={"epochs": 5}).folder)
    assert [t for _, t in steps(result.folder)] != [t for _, t in fp32]
    assert [t for _, t in steps(result.folder)] == pytest.approx([t for _, t in fp32], rel=0.05)


def test_the_log_and_the_card_say_how_it_went(run, monkeypatch):
    monkeypatch.setattr("radalign.train.card.draw_curves", draw_curves)
    result = run(train={"epochs": 2, "clip": 1.0})
    line = next(line for line in read_log(result.folder / "log.jsonl") if line["kind"] == "step")
    assert line["total"] == pytest.approx(line["contrastive"])
    assert line["grad_norm"] > 0
    assert 0 < line["rate_share"] <= 1
    assert 0 <= line["wait_percent"] <= 100
    assert line["studies_per_s"] > 0
    record = json.loads((result.folder / "run.json").read_text())
    assert record["finished"]
    details = record["details"]
    assert details["recipe"]["train"]["epochs"] == 2
    assert set(details) >= {
        "manifest_sha256",
        "commit",
        "packages",
        "device",
        "seeds",
        "precision",
        "excluded",
    }
    assert record["wall_s"] > 0
    assert record["peak_memory_bytes"] > 10**7
    card = (result.folder / "README.md").read_text()
    for words in ("# Run: toy", "R@10, both ways", "curves.png", "Research use only", "peak memory"):
        assert words in card
    assert (result.folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert not (result.folder / "resume.safetensors").exists()


def test_validation_may_be_rare_but_the_last_epoch_always_has_one(run):
    result = run(train={"epochs": 5, "validate_every_epochs": 2, "validate_at_start": False})
    assert [round(c["epoch"]) for c in checks(result.folder)] == [2, 4, 5]


def test_a_quiet_bar_says_nothing_and_a_plain_one_a_line_per_validation(run, capsys):
    run("quiet", bar=Bar(quiet=True), train={"epochs": 1})
    assert capsys.readouterr().err == ""
    run("plain", bar=Bar(), train={"epochs": 1})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("Epoch")] == ["Epoch 0.00", "Epoch 1.00"]


def test_a_drawn_bar_shows_terms_speed_and_time_left(run):
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    run(bar=Bar(console=console), train={"epochs": 1})
    shown = console.file.getvalue()
    for words in ("epoch 1", "contrastive", "studies/s", "waiting", "left"):
        assert words in shown


def test_a_missing_tracker_is_a_sentence(run, monkeypatch):
    monkeypatch.setattr("radalign.train.device.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"install radalign\[track\]"):
        run(train={"track": "tensorboard"})


def test_a_run_may_be_selected_by_zero_shot_auc_on_given_labels(run, place):
    """(A10) ALTA's public code picks its checkpoint this way."""
    _, manifest = place
    labelled = manifest.with_studies(
        replace(study, labels={"alpha": int("alpha" in study.labels)}) for study in manifest
    )
    system = ToySystem(toy_recipe(train={"zero_shot": ["alpha"], "select": "zero_shot_auc"}))
    result = run(system=system, manifest=labelled)
    assert result.select == "zero_shot_auc"
    assert result.best == max(check["zero_shot_auc"] for check in checks(result.folder))
    with pytest.raises(ZeroShotError, match="names 'beta', which no validation studies have as both"):
        run("other", ToySystem(toy_recipe(train={"zero_shot": ["beta"]})), labelled)
    with pytest.raises(SelectionError):
        run("third", ToySystem(toy_recipe(train={"select": "zero_shot_auc"})))


def test_zero_shot_auc_is_that_of_yes_against_no():
    """Against a loop over pairs; unknown labels stay out."""
    system = ToySystem(toy_recipe(train={"zero_shot": ["alpha"]})).eval()
    z_img = F.normalize(torch.randn(12, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    labels = torch.tensor([1, 0, -1, 1, 0, 0, -2, 1, 0, 1, 0, 0], dtype=torch.int8)[:, None]
    with torch.no_grad():
        yes, no = system.encode_texts(system.tokenize(["There is alpha", "There is no alpha"])).global_
        found = zero_shot_auc(system, z_img, labels, ["alpha"])
    score = z_img @ (yes - no)
    pairs = [
        float(score[i] > score[j]) for i in range(12) for j in range(12) if labels[i] == 1 and labels[j] == 0
    ]
    assert found == pytest.approx(sum(pairs) / len(pairs))
