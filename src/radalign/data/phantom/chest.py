"""The one attenuation field of a study: organs, bones, vessels, diseases and devices together.

Anatomy + breath + Placed findings ──> volume [Z, Y, X] (per mm) and grains ──> camera.project
"""

from __future__ import annotations

import numpy as np

from radalign.data.phantom import grid, organs
from radalign.data.phantom.anatomy import Anatomy
from radalign.data.phantom.devices import device, sternal_wires
from radalign.data.phantom.disease import Lungs, moved, place
from radalign.data.phantom.grains import Grains, fill, join
from radalign.data.phantom.grid import Array
from radalign.data.phantom.skeleton import EXTRA_PER_MM, arms, skeleton
from radalign.data.phantom.speckle import speckle
from radalign.data.phantom.thorax import Thorax
from radalign.data.phantom.truth import Placed
from radalign.data.phantom.vessels import vessels

SOFT_PER_MM = 0.0185
"""Attenuation of soft tissue, per millimetre (water at about 80 keV)."""
_VESSEL_GAIN = 1.5


def build(anatomy: Anatomy, breath_mm: float, placed: tuple[Placed, ...]) -> tuple[Array, Grains]:
    """The volume (attenuation per millimetre, [Z, Y, X]) and the fine parts of one chest.

    Args:
        anatomy: The patient.
        breath_mm: How far the diaphragm stands above full inspiration.
        placed: Findings; resolved ones leave no trace.
    """
    thorax = moved(Thorax(anatomy, breath_mm), placed)
    lungs = _healthy(thorax)
    for p in placed:
        place(lungs, p)
    grains = [skeleton(anatomy), _vessels(lungs), *lungs.grains, *_variants(lungs)]
    grains += [device(thorax, p) for p in placed]
    return _attenuation(lungs), join(grains)


def _healthy(thorax: Thorax) -> Lungs:
    tissue = organs.lungs(thorax)
    density = thorax.anatomy.lung
    air = np.float32(-0.3 * density) * speckle(thorax.anatomy.texture, coarse=False)
    air += np.float32(1 - density)
    air *= tissue
    return Lungs(thorax, tissue.copy(), air, tissue, (1 - density) * SOFT_PER_MM)


def _vessels(lungs: Lungs) -> Grains:
    swollen = lungs.congestion
    found = vessels(lungs.thorax, _VESSEL_GAIN * lungs.extra_per_mm, 1 + 0.45 * swollen, 1 + 0.3 * swollen)
    return found.weighted(grid.at_points(lungs.tissue, found.xyz_mm))


def _attenuation(lungs: Lungs) -> Array:
    volume = organs.body(lungs.thorax)
    volume -= lungs.air
    organs.cut_airways(volume, lungs.thorax)
    bubble = organs.stomach_gas(lungs.thorax)
    if bubble is not None:
        organs.cut_ellipsoid(volume, *bubble)
    for center, axes in arms(lungs.thorax):
        b = grid.box(center, (28, 28, 30))
        volume[b.at] += np.float32(0.75 * lungs.thorax.anatomy.bone) * organs.ellipsoid(b, center, axes)
    volume *= np.float32(SOFT_PER_MM)
    return volume


def _variants(lungs: Lungs) -> list[Grains]:
    thorax, parts = lungs.thorax, []
    a = thorax.anatomy
    if "sternotomy wires" in a.variants:
        parts.append(sternal_wires(thorax))
    if "granuloma" in a.variants:
        side = -1 if a.texture % 3 else 1
        spot = (side * 0.62 * a.half_width_mm, 12.0, 48 * a.size if a.texture % 5 else -6.0)
        parts.append(fill(np.array([spot], np.float32), 2.4, 4 * EXTRA_PER_MM))
    if "degenerative spine" in a.variants:
        parts.append(_spurs(thorax))
    return parts


def _spurs(thorax: Thorax) -> Grains:
    """Bony spurs at the rims of the lower vertebrae."""
    z = np.array([-128, -106, -82, -58, -34], np.float32) * thorax.anatomy.size
    rims = [(sx * 17, sy * 4 - 10) for sx in (-1, 1) for sy in (-1, 0)]
    spots = [np.stack([thorax.spine_x(z) + dx, thorax.spine_y(z) + dy, z], 1) for dx, dy in rims]
    return fill(np.concatenate(spots).astype(np.float32), 3.0, 0.9 * EXTRA_PER_MM)
