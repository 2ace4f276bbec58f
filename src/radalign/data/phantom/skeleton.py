"""Bones as grains: spine, ribs, clavicles, shoulder blades and breast bone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from radalign.data.phantom.anatomy import Anatomy
from radalign.data.phantom.grains import RIB, Grains, curve, join, tube
from radalign.data.phantom.grid import Array
from radalign.data.phantom.thorax import Thorax

EXTRA_PER_MM = 0.021
"""How much more bone attenuates than soft tissue, per millimetre."""
_VERTEBRA_MM = 23.5


@lru_cache(maxsize=8)
def skeleton(anatomy: Anatomy) -> Grains:
    """All bones of one patient; neither breath nor disease moves them."""
    thorax = Thorax(anatomy)
    parts = [spine(thorax), ribs(thorax), sternum(thorax)]
    parts += [part for side in (-1, 1) for part in (clavicle(thorax, side), *shoulder(thorax, side))]
    return join(parts)


def spine(thorax: Thorax) -> Grains:
    """Vertebral bodies with denser endplates, arches and spinous processes."""
    a = thorax.anatomy
    unit, amount = _vertebra()
    heights = (np.arange(-8, 9) * np.float32(_VERTEBRA_MM * a.size)).astype(np.float32)
    points = np.repeat(unit[None] * np.float32(a.size), len(heights), 0)  # [vertebrae, points, 3]
    points = points + np.stack([thorax.spine_x(heights), thorax.spine_y(heights), heights], 1)[:, None]
    amounts = np.repeat(amount[None] * np.float32(EXTRA_PER_MM * a.bone), len(heights), 0)
    flat = points.reshape(-1, 3).astype(np.float32)  # [vertebrae * points, 3]
    return Grains(flat, amounts.reshape(-1), np.full(len(flat), 2, np.int8))


@lru_cache(maxsize=1)
def _vertebra() -> tuple[Array, Array]:
    """Points of one vertebra about its middle, and the bone volume (mm3) of each."""
    step = 4.0
    across, deep = np.meshgrid(np.arange(-4, 5) * step, np.arange(-3, 4) * step)
    disc = np.stack([across.ravel(), deep.ravel()], 1)
    disc = disc[(disc[:, 0] / 15) ** 2 + (disc[:, 1] / 13) ** 2 <= 1]
    layers = ((-8.0, 0.36), (-4.0, 0.13), (0.0, 0.11), (4.0, 0.13), (8.0, 0.36))
    body = [np.column_stack([disc, np.full(len(disc), z)]) for z, _ in layers]
    weight = [np.full(len(disc), dense * step * step * 4) for _, dense in layers]
    pedicles = np.array([(s * 13, 17 + k, 3 + dz) for s in (-1, 1) for k in (0, 4) for dz in (-3, 0, 3)])
    process = np.array([(0, 24 + 2 * k, -3 - 2 * k) for k in range(6)])
    points = np.concatenate([*body, pedicles, process])
    weights = np.concatenate([*weight, np.full(len(pedicles), 30.0), np.full(len(process), 18.0)])
    return points.astype(np.float32), weights.astype(np.float32)


def ribs(thorax: Thorax) -> Grains:
    """Ten pairs of ribs along the inner wall, falling from back to front."""
    path = np.concatenate([rib_paths(thorax, side) for side in (-1, 1)])  # [2 * ribs, steps, 3]
    step = np.linalg.norm(np.gradient(path, axis=1), axis=2)
    front = np.clip(np.linspace(-0.9, 1.1, path.shape[1]), 0, 1)
    amount = step * (1 - 0.35 * front) * np.float32(44 * EXTRA_PER_MM * thorax.anatomy.bone)
    count = amount.size
    flat = path.reshape(-1, 3)  # [2 * ribs * steps, 3]
    return Grains(flat, amount.reshape(-1).astype(np.float32), np.full(count, RIB, np.int8))


def rib_paths(thorax: Thorax, side: int) -> Array:
    """One side's ribs from spine to cartilage, [10, steps, 3]."""
    a = thorax.anatomy
    number = np.arange(10, dtype=np.float32)[:, None]
    end = np.pi * np.where(number > 1, 0.8, 0.7)
    angle = (0.24 + (end - 0.24) * np.linspace(0, 1, 140)).astype(np.float32)
    fall = a.rib_slope_mm * (1 - np.cos(angle)) + 14 * np.sin(angle / 2) ** 4
    z = (107 - 21.5 * number) * a.size - fall * (0.62 + 0.05 * number) + 5 * np.sin(2 * angle)
    z = z.astype(np.float32)
    taper = np.maximum(thorax.taper(z), 0.42)
    x = side * (a.half_width_mm + 2) * taper * np.sin(angle) ** 0.87
    y = thorax.axis_y(z) + (a.half_depth_mm + 3) * taper**0.75 * np.cos(angle)
    return np.stack([x, y, z], 2).astype(np.float32)


def clavicle(thorax: Thorax, side: int) -> Grains:
    """One collar bone, S-shaped, from the breast bone to the shoulder."""
    a = thorax.anatomy
    s, front = a.size, -0.62 * a.half_depth_mm
    path = curve([
        (side * 17 * s, front - 4, 84 * s), (side * 50 * s, front - 8, 92 * s),
        (side * 95 * s, front + 16, 108 * s), (side * 150 * s, front + 50, 124 * s),
    ])  # fmt: skip
    return tube(path, 5.5, 0.7 * EXTRA_PER_MM * a.bone, RIB)


def shoulder(thorax: Thorax, side: int) -> list[Grains]:
    """The edges of one shoulder blade."""
    a = thorax.anatomy
    s, out = a.size, a.half_width_mm + 2
    inner = curve(
        [(side * 0.80 * out, 62, 105 * s), (side * 0.93 * out, 74, 55 * s), (side * 1.0 * out, 70, 8 * s)]
    )
    outer = curve(
        [(side * 1.0 * out, 70, 8 * s), (side * 1.06 * out, 56, 50 * s), (side * 1.16 * out, 36, 92 * s)]
    )
    thin = 0.5 * EXTRA_PER_MM * a.bone
    return [tube(inner, 3.5, thin), tube(outer, 4.5, thin)]


def sternum(thorax: Thorax) -> Grains:
    """The breast bone, seen on the lateral view; it leans forwards as it goes down."""
    a = thorax.anatomy
    z = np.linspace(78 * a.size, -52 * a.size, 60, dtype=np.float32)
    taper = np.maximum(thorax.taper(z), 0.4)
    y = thorax.axis_y(z) - (a.half_depth_mm + 7) * taper**0.75
    rows = [np.stack([np.full_like(z, x), y, z], 1) for x in (-12, -4, 4, 12)]
    return join([tube(row, 4.5, 0.2 * EXTRA_PER_MM * a.bone) for row in rows])


def arms(thorax: Thorax) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """The heads of the upper arms as ellipsoids, which are large enough for voxels: centres and half axes."""
    a = thorax.anatomy
    out = 1.27 * (a.half_width_mm + 2)
    return [((side * out, 8.0, 98 * a.size), (22.0, 25.0, 22.0)) for side in (-1, 1)]
