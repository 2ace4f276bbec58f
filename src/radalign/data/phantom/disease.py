"""Diseases as changes of the chest: what moves organs, what fills the lungs, what stands in them.

Placed ──> moved(thorax)                        heart size, shift, diaphragm
       ──> effusion, pneumothorax, ... (Lungs)  change the air and the lung tissue in place
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from radalign.data.phantom import grid, organs
from radalign.data.phantom.grains import Grains, tube
from radalign.data.phantom.grid import Array, Box
from radalign.data.phantom.speckle import speckle
from radalign.data.phantom.thorax import Thorax
from radalign.data.phantom.truth import LOBES, Placed


@dataclass
class Lungs:
    """The lungs of one chest while diseases change them.

    Args:
        thorax: The chest.
        space: Share of each voxel inside a pleural cavity, 0..1; nothing changes it.
        air: Share of each voxel that is air in the lungs, 0..1.
        tissue: Share of each voxel in which vessels show, 0..1.
        grains: Fine parts that disease adds; where `hidden` is true they show only in tissue.
        extra_per_mm: How much more soft tissue attenuates than lung.
        congestion: 0 (none) to 1, widens the vessels.
    """

    thorax: Thorax
    space: Array
    air: Array
    tissue: Array
    extra_per_mm: float
    congestion: float = 0.0
    grains: list[Grains] = field(default_factory=list)

    def fill(self, at: tuple[slice, slice, slice], share: Array, keep_tissue: float = 0.0) -> None:
        """Replace a share of the air by fluid or cells; vessels there fade to `keep_tissue`."""
        self.air[at] *= 1 - share
        self.tissue[at] *= 1 - (1 - keep_tissue) * share

    def add(self, grains: Grains) -> None:
        """Add fine parts, cut to where there is lung."""
        self.grains.append(grains.weighted(grid.at_points(self.tissue, grains.xyz_mm)))


def moved(thorax: Thorax, placed: tuple[Placed, ...]) -> Thorax:
    """The chest with heart, mediastinum and diaphragm where the diseases put them."""
    ratio, shift, raised = thorax.heart_ratio, thorax.shift_mm, list(thorax.raised_mm)
    for p in (p for p in placed if p.is_present):
        if p.name == "Cardiomegaly":
            ratio = 0.525 + 0.15 * p.extent
        over = max(0.0, p.extent - 0.6) / 0.4
        for side in p.sides if len(p.sides) == 1 else ():
            half = int(side > 0)
            if p.name == "Effusion":
                shift -= side * 12 * over
            elif p.name == "Pneumothorax":
                shift, raised[half] = shift - side * 14 * over, raised[half] - 12 * over
            elif p.name == "Atelectasis":
                shift, raised[half] = shift + side * 9 * over, raised[half] + 22 * max(0.0, p.extent - 0.2)
    return replace(thorax, heart_ratio=ratio, shift_mm=shift, raised_mm=(raised[0], raised[1]))


def place(lungs: Lungs, p: Placed) -> None:
    """Put one disease into the lungs."""
    put = PLACERS.get(p.name)
    if put is not None and p.is_present:
        for side in p.sides:
            put(lungs, p, side)


def half_box(thorax: Thorax, side: int) -> Box:
    """The block of the grid around one lung."""
    a = thorax.anatomy
    middle = side * 0.5 * (a.half_width_mm + 8)
    return grid.box((middle, 0, 0), (0.5 * a.half_width_mm + 8, a.half_depth_mm + 14, a.apex_mm + 26))


def effusion(lungs: Lungs, p: Placed, side: int) -> None:
    """Fluid that lies on the diaphragm and rises at the wall (the meniscus)."""
    thorax, b = lungs.thorax, half_box(lungs.thorax, side)
    dome = thorax.domes_mm[side > 0] - thorax.raised_mm[side > 0]
    level = dome + np.interp(p.extent, (0, 0.33, 0.67, 1), (-36, -16, 26, 95))
    cage = np.clip(thorax.cage(b.x, b.y, b.z), 0, 1.1)
    surface = np.asarray(level + 38 * cage**4 - b.z, np.float32)
    lungs.fill(b.at, grid.coverage(surface))


def pneumothorax(lungs: Lungs, p: Placed, side: int) -> None:
    """Air between lung and ribs, widest at the top, with the thin line of the lung's edge."""
    thorax, b = lungs.thorax, half_box(lungs.thorax, side)
    high = 1 / (1 + np.exp(-(b.z - 10) / 30))
    gap = p.size_mm * (0.25 + 0.75 * high)
    beyond = np.asarray(gap - thorax.wall_depth(b.x, b.y, b.z), np.float32)
    line = np.clip(1 - np.abs(beyond - 1) / grid.VOXEL_MM, 0, 1)
    outside = grid.coverage(beyond)
    space, density = lungs.space[b.at], 1 - thorax.anatomy.lung
    empty = outside * space / density
    lungs.air[b.at] = np.maximum(lungs.air[b.at] * (1 - 0.12 * p.extent), empty) - 0.3 * line * space
    lungs.tissue[b.at] *= 1 - outside


def consolidation(lungs: Lungs, p: Placed, side: int) -> None:
    """A lobe's air spaces filled: dense in the middle, ragged at the edge."""
    rng = np.random.default_rng(p.texture)
    center = position(lungs.thorax, side, p.location, rng)
    r = 24 + 26 * p.extent
    axes = (r * rng.uniform(0.9, 1.2), r * rng.uniform(0.75, 1.0), r * rng.uniform(0.9, 1.2))
    b = grid.box(center, (1.7 * max(axes),) * 3)
    ragged = 0.3 * speckle(p.texture, coarse=True)[b.at]
    core = organs.ellipsoid(b, center, axes, rng.uniform(-0.5, 0.5), soft_mm=12, ragged=ragged)
    lungs.fill(b.at, np.float32(0.7 + 0.25 * p.extent) * core, keep_tissue=0.4)


def atelectasis(lungs: Lungs, p: Placed, side: int) -> None:
    """Plates of airless lung above the diaphragm; when large, a dense and shrunken base."""
    rng = np.random.default_rng([p.texture, side + 1])
    thorax = lungs.thorax
    a, dome = thorax.anatomy, thorax.domes_mm[side > 0]
    for n in range(2 + int(2 * p.extent)):
        center = (side * rng.uniform(0.52, 0.66) * a.half_width_mm, rng.uniform(-25, 30), dome + 10 + 11 * n)
        tilt = (side * rng.uniform(-0.3, 0.35), rng.uniform(-0.25, 0.25))
        lungs.add(_plate(center, rng.uniform(34, 52), tilt, rng, lungs.extra_per_mm))
    base = (side * 0.55 * a.half_width_mm, 18.0, dome - 2)
    axes = (46 * a.size, 16 + 18 * p.extent, 56 * a.size)
    b = grid.box(base, (60, 74, 60))
    share = organs.ellipsoid(b, base, axes, soft_mm=16) * np.float32(0.12 + 0.6 * p.extent)
    lungs.fill(b.at, share, keep_tissue=0.5)


def _plate(
    center: tuple[float, float, float], length_mm: float, tilt: tuple[float, float], rng: np.random.Generator,
    extra_per_mm: float,
) -> Grains:  # fmt: skip
    """A thin plate of airless lung, tilted sideways and backwards, thicker in its middle."""
    flat = rng.uniform(-1, 1, (420, 2)) * (length_mm / 2, 16)
    bulge = 1 - (2 * flat[:, 0] / length_mm) ** 2
    height = tilt[0] * flat[:, 0] + tilt[1] * flat[:, 1] + rng.normal(0, 0.5, len(flat))
    points = np.column_stack([flat, height]) + np.array(center)
    amount = 2.4 * bulge * (length_mm * 32 / len(flat)) * extra_per_mm
    return Grains(points.astype(np.float32), amount.astype(np.float32), np.ones(len(points), np.int8))


def edema(lungs: Lungs, p: Placed, side: int) -> None:
    """Haze about the hila and the bases, wide vessels, and short lines at the lateral bases."""
    thorax, b = lungs.thorax, half_box(lungs.thorax, side)
    rng = np.random.default_rng([p.texture, side + 1])
    s, dome = thorax.anatomy.size, thorax.domes_mm[side > 0]
    wing = np.exp(-(((np.abs(b.x) - 42 * s) / (34 * s)) ** 2) - ((b.z + 12) / (52 * s)) ** 2)
    low = 1 / (1 + np.exp((b.z + 15) / 28))
    share = (0.17 + 0.46 * p.extent) * wing + (0.06 + 0.18 * p.extent) * low
    lungs.fill(b.at, np.asarray(share, np.float32), keep_tissue=0.9)
    lungs.congestion = max(lungs.congestion, 0.4 + 0.6 * p.extent)
    for n in range(3 + int(5 * p.extent)):
        z = dome - 8 + 8 * n
        wall, y = (
            side * 0.94 * thorax.anatomy.half_width_mm * float(thorax.taper(np.float32(z))),
            rng.uniform(-35, 35),
        )
        line = np.stack([np.linspace(wall, wall - side * 16, 12), np.full(12, y), np.full(12, z)], 1)
        lungs.grains.append(tube(line.astype(np.float32), 1.0, 3 * lungs.extra_per_mm))


def nodule(lungs: Lungs, p: Placed, side: int) -> None:
    """A round or slightly lobed ball of soft tissue."""
    rng = np.random.default_rng(p.texture)
    center = position(lungs.thorax, side, p.location, rng, reach_mm=p.size_mm / 2 + 8)
    points = _ball(p.size_mm / 2, rng) + np.asarray(center, np.float32)
    share = p.size_mm**3 * np.pi / 6 / len(points)
    amount = np.full(len(points), (2.4 - 0.9 * p.extent) * lungs.extra_per_mm * share, np.float32)
    lungs.grains.append(Grains(points, amount, np.ones(len(points), np.int8)))


def _ball(radius_mm: float, rng: np.random.Generator) -> Array:
    """Points that fill a ball evenly, its outline a little lobed."""
    step = max(1.2, radius_mm / 9)
    at = np.arange(-radius_mm, radius_mm + step, step)
    points = np.stack(np.meshgrid(at, at, at), -1).reshape(-1, 3)  # [N, 3]
    lobes = 1 + 0.07 * np.cos(3 * np.arctan2(points[:, 2], points[:, 0]) + rng.uniform(0, 6))
    inside = np.linalg.norm(points, axis=1) <= radius_mm * lobes
    return np.asarray(points[inside], np.float32)


def position(
    thorax: Thorax, side: int, location: str, rng: np.random.Generator, reach_mm: float = 20
) -> tuple[float, float, float]:
    """A place in a lobe at random, moved inwards until `reach_mm` of lung surrounds it."""
    a, dome = thorax.anatomy, thorax.domes_mm[side > 0]
    across, deep, up = np.array(LOBES[location]) + rng.uniform(-1, 1, 3) * (0.06, 0.12, 0.08)
    z = np.float32(dome + up * (a.apex_mm - dome))
    wide = thorax.taper(z)
    target = np.array([side * 0.55 * a.half_width_mm, 0.25 * deep * a.half_depth_mm, z + 12])
    spot = np.array([side * across * a.half_width_mm * wide, deep * a.half_depth_mm * wide**0.75, z])
    for _ in range(12):
        x, y, z = spot.astype(np.float32)
        if thorax.lung_depth(np.array([x]), np.array([y]), np.array([z]))[0] >= reach_mm:
            break
        spot = spot + 0.1 * (target - spot)
    return float(spot[0]), float(spot[1]), float(spot[2])


PLACERS: dict[str, Callable[[Lungs, Placed, int], None]] = {
    "Effusion": effusion,
    "Pneumothorax": pneumothorax,
    "Consolidation": consolidation,
    "Atelectasis": atelectasis,
    "Edema": edema,
    "Nodule": nodule,
}
"""What fills or leaves the lungs; an enlarged heart only moves organs (see `moved`)."""
