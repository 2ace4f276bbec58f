"""Grains: rows of small balls that stand for what is thinner than a voxel (vessels, ribs, catheters).

    tube(path) ──┐
    ball(centre) ─┼─> Grains(xyz_mm, amount_mm2, kernel) ──> camera.project_grains
    fill(points) ─┘

A grain's amount is its extra attenuation (per millimetre) times its volume, so that many grains along a
path project to what the solid tube would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radalign.data.phantom.grid import Array

# Half extent across and up (mm), and how hollow (0 = a solid ball); the first is a point.
KERNELS = ((0.0, 0.0, 0.0), (1.7, 1.7, 0.0), (3.5, 3.5, 0.0), (3.2, 6.6, 0.8))
RIB = len(KERNELS) - 1
_ROUND_MM = np.array([across for across, _, hollow in KERNELS if not hollow], np.float32)


@dataclass(frozen=True)
class Grains:
    """Fine parts of the patient.

    Args:
        xyz_mm: Centres, float32 [N, 3].
        amount_mm2: Extra attenuation per millimetre times volume, float32 [N]; negative for air.
        kernel: Which of `KERNELS`, int8 [N].
    """

    xyz_mm: Array
    amount_mm2: Array
    kernel: npt.NDArray[np.int8]

    def weighted(self, weight: Array) -> Grains:
        """The same grains with their amounts times `weight` [N]."""
        return Grains(self.xyz_mm, self.amount_mm2 * weight, self.kernel)


def join(parts: Sequence[Grains]) -> Grains:
    """All grains of several parts; none of no parts."""
    if not parts:
        return Grains(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int8))
    return Grains(
        np.concatenate([p.xyz_mm for p in parts]),
        np.concatenate([p.amount_mm2 for p in parts]),
        np.concatenate([p.kernel for p in parts]),
    )


def kernel_of(radius_mm: Array) -> npt.NDArray[np.int8]:
    """The solid kernel whose radius is nearest, for each radius.

    >>> kernel_of(np.array([0.5, 2.2, 20.0], np.float32)).tolist()
    [0, 1, 2]
    """
    return np.asarray(np.abs(radius_mm[..., None] - _ROUND_MM).argmin(-1), np.int8)


def tube(path_mm: Array, radius_mm: Array | float, extra: float, kernel: int | None = None) -> Grains:
    """A solid tube along a path.

    Args:
        path_mm: Points close to one another along the path, float32 [N, 3], N >= 2.
        radius_mm: One radius, or one per point [N].
        extra: Attenuation above the surroundings, per millimetre.
        kernel: Index of the kernel; by default the one nearest in radius.
    """
    path_mm = np.asarray(path_mm, np.float32)
    step_mm = np.linalg.norm(np.gradient(path_mm, axis=0), axis=1).astype(np.float32)
    radius = np.broadcast_to(np.asarray(radius_mm, np.float32), step_mm.shape)
    kernels = kernel_of(radius) if kernel is None else np.full(step_mm.shape, kernel, np.int8)
    return Grains(path_mm, np.float32(np.pi * extra) * radius**2 * step_mm, kernels)


def fill(points_mm: Array, radius_mm: float, extra: float) -> Grains:
    """A ball of one radius at each point."""
    count = len(points_mm)
    volume_mm3 = 4 / 3 * np.pi * radius_mm**3
    kernel = kernel_of(np.full(count, radius_mm, np.float32))
    return Grains(np.asarray(points_mm, np.float32), np.full(count, extra * volume_mm3, np.float32), kernel)


def curve(corners_mm: Sequence[Sequence[float]], step_mm: float = 1.5) -> Array:
    """A smooth path through corners (Catmull-Rom), sampled about every `step_mm`.

    Returns:
        float32 [N, 3], the corners included.

    >>> curve([(0, 0, 0), (0, 0, 3)]).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 1.5], [0.0, 0.0, 3.0]]
    """
    corners = np.asarray(corners_mm, np.float32)
    ends = np.concatenate((2 * corners[:1] - corners[1:2], corners, 2 * corners[-1:] - corners[-2:-1]))
    parts = [_catmull_rom(ends[i : i + 4], step_mm) for i in range(len(corners) - 1)]
    return np.concatenate([*parts, corners[-1:]])


def _catmull_rom(corner: Array, step_mm: float) -> Array:
    count = max(1, round(float(np.linalg.norm(corner[2] - corner[1])) / step_mm))
    t = (np.arange(count, dtype=np.float32) / np.float32(count))[:, None]
    a, b, c, d = corner
    path = b + 0.5 * t * ((c - a) + t * ((2 * a - 5 * b + 4 * c - d) + t * (3 * b - a - 3 * c + d)))
    return np.asarray(path, np.float32)
