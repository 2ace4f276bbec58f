"""The healthy chest as voxels: how much of each is body, and how much of that is air.

Thorax ──> body [Z, Y, X] 0..1,  lungs [Z, Y, X] 0..1 (heart, aorta and hila cut out),  gas in the stomach
"""

from __future__ import annotations

import numpy as np

from radalign.data.phantom import grid
from radalign.data.phantom.grid import Array, Box
from radalign.data.phantom.thorax import Thorax

Point = tuple[float, float, float]


def body(thorax: Thorax) -> Array:
    """Share of each voxel that is inside the skin, 0..1."""
    b, a = grid.whole(), thorax.anatomy
    z = b.z
    chest = a.half_width_mm + a.wall_mm
    arms = 70 / (1 + np.exp(-(z - 88 * a.size) / 14))
    neck = 1 / (1 + np.exp(-(z - 160 * a.size) / 9))
    half_x = (chest + arms) * (1 - neck) + 58 * a.size * neck
    waist = 1 - 0.05 / (1 + np.exp((z + 60) / 20))
    shoulder = 1 / (1 + np.exp(-(z - 100 * a.size) / 16))
    half_y = (a.half_depth_mm + 0.9 * a.wall_mm) * waist * (1 - 0.4 * shoulder)
    middle_y = 4 + 0.05 * np.minimum(z, 100)
    # As `grid.coverage`, but scaled before the sum, which runs over the whole volume.
    scale = 0.2 * (chest + a.half_depth_mm) / grid.VOXEL_MM
    across = np.asarray(0.5 + scale * (1 - np.abs(b.x / half_x) ** 2.5), np.float32)
    deep = np.asarray(scale * np.abs((b.y - middle_y) / half_y) ** 2.5, np.float32)
    inside = across - deep
    return np.clip(inside, 0, 1, out=inside)


def lungs(thorax: Thorax) -> Array:
    """Share of each voxel that is lung, 0..1, both sides, with heart, great vessels and hila cut out."""
    air = np.zeros(grid.SHAPE, np.float32)
    a = thorax.anatomy
    b = grid.box((0, 0, 0), (a.half_width_mm + 6, a.half_depth_mm + 14, a.apex_mm + 26))
    air[b.at] = grid.coverage(thorax.lung_depth(b.x, b.y, b.z))
    for center, axes, turn in heart_parts(thorax):
        cut_ellipsoid(air, center, axes, turn)
    for start, end, radius in great_vessels(thorax):
        cut_capsule(air, start, end, radius)
    return air


def heart_parts(thorax: Thorax) -> list[tuple[Point, Point, float]]:
    """The heart as ellipsoids: centre, half axes (along, up, deep) and turn (radians)."""
    a = thorax.anatomy
    ratio = thorax.heart_ratio or a.heart_ratio
    grown = ratio / 0.46 - 1
    turn = 0.62 + 0.16 * a.heart_turn - 0.25 * grown
    left, right = (27 + 20 * grown) * a.size, -(12 + 8 * grown) * a.size
    # The ventricles' ellipsoid reaches furthest left and the atrium's furthest right; `s` makes the sum fit.
    reach = float(
        np.hypot(68 * np.cos(turn), 45 * np.sin(turn)) + np.hypot(36 * np.cos(0.1), 47 * np.sin(0.1))
    )
    s = (2 * a.half_width_mm * ratio - (left - right)) / reach
    x, y = thorax.shift_mm, -24 * a.size
    low = 0.5 * (thorax.domes_mm[0] + thorax.domes_mm[1]) + 12 * a.size + 10 * grown
    return [
        ((x + left, y - 8, low - 2), (68 * s, 45 * s, 50 * s), turn),
        ((x + right, y + 2, low + 6), (36 * s, 47 * s, 46 * s), 0.1),
        ((x + 4 * a.size, y + 26 * s, low + 24), (38 * s, 34 * s, 27 * s), 0.0),
        ((x + 14 * a.size, y - 8, low + 46), (29 * s, 36 * s, 30 * s), 0.5),
    ]


def great_vessels(thorax: Thorax) -> list[tuple[Point, Point, float]]:
    """Aorta, pulmonary arteries and vena cava as capsules: two ends and a radius."""
    a, x = thorax.anatomy, thorax.shift_mm
    long = 8.0 if "tortuous aorta" in a.variants else 0.0
    r, s, top = a.arch_mm, a.size, 46 * a.size + 0.6 * long
    down = 25 * s + 0.9 * long
    return [
        ((x - 14 * s - long, -18, -10), (x - 11 * s - long, -16, top - 16), r + 2),
        ((x - 11 * s - long, -16, top - 16), (x + 6, 0, top), r + 1),
        ((x + 6, 0, top), (x + down, 24 * s, top - 4), r + 1),
        ((x + down, 24 * s, top - 4), (x + down + 0.5 * long, 46 * s, top - 34), r),
        ((x + down + 0.5 * long, 46 * s, top - 34), (x + 10 * s, 50 * s, -125), r - 1),
        ((x - 24 * s, -6, 100), (x - 25 * s, -4, -15), 9.5 * s),
        ((x + 8, -14, 12), (x + 34 * s, 12, 10), 12 * s),
        ((x - 5, -4, 2), (x - 34 * s, 4, -4), 11 * s),
        ((x - 34 * s, 6, -2), (x - 48 * s, 20, -44), 6.5 * s),
        ((x + 34 * s, 14, 8), (x + 48 * s, 24, -34), 6.5 * s),
    ]


def carina_mm(thorax: Thorax) -> Point:
    """Where the windpipe divides."""
    s = thorax.anatomy.size
    return 0.8 * thorax.shift_mm + 1, 8 * s, 30 * s


def cut_airways(volume: Array, thorax: Thorax) -> None:
    """Take the air of the windpipe and the main bronchi out of a volume, in place."""
    s, (x, y, z) = thorax.anatomy.size, carina_mm(thorax)
    middle = (0.5 * x - 2, -2.0, 110.0)
    cut_capsule(volume, (0.0, -8.0, 190.0), middle, 8.5)
    cut_capsule(volume, middle, (x, y, z), 8.5)
    cut_capsule(volume, (x, y, z), (x - 36 * s, 14, -4 * s), 6.0)
    cut_capsule(volume, (x, y, z), (x + 42 * s, 16, 4 * s), 5.5)


def stomach_gas(thorax: Thorax) -> tuple[Point, Point] | None:
    """Centre and half axes of the gas under the left half of the diaphragm, None without any."""
    a = thorax.anatomy
    if not a.bubble_mm:
        return None
    r = a.bubble_mm
    return (62 * a.size, -10.0, thorax.domes_mm[1] - 14 - 0.75 * r), (1.25 * r, r, 0.7 * r)


def cut_ellipsoid(air: Array, center: Point, axes: Point, turn: float = 0.0) -> None:
    """Take an ellipsoid's share out of `air`, in place; `turn` tips its first axis down to the left."""
    reach = (max(axes[0], axes[1]) + 4, axes[2] + 4, max(axes[0], axes[1]) + 4)
    b = grid.box(center, reach)
    air[b.at] *= 1 - ellipsoid(b, center, axes, turn)


def ellipsoid(
    b: Box, center: Point, axes: Point, turn: float = 0.0, soft_mm: float = 0.0, ragged: Array | float = 0.0
) -> Array:
    """Share of each voxel of a box inside an ellipsoid.

    Args:
        b: The box.
        center: (x, y, z).
        axes: Half axes (along, up, deep), millimetres.
        turn: Angle by which the first axis tips down to the left, radians.
        soft_mm: Width of the edge beyond a voxel.
        ragged: How far the outline leaves the ellipsoid, as a share of its size, per voxel.
    """
    dx, dy, dz = b.x - center[0], b.y - center[1], b.z - center[2]
    along, up = dx * np.cos(turn) - dz * np.sin(turn), dx * np.sin(turn) + dz * np.cos(turn)
    q = (along / axes[0]) ** 2 + (up / axes[1]) ** 2 + (dy / axes[2]) ** 2
    inside = np.asarray((1 - np.sqrt(q) + ragged) * min(axes), np.float32)
    return grid.coverage(inside / np.float32(1 + soft_mm / grid.VOXEL_MM))


def cut_capsule(air: Array, start: Point, end: Point, radius_mm: float) -> None:
    """Take a capsule's share out of `air`, in place."""
    p, q = np.asarray(start, np.float32), np.asarray(end, np.float32)
    reach = np.abs(q - p) / 2 + radius_mm + 4
    b = grid.box(tuple((p + q) / 2), tuple(reach))
    air[b.at] *= 1 - capsule(b, p, q, radius_mm)


def capsule(b: Box, start: Array, end: Array, radius_mm: float) -> Array:
    """Share of each voxel of a box inside a capsule."""
    d = end - start
    dx, dy, dz = b.x - start[0], b.y - start[1], b.z - start[2]
    t = np.clip((dx * d[0] + dy * d[1] + dz * d[2]) / max(float(d @ d), 1e-6), 0, 1)
    distance = np.sqrt((dx - t * d[0]) ** 2 + (dy - t * d[1]) ** 2 + (dz - t * d[2]) ** 2)
    return grid.coverage(np.asarray(radius_mm - distance, np.float32))
