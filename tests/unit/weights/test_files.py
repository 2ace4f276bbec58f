import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from radalign.weights.files import read_checkpoint, read_folder, read_json
from radalign.weights.names import CheckpointError

TENSORS = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}


def same(found):
    return list(found) == list(TENSORS) and all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: {"model": t, "epoch": 3}, lambda t: {"state_dict": t}]
)
def test_pytorch_files_are_read_and_unwrapped(tmp_path, wrap):
    torch.save(wrap(TENSORS), tmp_path / "x.pth")
    assert same(read_checkpoint(tmp_path / "x.pth"))


def test_safetensors_are_preferred_in_a_folder(tmp_path):
    torch.save({"wrong": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    save_file(TENSORS, tmp_path / "model.safetensors")
    assert same(read_folder(tmp_path))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_shards_are_joined(tmp_path, name):
    stem, suffix = name.split(".")
    files = {key: f"{stem}-{i}.{suffix}" for i, key in enumerate(TENSORS)}
    for key, file in files.items():
        part = {key: TENSORS[key]}
        save_file(part, tmp_path / file) if suffix == "safetensors" else torch.save(part, tmp_path / file)
    (tmp_path / f"{name}.index.json").write_text(json.dumps({"weight_map": files}))
    assert same(read_folder(tmp_path))


class Malice:
    def __reduce__(self):
        return os.system, ("touch ran_code",)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": TENSORS, "extra": Malice()}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="runs no code from a checkpoint; convert it to safetensors"):
        read_checkpoint(tmp_path / "x.pth")
    assert not (tmp_path / "ran_code").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_with_code_is_refused_for_that_and_not_run(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pth").write_bytes(pickle.dumps(Malice(), protocol))
    with pytest.raises(CheckpointError, match="runs no code from a checkpoint; convert it to safetensors"):
        read_checkpoint(tmp_path / "x.pth")
    assert not (tmp_path / "ran_code").exists()


@pytest.mark.parametrize(
    "content", [b"hello", b"<html>", b"\x80\x02}q", b"(lp0\n.", b"\x00" * 40, b"I1\n.", b"0.", b"t."]
)
def test_bytes_that_are_no_checkpoint_are_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a checkpoint; download|not a table"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_half_written_file_is_refused(tmp_path, name, share):
    path = tmp_path / name
    big = {"a": torch.ones(1000)}
    save_file(big, path) if name.endswith("safetensors") else torch.save(big, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CheckpointError, match="cut short or not a checkpoint; download it again"):
        read_checkpoint(path)


def test_files_without_tensors_are_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_checkpoint(tmp_path / "x.pth")
    torch.save([1, 2], tmp_path / "y.pth")
    with pytest.raises(CheckpointError, match="not a table of tensors"):
        read_checkpoint(tmp_path / "y.pth")
    with pytest.raises(CheckpointError, match="There is no file"):
        read_checkpoint(tmp_path / "z.pth")
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        read_folder(tmp_path)


@pytest.mark.parametrize("content", ["[1]", "{", "\udcff"])
def test_bad_settings_are_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"config\.json is not .*; download it again"):
        read_json(tmp_path / "config.json")
    with pytest.raises(CheckpointError, match=r"has no other\.json; give a folder in Hugging Face form"):
        read_json(tmp_path / "other.json")
