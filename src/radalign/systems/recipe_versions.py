"""Recipes of earlier versions: what a setting meant then, and how a saved recipe is read now.

1  `data.size_px` was the size of the reconstruction targets where pixels were rebuilt (MRM: always).
2  `data.size_px` is the encoder's size; training reads images `model.target_scale` times as large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERSION = 2
_REBUILD = ("alta", "clinvla", "mrm")


def old_scale(table: Mapping[str, Any]) -> int:
    """How many times the encoder's size `data.size_px` is in a recipe: more than 1 in version 1 alone.

    >>> old_scale({"system": "alta", "objectives": {"image_reconstruction": 1.0}})
    2
    >>> old_scale({"system": "alta", "objectives": {"image_reconstruction": 0.0}})
    1
    """
    if table.get("version", 1) != 1 or table.get("system") not in _REBUILD:
        return 1
    rebuilds = table.get("system") == "mrm" or table.get("objectives", {}).get("image_reconstruction")
    return int(table.get("model", {}).get("target_scale", 2)) if rebuilds else 1


def upgraded(table: Mapping[str, Any]) -> dict[str, Any]:
    """A saved recipe of any version in the words of this one; its encoder sees the same size.

    >>> old = {"system": "mrm", "data": {"size_px": 448, "slots": ["current_frontal"]}}
    >>> upgraded(old)["data"]
    {'size_px': 224, 'slots': ['current_frontal']}
    """
    scale = old_scale(table)
    data = dict(table.get("data", {}))
    if scale > 1 and "size_px" in data:
        data["size_px"] //= scale
    return {**table, "data": data, "version": max(VERSION, int(table.get("version", 1)))}


def ambiguity(table: Mapping[str, Any]) -> str:
    """Why a recipe cannot be read as it is, or nothing.

    >>> ambiguity({"system": "alta", "version": 2})
    ''
    """
    if int(table.get("version", 1)) > VERSION:
        return "it was written by a later version of radalign; install that one."
    scale = old_scale(table)
    if scale == 1 or "size_px" not in table.get("data", {}):
        return ""
    return (
        f"it says no version. data.size_px has become the encoder's size (images to rebuild are read "
        f"{scale} times as large): write `version = {VERSION}`, and data.size_px divided by {scale} if the "
        "recipe is older."
    )
