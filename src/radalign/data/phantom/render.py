"""From a case to its views: one volume, projected for every view, developed like a radiograph.

Case ──> chest.build ──> camera.project ──> exposure.develop ──> marked ──> {"PA": [H, W], "LL": [H, W]}
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from radalign.data.phantom.camera import Camera, project
from radalign.data.phantom.case import Case
from radalign.data.phantom.chest import SOFT_PER_MM, build
from radalign.data.phantom.exposure import Exposure, develop
from radalign.data.phantom.grid import Array
from radalign.data.phantom.marker import burn_in

FIELD_MM = 360.0
SMALLEST_PX, LARGEST_PX = 64, 2048
_LEAST_SAMPLING_PX = 128


def positions(case: Case) -> tuple[str, ...]:
    """The views that a case has: `PA` or `AP`, and `LL` when there is a lateral."""
    return (case.acquisition.position, "LL") if case.acquisition.has_lateral else (case.acquisition.position,)


def render(case: Case, size_px: int = 256, side_marker: bool = False) -> dict[str, Array]:
    """The views of a case.

    Args:
        case: What to render.
        size_px: Side of each square image, pixels.
        side_marker: Burn in the technologist's side marker (L on the patient's left; `SIMULATED` always is).

    Returns:
        Position to float32 [size_px, size_px], 0..1, bright = dense.

    Raises:
        ValueError: If the size is outside `SMALLEST_PX`..`LARGEST_PX`.
    """
    if not SMALLEST_PX <= size_px <= LARGEST_PX:
        raise ValueError(
            f"A size of {size_px} pixels cannot be simulated; choose {SMALLEST_PX} to {LARGEST_PX}."
        )
    volume, grains = build(case.anatomy, case.acquisition.breath_mm, case.placed)
    step = 1 if size_px >= _LEAST_SAMPLING_PX else 2
    images = {}
    for number, position in enumerate(positions(case)):
        camera = camera_of(case, position, size_px * step)
        noise = case.rng("noise", number).standard_normal((camera.size_px,) * 2, dtype=np.float32)
        image = develop(project(volume, grains, camera), exposure_of(case, position), noise)
        if step > 1:
            image = image.reshape(size_px, step, size_px, step).mean((1, 3))  # [H, W]
        images[position] = burn_in(image, position, side_marker)
    return images


def camera_of(case: Case, position: str, size_px: int) -> Camera:
    """Where source and detector stand for a view of a case."""
    a = case.acquisition
    source, gap = {"PA": (1830.0, 150.0), "AP": (1150.0, 140.0), "LL": (1830.0, 200.0)}[position]
    twist = a.twist if position != "LL" else -a.twist
    return Camera(position, source, gap, FIELD_MM, size_px, a.shift_mm, twist)


def exposure_of(case: Case, position: str) -> Exposure:
    """The tone curve of a view; it follows the patient's build, never the findings."""
    a, b = case.acquisition, case.anatomy
    if position == "LL":
        level = 1.95 + 2 * SOFT_PER_MM * b.wall_mm + 1.05 * SOFT_PER_MM * b.lung * b.half_width_mm
        return Exposure(level=level + a.exposure, width=2.6 * a.contrast, noise=0.008, scatter=0.01)
    level = 0.84 + 1.6 * SOFT_PER_MM * b.wall_mm + 1.3 * SOFT_PER_MM * b.lung * b.half_depth_mm
    normal = Exposure(level=level + a.exposure, width=1.55 * a.contrast)
    return replace(normal, noise=0.009) if position == "AP" else normal
