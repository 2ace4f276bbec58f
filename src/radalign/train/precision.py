"""Which number format the forward pass uses: bf16 where the hardware multiplies it faster, else fp32."""

from __future__ import annotations

import platform
from typing import Literal

import torch

Precision = Literal["fp32", "bf16"]


def choose_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """Resolve `auto` for a device; an explicit wish is taken as it is.

    >>> choose_precision("fp32", torch.device("cpu"))
    'fp32'
    """
    if wanted != "auto":
        return wanted
    return "bf16" if has_fast_bf16(device) else "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is a gain here: a GPU that has it, or a CPU with AMX or AVX512-BF16.

    Args:
        device: Where the system runs.

    References:
        Intel 64 architecture manual, CPUID leaf 7: AMX-BF16 and AVX512_BF16.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
