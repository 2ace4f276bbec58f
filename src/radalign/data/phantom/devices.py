"""Devices as grains: pacemaker, central line, endotracheal and enteric tube, sternal wires.

They are placed on the same landmarks as the organs, so that both views and every study of a patient agree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radalign.data.phantom import organs
from radalign.data.phantom.grains import Grains, curve, join, tube
from radalign.data.phantom.grid import Array
from radalign.data.phantom.thorax import Thorax
from radalign.data.phantom.truth import Placed

METAL_PER_MM, PLASTIC_PER_MM = 0.22, 0.10
"""How much more metal, and barium-striped plastic, attenuate than soft tissue, per millimetre."""


def device(thorax: Thorax, p: Placed) -> Grains:
    """One device; nothing for a name that is not a device or for one that was removed."""
    make = MAKERS.get(p.name)
    return make(thorax, p) if make is not None and p.is_present else join([])


def pacemaker(thorax: Thorax, p: Placed) -> Grains:
    """A generator below the collar bone and two leads through the vena cava into the heart."""
    a, side = thorax.anatomy, p.sides[0]
    s, heart = a.size, organs.heart_parts(thorax)
    front = -0.78 * a.half_depth_mm
    box = np.array([side * 86 * s, front - 10, 66 * s])
    vein = [(side * 78 * s, front - 4, 84 * s), (side * 46 * s, front + 30, 92 * s), (-16 * s, -10, 78 * s)]
    cava = (-24 * s + thorax.shift_mm, -6, 10 * s)
    right = heart[1][0]
    atrial = curve([*vein, cava, (right[0] - 10, right[1], right[2] - 4), (right[0] - 2, -30, right[2] + 16)])
    tip = (heart[0][0][0] + 22 * s, heart[0][0][1] - 14, heart[0][0][2] - 26 * s)
    chamber = curve([*vein, cava, (right[0] - 4, right[1], right[2] - 26 * s), tip])
    leads = [tube(path, 1.1, METAL_PER_MM) for path in (atrial, chamber)]
    tips = [tube(path[-8:], 1.9, METAL_PER_MM) for path in (atrial, chamber)]
    return join([_generator(box), *leads, *tips])


def _generator(center: Array) -> Grains:
    across, up = np.meshgrid(np.arange(-22.5, 23, 1.5), np.arange(-19.5, 20, 1.5))
    inside = np.abs(across / 23) ** 3 + np.abs(up / 20) ** 3 <= 1
    flat = np.stack([across[inside], up[inside]], 1)
    layers = [np.column_stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]]) for y in (-2, 2)]
    points = (np.concatenate(layers) + center).astype(np.float32)
    header = np.abs(points[:, 2] - center[2] - 16) < 4
    amount = np.where(header, 0.35, 1.0) * (1.5 * 1.5 * 3.8 * METAL_PER_MM)
    return Grains(points, amount.astype(np.float32), np.ones(len(points), np.int8))


def central_line(thorax: Thorax, p: Placed) -> Grains:
    """A catheter from neck, collar bone or arm to the lower vena cava."""
    a, side = thorax.anatomy, p.sides[0]
    s, x = a.size, thorax.shift_mm
    end = [(-23 * s + x, -8, 66 * s), (-25 * s + x, -6, 34 * s), (-25 * s + x, -5, (14 - p.size_mm) * s)]
    crossing = [] if side < 0 else [(14 * s, -12, 84 * s)]
    start: dict[str, list[organs.Point]] = {
        "internal jugular": [(side * 40 * s, -8, 185), (side * 32 * s, -10, 130), (side * 26 * s, -12, 96)],
        "subclavian": [(side * 112 * s, -48, 80 * s), (side * 80 * s, -34, 98 * s),
                       (side * 36 * s, -18, 94 * s)],
        "arm": [(side * 186, 5, 60), (side * 140 * s, -4, 92 * s), (side * 84 * s, -22, 100 * s),
                (side * 36 * s, -16, 94 * s)],
    }  # fmt: skip
    return tube(curve([*start[p.location], *crossing, *end]), 1.15, PLASTIC_PER_MM)


def endotracheal_tube(thorax: Thorax, p: Placed) -> Grains:
    """A tube in the windpipe whose tip is `size_mm` above the carina, with an opaque stripe."""
    x, y, z = organs.carina_mm(thorax)
    tip = z + p.size_mm
    share = (tip - z) / (110 - z)
    end = (x + share * (-0.5 * x - 2), y + share * (-2 - y), tip)
    path = curve([(0, -14, 190), (0.5 * x - 2, -3, 130), end])
    stripe = path + np.array([3, 0, 0], np.float32)
    walls = [tube(path + np.array([dx, 0, 0], np.float32), 1.0, 0.05) for dx in (-4, 4)]
    return join([tube(stripe, 1.1, 0.26), *walls])


def enteric_tube(thorax: Thorax, p: Placed) -> Grains:
    """A tube down the gullet into the stomach."""
    s, dome = thorax.anatomy.size, thorax.domes_mm[1]
    path = curve([
        (2, 8, 190), (4, 14, 110), (3 + thorax.shift_mm, 26, 20), (10 * s, 24, dome + 10),
        (30 * s, 6, dome - 30), (52 * s, -12, dome - 60),
    ])  # fmt: skip
    return tube(path, 1.5, PLASTIC_PER_MM)


def sternal_wires(thorax: Thorax) -> Grains:
    """Six loops of wire that closed the breast bone after surgery."""
    a = thorax.anatomy
    turn = np.linspace(0, 2 * np.pi, 26, dtype=np.float32)
    loops = []
    for z in np.linspace(66, -42, 6) * a.size:
        taper = max(float(thorax.taper(np.float32(z))), 0.4)
        front = float(thorax.axis_y(np.float32(z))) - (a.half_depth_mm + 7) * taper**0.75
        loop = [9 * np.cos(turn), front + 6 * np.sin(turn), z + 3.5 * np.sin(turn)]
        loops.append(tube(np.stack(loop, 1).astype(np.float32), 0.55, 2 * METAL_PER_MM))
    return join(loops)


MAKERS: dict[str, Callable[[Thorax, Placed], Grains]] = {
    "Pacemaker": pacemaker,
    "Central line": central_line,
    "Endotracheal tube": endotracheal_tube,
    "Enteric tube": enteric_tube,
}
