"""Files of tensors that know their own sum."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from radalign.weights.sums import DamagedFileError, load_summed, save_summed

TENSORS = {
    "a": torch.arange(6.0).view(2, 3),
    "b": torch.tensor(True),
    "c": torch.ones(3, dtype=torch.bfloat16),
    "none": torch.zeros(0, 4),
    "scalar": torch.tensor(2.5),
}


def test_tensors_and_what_is_said_come_back(tmp_path):
    save_summed(TENSORS, tmp_path / "x.safetensors", {"place": "{}"})
    found, said = load_summed(tmp_path / "x.safetensors")
    assert said == {"place": "{}"}
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("place", ["first", "last"])
def test_one_flipped_bit_is_an_error(tmp_path, place):
    path = tmp_path / "x.safetensors"
    save_summed(TENSORS, path, {"place": "{}"})
    whole = path.read_bytes()
    at = len(whole) - 1 if place == "last" else 8 + int.from_bytes(whole[:8], "little")
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(DamagedFileError, match="SHA-256 differs"):
        load_summed(path)


def test_what_is_said_belongs_to_the_sum(tmp_path):
    path = tmp_path / "x.safetensors"
    save_summed(TENSORS, path, {"place": "step 1"})
    path.write_bytes(path.read_bytes().replace(b"step 1", b"step 7"))
    with pytest.raises(DamagedFileError, match="SHA-256 differs"):
        load_summed(path)


def test_a_file_of_an_earlier_version_has_no_sum_and_is_taken(tmp_path):
    save_file(TENSORS, tmp_path / "x.safetensors", metadata={"place": "{}"})
    assert load_summed(tmp_path / "x.safetensors")[1] == {"place": "{}"}


def test_half_a_file_is_damaged(tmp_path):
    path = tmp_path / "x.safetensors"
    save_summed(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DamagedFileError):
        load_summed(path)
