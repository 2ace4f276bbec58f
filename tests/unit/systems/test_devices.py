"""A device that is not there is refused, not passed over."""

from __future__ import annotations

import pytest
import torch

import radalign
from radalign.data.settings import TrainSettings
from radalign.systems.devices import DeviceError, need_device
from radalign.train.device import Processes

ABSENT = ["tpu", "xpu:7", "cuda:99"]


@pytest.mark.parametrize("device", ABSENT)
def test_a_device_that_is_not_there_is_a_sentence(device, tmp_path):
    with pytest.raises(DeviceError, match=rf"The device {device} cannot be used here \(.*\); choose cpu"):
        need_device(device)
    with pytest.raises(DeviceError, match=rf"The device {device} "):
        radalign.load(tmp_path, device)
    with pytest.raises(DeviceError, match=rf"The device {device} "):
        Processes(TrainSettings(), device, tmp_path)


def test_a_device_that_training_would_not_take_is_refused(tmp_path):
    assert Processes(TrainSettings(), "cpu", tmp_path).device == torch.device("cpu")
    with pytest.raises(DeviceError, match=r"not meta; choose --device auto or cpu"):
        Processes(TrainSettings(), "meta", tmp_path)
