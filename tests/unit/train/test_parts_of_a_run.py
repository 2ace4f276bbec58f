"""Schedule, averages, ranks, selection, resume point, log, folder, interrupts: each against its meaning."""

from __future__ import annotations

import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from radalign.data.settings import TrainSettings
from radalign.train.average import WeightAverage
from radalign.train.checkpoint import (
    CheckpointError,
    Place,
    optimizer_tensors,
    read_resume_point,
    restore_optimizer,
    write_resume_point,
)
from radalign.train.folder import RunFolderError, open_run_folder, remove_run
from radalign.train.interrupt import polite_interrupts
from radalign.train.meter import Meter
from radalign.train.precision import choose_precision, has_fast_bf16
from radalign.train.record import RunLog, read_log, write_json
from radalign.train.schedule import rate_share
from radalign.train.selection import SelectionError, beats, is_better, known_numbers, need_known
from radalign.train.start import TrainError, grouped, make_optimizer, need_same
from radalign.train.validate import own_ranks, retrieval_numbers
from tests.training_toy import ToySystem, toy_recipe

# -- schedule ----------------------------------------


def test_the_rate_warms_up_then_follows_half_a_cosine_to_the_end():
    how = TrainSettings(epochs=10, warmup_epochs=2, final_lr_share=0.1)
    rates = [rate_share(step, 5, how) for step in range(51)]
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[30] == pytest.approx(0.55)  # half way between 10 and 50
    assert rates[50] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_time_limit_can_end_the_cosine_but_only_when_asked():
    how = {"epochs": 10, "warmup_epochs": 0, "max_minutes": 5}
    by_time = TrainSettings(**how, anneal_to="time")
    assert rate_share(1, 10, by_time, time_share=0.5) == pytest.approx(0.5)
    assert rate_share(1, 10, by_time, time_share=1.2) == 0
    assert rate_share(75, 10, by_time, time_share=0.5) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.75)))
    assert rate_share(1, 10, TrainSettings(**how), time_share=0.5) > 0.99


def test_a_horizon_beyond_the_end_leaves_a_high_rate():
    how = TrainSettings(epochs=30, warmup_epochs=10, horizon_epochs=100)
    assert rate_share(30, 1, how) == pytest.approx(0.5 * (1 + math.cos(math.pi * 20 / 90)))


# -- averages ----------------------------------------


@pytest.mark.parametrize("kind", ["uniform", "ema"])
def test_an_average_is_that_of_its_definition(kind):
    weight = nn.Parameter(torch.zeros(3))
    average = WeightAverage({"w": weight}, kind, decay=0.5)
    values = [torch.randn(3) for _ in range(6)]
    oracle = values[0]
    for count, value in enumerate(values, 1):
        weight.data.copy_(value)
        average.update()
        keep = {"uniform": 1 - 1 / count, "ema": 0.0 if count == 1 else min(0.5, count / (count + 9))}[kind]
        oracle = keep * oracle + (1 - keep) * value
    with average.applied():
        assert torch.allclose(weight.detach(), oracle, atol=1e-6)
    assert torch.equal(weight.detach(), values[-1])
    average.adopt()
    assert torch.allclose(weight.detach(), oracle, atol=1e-6)


def test_without_averaging_the_weights_stay():
    weight = nn.Parameter(torch.ones(1))
    average = WeightAverage({"w": weight}, "none")
    average.update()
    with average.applied():
        assert weight.item() == 1
    assert average.tensors() == {}


# -- validation numbers ----------------------------------------


@given(st.integers(1, 7), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_ranks_are_those_of_a_stable_sort(n, seed):
    scores = torch.from_numpy(
        np.random.default_rng(seed).integers(0, 4, (n, n)).astype(np.float32)
    )  # many ties
    oracle = [
        1 + sorted(range(n), key=lambda j, i=i: (-scores[i, j], j)).index(i) for i in range(n)
    ]  # sorted is stable: equal scores keep their place
    assert own_ranks(scores).tolist() == oracle


def test_retrieval_numbers_of_a_small_table():
    z_img = torch.eye(4)
    z_txt = torch.eye(4)[[1, 0, 2, 3]]  # the first two are swapped
    numbers = retrieval_numbers(z_img, z_txt)
    assert numbers["i2t_r1"] == numbers["t2i_r1"] == numbers["r1"] == 0.5
    assert numbers["r5"] == 1.0
    # Study 0's own report scores 0, like reports 2 and 3, which come later; only report 1 is before it.
    # Study 1's comes after report 0 alone, for the same reason.
    assert own_ranks(z_img @ z_txt.T).tolist() == [2, 2, 1, 1]
    assert numbers["mrr"] == 0.75
    right, wrong = math.exp(1 / 0.07), 1.0
    own = -math.log(right / (right + 3 * wrong))
    swapped = -math.log(wrong / (right + 3 * wrong))
    assert numbers["loss"] == pytest.approx((own + swapped) / 2, rel=1e-4)


def test_selection_knows_which_way_is_better():
    assert is_better("median_rank", 3, 5)
    assert not is_better("median_rank", 5, 5)
    assert not is_better("r10", float("nan"), None)
    need_known("i2t_r5")
    with pytest.raises(SelectionError, match=r"train.select=auc .* use one of .*r10"):
        need_known("auc")
    assert {"r1", "r5", "r10", "mrr", "loss", "gap", "effective_rank", "spread"} <= set(known_numbers())


def test_of_two_equal_validations_the_one_with_the_smaller_loss_is_kept():
    start = {"accuracy": 0.75, "loss": 4.4}
    assert beats("accuracy", {"accuracy": 0.75, "loss": 0.6}, start)
    assert not beats("accuracy", {"accuracy": 0.75, "loss": 4.4}, start)
    assert not beats("accuracy", {"accuracy": 0.75, "loss": float("nan")}, start)
    assert not beats("accuracy", {"accuracy": 0.5, "loss": 0.1}, start)
    assert beats("accuracy", {"accuracy": 0.8, "loss": 9.0}, start)
    assert beats("loss", {"accuracy": 0.1, "loss": 0.1}, start)
    assert beats("accuracy", start, {})


# -- resume point ----------------------------------------


def adam_after(steps: int):
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    names = dict(layer.named_parameters())
    adam = torch.optim.AdamW([{"params": [p]} for p in names.values()], lr=0.1)
    for step in range(steps):
        adam.zero_grad()
        (layer(torch.full((1, 3), float(step + 1))) ** 2).sum().backward()
        adam.step()
    return layer, names, adam


def test_an_optimiser_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole, _, _ = adam_after(7)
    layer, names, adam = adam_after(4)
    place = Place(step=4, epoch=1, best=0.25, fixed={"a": [1, 2]})
    tensors = {"system": layer.state_dict(), "optimizer": optimizer_tensors(adam, names), "average": {}}
    write_resume_point(tmp_path / "p", place, tensors)

    read, sections = read_resume_point(tmp_path / "p")
    assert read == place
    fresh = nn.Linear(3, 2)
    fresh.load_state_dict(sections["system"])
    names = dict(fresh.named_parameters())
    adam = torch.optim.AdamW([{"params": [p]} for p in names.values()], lr=0.1)
    restore_optimizer(adam, names, sections["optimizer"])
    for step in range(4, 7):
        adam.zero_grad()
        (fresh(torch.full((1, 3), float(step + 1))) ** 2).sum().backward()
        adam.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), fresh.parameters(), strict=True))


def test_shared_storage_is_no_obstacle(tmp_path):
    tensor = torch.arange(6.0)
    write_resume_point(
        tmp_path / "p", Place(), {"system": {"a": tensor, "b": tensor[2:4], "c": tensor.view(2, 3).T}}
    )
    _, sections = read_resume_point(tmp_path / "p")
    assert sections["system"]["b"].tolist() == [2, 3]
    assert sections["system"]["c"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_resume_point_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    path = tmp_path / "p"
    write_resume_point(path, Place(step=1), {"system": {"a": torch.ones(1)}})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left.*run again with --resume.*untouched"):
        write_resume_point(path, Place(step=2), {"system": {"a": torch.zeros(1)}})
    assert read_resume_point(path)[0].step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_a_disk_with_too_little_room_leaves_the_earlier_point(tmp_path):
    resource = pytest.importorskip("resource", reason="limits on file sizes are a POSIX thing")
    path = tmp_path / "p"
    write_resume_point(path, Place(step=1), {"system": {"a": torch.ones(10)}})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"File too large.*untouched"):
            write_resume_point(path, Place(step=2), {"system": {"a": torch.ones(100_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_resume_point(path)[0].step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize("damage", ["empty", "zeros", "half", "one bit"])
def test_a_damaged_resume_point_is_a_sentence(tmp_path, damage):
    path = tmp_path / "p"
    write_resume_point(path, Place(), {"system": {"a": torch.ones(100)}})
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes({"empty": b"", "zeros": b"\x00" * 40, "half": whole[:-50], "one bit": flipped}[damage])
    with pytest.raises(CheckpointError, match=r"is damaged .* --overwrite"):
        read_resume_point(path)
    with pytest.raises(CheckpointError, match=r"no resume point"):
        read_resume_point(tmp_path / "elsewhere")


def test_moments_of_other_parameters_are_refused():
    _, names, adam = adam_after(1)
    with pytest.raises(CheckpointError, match=r"which this system does not train"):
        restore_optimizer(adam, names, {"head.weight/exp_avg": torch.ones(1)})


# -- log, folder ----------------------------------------


def test_a_log_is_cut_where_the_resumed_run_begins(tmp_path):
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    log.write("step", step=1, total=0.1)
    keep = log.length_bytes
    log.write("step", step=2)
    log.close()
    path.write_bytes(path.read_bytes() + b'{"kind": "st')  # a kill in the middle of a line
    assert [line["step"] for line in read_log(path)] == [1, 2]
    log = RunLog(path, keep)
    log.write("step", step=3)
    log.close()
    assert [line["step"] for line in read_log(path)] == [1, 3]


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    write_json(tmp_path / "x.json", {"a": [float("nan"), 1.0], "b": {"c": float("inf")}})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None, 1.0], "b": {"c": None}}


def test_a_run_is_only_removed_when_asked_and_other_files_never(tmp_path):
    out = tmp_path / "run"
    open_run_folder(out, resume=False, overwrite=False)
    (out / "log.jsonl").write_text("")
    (out / "best").mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(
        RunFolderError, match=r"unfinished run; go on with --resume, start again with --overwrite"
    ):
        open_run_folder(out, resume=False, overwrite=False)
    open_run_folder(out, resume=True, overwrite=False)
    (out / "run.json").write_text('{"finished": true, "stopped_by": "epochs"}')
    with pytest.raises(RunFolderError, match=r"holds a finished run"):
        open_run_folder(out, resume=False, overwrite=False)
    with pytest.raises(RunFolderError, match=r"is finished; start it again with --overwrite"):
        open_run_folder(out, resume=True, overwrite=False)
    with pytest.raises(RunFolderError, match=r"not both"):
        open_run_folder(out, resume=True, overwrite=True)
    open_run_folder(out, resume=False, overwrite=True)
    assert (out / "run.json").is_file()  # only checked: the new run may turn out to be impossible
    remove_run(out)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]
    with pytest.raises(RunFolderError, match=r"files that are no run"):
        open_run_folder(out, resume=False, overwrite=True)
    with pytest.raises(RunFolderError, match=r"is a file"):
        open_run_folder(out / "notes.txt", resume=False, overwrite=False)


def test_a_run_that_ran_out_of_time_may_go_on(tmp_path):
    (tmp_path / "run.json").write_text('{"finished": true, "stopped_by": "time"}')
    open_run_folder(tmp_path, resume=True, overwrite=False)
    assert "time" in (tmp_path / "run.json").read_text()  # it was let in, and nothing was removed


# -- the rest ----------------------------------------


def test_the_first_interrupt_is_a_request_and_the_second_is_not():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts deaf to it
    try:
        with polite_interrupts() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            assert interrupt.asked
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_precision_is_chosen_by_the_hardware_unless_said(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for has in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {"amx_bf16": has}, raising=False)
        assert has_fast_bf16(cpu) is has
        assert choose_precision("auto", cpu) == ("bf16" if has else "fp32")
        assert choose_precision("bf16", cpu) == "bf16"


def test_the_meter_counts_waiting_apart_from_work(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def slow():
        for i in range(3):
            now[0] += 3.0
            yield i

    meter = Meter(total_steps=10)
    for _ in meter.waiting(slow()):
        now[0] += 1.0
        speed = meter.step(8)
    assert speed == pytest.approx({"studies_per_s": 2.0, "wait_percent": 75.0, "left_s": 28.0})


def test_a_parameter_that_no_group_holds_is_an_error():
    system = ToySystem(toy_recipe())
    system.forgotten = nn.Linear(2, 2)
    with pytest.raises(TrainError, match=r"2 trainable parameters are in no group \(forgotten"):
        make_optimizer(system, system.recipe.train)
    system.forgotten.requires_grad_(False)
    groups = make_optimizer(system, system.recipe.train).param_groups
    assert [group["base_lr"] for group in groups] == [0.02, 0.002]


def test_a_changed_setting_is_named():
    need_same({"a": {"b": [1]}}, {"a": {"b": [1]}})
    with pytest.raises(TrainError, match=r"began with a.b = 1, not 2 \(and 1 more\)"):
        need_same({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3})


@given(st.lists(st.integers(), max_size=9), st.integers(1, 4))
def test_grouping_loses_nothing(items, size):
    groups = list(grouped(items, size))
    assert [item for group in groups for item in group] == items
    assert all(len(group) == size for group in groups[:-1])
