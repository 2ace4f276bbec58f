"""The cone beam: from the one volume and its fine parts to a frontal or lateral image of line integrals.

    volume [Z, Y, X] ── summed in a few slabs along the beam, each magnified by its distance ──┐
    grains (fine parts) ── each placed by its own magnification, then blurred to its size ─────┴─> [H, W]

What is thinner than a voxel (vessels, ribs, catheters) is a row of small balls, the grains: their path
length is added exactly where the cone beam puts them, in both views from the same place in the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from radalign.data.phantom import grid
from radalign.data.phantom.grains import KERNELS, Grains
from radalign.data.phantom.grid import VOXEL_MM, Array
from radalign.data.phantom.smooth import spread_both

SLABS = 4
_PAD_MM = 8.0


@dataclass(frozen=True)
class Camera:
    """Where the source and the detector stand.

    Args:
        position: `PA`, `AP` or `LL`.
        source_mm: From source to detector.
        detector_mm: From the patient's middle to the detector.
        fov_mm: Side of the square detector.
        size_px: Side of the image.
        shift_mm: How far the patient stands off centre (image right, image up), at the patient.
        twist: How far the patient is turned about the long axis, as a sideways shift per depth (sine).

    >>> round(Camera("PA", 1800, 150, 360, 256).magnification(0.0), 3)
    1.091
    """

    position: str
    source_mm: float
    detector_mm: float
    fov_mm: float
    size_px: int
    shift_mm: tuple[float, float] = (0.0, 0.0)
    twist: float = 0.0

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel at the detector, millimetres."""
        return self.fov_mm / self.size_px

    @property
    def _detector_side(self) -> int:
        return -1 if self.position == "PA" else 1

    def magnification(self, depth_mm: float) -> float:
        """How much larger a thing at this depth looks (depth = y for a frontal view, x for a lateral)."""
        return float(self._zoom(np.array([depth_mm], np.float32))[0])

    def _zoom(self, depth_mm: Array) -> Array:
        gap_mm = self.detector_mm - self._detector_side * depth_mm
        return np.asarray(self.source_mm / (self.source_mm - gap_mm), np.float32)

    def pixels(self, xyz_mm: Array) -> tuple[Array, Array, Array]:
        """Where points of the patient fall: columns, rows (pixels) and their magnification, each [N]."""
        across, depth = (1, 0) if self.position == "LL" else (0, 1)
        zoom = self._zoom(xyz_mm[:, depth])
        scale, middle = zoom / np.float32(self.pixel_mm), np.float32((self.size_px - 1) / 2)
        columns = middle + scale * (xyz_mm[:, across] + self.twist * xyz_mm[:, depth] + self.shift_mm[0])
        rows = middle - scale * (xyz_mm[:, 2] + self.shift_mm[1])
        return np.asarray(columns, np.float32), np.asarray(rows, np.float32), zoom


def project(volume: Array, grains: Grains, camera: Camera) -> Array:
    """Line integrals of attenuation through the volume and the grains.

    Args:
        volume: Attenuation per millimetre, float32 [Z, Y, X].
        grains: Fine parts, added to the volume.
        camera: Geometry.

    Returns:
        float32 [H, W] without unit; the transmitted share of the beam is exp(-value).

    References:
        Beer-Lambert law.
    """
    return project_volume(volume, camera) + project_grains(grains, camera)


def project_volume(volume: Array, camera: Camera) -> Array:
    """The volume's part of `project`."""
    z, y, x = volume.shape
    if camera.position == "LL":
        into = np.repeat(np.eye(SLABS, dtype=np.float32), x // SLABS, axis=0)  # [X, SLABS]
        slabs = (volume.reshape(z * y, x) @ into).reshape(z, y, SLABS).transpose(2, 0, 1)  # [SLABS, Z, Y]
        across_mm, depths = grid.Y_MM, grid.X_MM.reshape(SLABS, x // SLABS).mean(1)
    else:
        slabs = volume.reshape(z, SLABS, y // SLABS, x).sum(2).swapaxes(0, 1)  # [SLABS, Z, X]
        across_mm, depths = grid.X_MM, grid.Y_MM.reshape(SLABS, y // SLABS).mean(1)
    image = np.zeros((camera.size_px, camera.size_px), np.float32)
    for slab, depth in zip(slabs, depths, strict=True):
        rows, columns = _samplers(camera, float(depth), len(across_mm))
        image += rows @ slab @ columns.T
    return image * np.float32(VOXEL_MM)


def _samplers(camera: Camera, depth_mm: float, across: int) -> tuple[Array, Array]:
    zoom = camera.magnification(depth_mm)
    offsets = np.arange(camera.size_px, dtype=np.float32) - np.float32((camera.size_px - 1) / 2)
    at_mm = offsets * np.float32(camera.pixel_mm / zoom)
    columns = _cubic(at_mm - camera.shift_mm[0] - camera.twist * depth_mm, across)
    return _cubic(at_mm + camera.shift_mm[1], grid.SHAPE[0]), columns


def _cubic(at_mm: Array, count: int) -> Array:
    """Weights [len(at_mm), count] that sample a centred row of voxels (Keys' cubic, edges repeated)."""
    at = np.clip(at_mm / np.float32(VOXEL_MM) + np.float32((count - 1) / 2), 0, count - 1.001)
    first = at.astype(np.intp)
    weights = np.zeros((len(at), count + 2), np.float32)
    for step, weight in enumerate(_keys((at - first).astype(np.float32))):
        weights[np.arange(len(at)), first + step] = weight
    weights[:, 1] += weights[:, 0]
    weights[:, -2] += weights[:, -1]
    return weights[:, 1:-1]


def _keys(t: Array) -> tuple[Array, Array, Array, Array]:
    """Keys (1981), equation 8 with a = -1/2, for a position `t` between the second and third sample."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


def project_grains(grains: Grains, camera: Camera) -> Array:
    """The grains' part of `project`: placed between pixels bilinearly, then blurred to each kernel's ball."""
    pad = int(np.ceil(_PAD_MM / camera.pixel_mm))
    side = camera.size_px + 2 * pad
    column, row, zoom = camera.pixels(grains.xyz_mm)
    column, row = column + pad, row + pad
    seen = (column >= 0) & (column < side - 1) & (row >= 0) & (row < side - 1) & (grains.amount_mm2 != 0)
    amount = grains.amount_mm2[seen] * (zoom[seen] / np.float32(camera.pixel_mm)) ** 2
    planes = _bilinear(column[seen], row[seen], amount, grains.kernel[seen], side)
    image = planes[0]
    for plane, (across, up) in zip(planes[1:], _kernels(camera.pixel_mm), strict=True):
        image += spread_both(plane, up, across)
    return np.asarray(image[pad:-pad, pad:-pad], np.float32)


def _bilinear(column: Array, row: Array, amount: Array, kernel: npt.NDArray[np.int8], side: int) -> Array:
    left, top = column.astype(np.intp), row.astype(np.intp)
    right, below = column - left, row - top
    first = (kernel.astype(np.intp) * side + top) * side + left
    index = np.concatenate((first, first + 1, first + side, first + side + 1))
    shares = ((1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below)
    weights = np.concatenate([share * amount for share in shares])
    count = len(KERNELS)
    planes = np.bincount(index, weights, minlength=count * side * side)
    return planes.astype(np.float32).reshape(count, side, side)  # [kernels, H, W]


@lru_cache(maxsize=16)
def _kernels(pixel_mm: float) -> list[tuple[Array, Array]]:
    """Profiles (across, up) of all kernels but the point, from the middle outwards, each with sum 1."""
    return [
        (_profile(across, 0.0, pixel_mm), _profile(up, hollow, pixel_mm))
        for across, up, hollow in KERNELS[1:]
    ]


def _profile(radius_mm: float, hollow: float, pixel_mm: float) -> Array:
    """How much of a ball (or, when hollow, of a rib) lies at each distance from its middle."""
    radius_mm = max(radius_mm, 1.001 * pixel_mm)
    q = (np.arange(int(np.ceil(radius_mm / pixel_mm))) * pixel_mm / radius_mm) ** 2
    half = np.clip(1 - q, 0, None) - hollow * np.clip(0.5 - q, 0, None)
    return np.asarray(half / (2 * half.sum() - half[0]), np.float32)
