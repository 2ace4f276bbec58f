"""Whether a device is there, before anything runs on it."""

from __future__ import annotations

import torch


class DeviceError(ValueError):
    """A device is asked for that is not there; the message says what to choose."""


def need_device(device: str | torch.device) -> torch.device:
    """The device, tried out.

    Raises:
        DeviceError: If torch does not know it, was built without it, or the machine has none.

    >>> need_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError) as error:
        # Torch explains at length (all its device types, or all its kernels); the first line tells enough.
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DeviceError(f"The device {device} cannot be used here ({why}); choose cpu.") from error
    return found
