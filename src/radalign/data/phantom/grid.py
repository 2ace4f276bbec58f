"""Where the phantom's voxels are, in millimetres of the patient.

    x towards the patient's left, y towards the back, z towards the head (DICOM's patient axes).
    A volume is float32 [Z, Y, X]; row 0 is the top, so z falls along the first axis.

The origin is in the middle of the chest, near the carina.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
VOXEL_MM = 3.75
SHAPE = (96, 72, 96)

Z_MM: Array = ((SHAPE[0] - 1) / 2 - np.arange(SHAPE[0], dtype=np.float32)) * np.float32(VOXEL_MM)
Y_MM: Array = (np.arange(SHAPE[1], dtype=np.float32) - np.float32((SHAPE[1] - 1) / 2)) * np.float32(VOXEL_MM)
X_MM: Array = (np.arange(SHAPE[2], dtype=np.float32) - np.float32((SHAPE[2] - 1) / 2)) * np.float32(VOXEL_MM)


@dataclass(frozen=True)
class Box:
    """A block of the grid with broadcastable coordinates.

    Args:
        at: Slices into a volume, (z, y, x).
        x: float32 [1, 1, nx], millimetres.
        y: float32 [1, ny, 1], millimetres.
        z: float32 [nz, 1, 1], millimetres.
    """

    at: tuple[slice, slice, slice]
    x: Array
    y: Array
    z: Array


def box(center_mm: tuple[float, float, float], reach_mm: tuple[float, float, float]) -> Box:
    """The block of the grid within `reach_mm` of a centre, cut at the grid's faces (never empty).

    Args:
        center_mm: (x, y, z).
        reach_mm: Half of the block's extent, (x, y, z).

    >>> box((0, 0, 0), (4, 4, 4)).x.tolist()
    [[[-1.875, 1.875]]]
    """
    (cx, cy, cz), (rx, ry, rz) = center_mm, reach_mm
    in_x, in_y, in_z = _span(X_MM, cx, rx), _span(Y_MM, cy, ry), _span(-Z_MM, -cz, rz)
    return Box(
        (in_z, in_y, in_x), X_MM[in_x][None, None, :], Y_MM[in_y][None, :, None], Z_MM[in_z][:, None, None]
    )


def whole() -> Box:
    """Every voxel."""
    everything = (slice(None), slice(None), slice(None))
    return Box(everything, X_MM[None, None, :], Y_MM[None, :, None], Z_MM[:, None, None])


def _span(rising: Array, center: float, reach: float) -> slice:
    low = min(int(np.searchsorted(rising, center - reach)), len(rising) - 1)
    return slice(low, max(int(np.searchsorted(rising, center + reach)), low + 1))


def coverage(inside_mm: Array) -> Array:
    """How much of a voxel lies inside a surface, 0..1, from the depth of its centre below the surface.

    Args:
        inside_mm: Signed depth, positive inside, millimetres, any shape; it is overwritten.

    >>> coverage(np.array([-3.75, 0.0, 3.75], np.float32)).tolist()
    [0.0, 0.5, 1.0]
    """
    inside_mm *= np.float32(1 / VOXEL_MM)
    inside_mm += np.float32(0.5)
    return np.clip(inside_mm, 0, 1, out=inside_mm)


def at_points(volume: Array, xyz_mm: Array) -> Array:
    """The nearest voxel's value at each point; beyond the grid that of its face.

    Args:
        volume: float32 [Z, Y, X].
        xyz_mm: float32 [N, 3].

    Returns:
        float32 [N].
    """
    last = np.array(SHAPE[::-1], np.float32) - 1
    index = xyz_mm * np.array([1 / VOXEL_MM, 1 / VOXEL_MM, -1 / VOXEL_MM], np.float32) + (last / 2 + 0.5)
    i, j, k = np.clip(index, 0, last).astype(np.intp).T
    return np.asarray(volume[k, j, i], np.float32)
