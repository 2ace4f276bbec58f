"""The surfaces of one chest at one moment, as functions of position that serve voxels and points alike.

Anatomy + breathing + what disease moves ──> Thorax: rib cage, diaphragm, mediastinum, spine, heart
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radalign.data.phantom.anatomy import Anatomy
from radalign.data.phantom.grid import Array

_POWER = 2.3


@dataclass(frozen=True)
class Thorax:
    """One chest at one moment.

    Args:
        anatomy: The patient.
        breath_mm: How far the diaphragm stands above full inspiration.
        heart_ratio: Width of the heart over the inner width of the chest; 0 means the patient's own.
        shift_mm: How far heart and mediastinum are displaced to the patient's left.
        raised_mm: How far disease raises the (right, left) half of the diaphragm; negative flattens it.
    """

    anatomy: Anatomy
    breath_mm: float = 0.0
    heart_ratio: float = 0.0
    shift_mm: float = 0.0
    raised_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def domes_mm(self) -> tuple[float, float]:
        """Height of the tops of the (right, left) half of the diaphragm."""
        a = self.anatomy
        right = a.dome_mm + self.breath_mm
        return right + self.raised_mm[0], right - a.dome_gap_mm + self.raised_mm[1]

    def taper(self, z: Array | np.float32) -> Array:
        """Width of the rib cage at a height as a share of its largest, 0 at and above the apex."""
        a = self.anatomy
        u = np.clip((a.apex_mm - z) / (a.apex_mm + 130 * a.size), 0, 1)
        return np.asarray((u * (2 - u)) ** 0.36 * (0.92 + 0.08 * u), np.float32)

    def cage(self, x: Array, y: Array, z: Array) -> Array:
        """0 on the chest's axis, 1 on the inner surface of the ribs, more outside."""
        across, deep = self._cage_parts(x, y, z)
        return across + deep

    def _cage_parts(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        a, taper = self.anatomy, np.maximum(self.taper(z), 0.05)
        across = np.abs(x / (a.half_width_mm * taper)) ** _POWER
        deep = np.abs((y - self.axis_y(z)) / (a.half_depth_mm * taper**0.75)) ** _POWER
        return np.asarray(across, np.float32), np.asarray(deep, np.float32)

    def axis_y(self, z: Array | np.float32) -> Array:
        """Depth of the chest's axis: the apex leans back."""
        return np.asarray(-4 + 0.09 * z, np.float32)

    def wall_depth(self, x: Array, y: Array, z: Array) -> Array:
        """About how far inside the ribs a place is, millimetres, negative outside."""
        a = self.anatomy
        radius = (0.4 * (a.half_width_mm + a.half_depth_mm) / _POWER) * np.maximum(self.taper(z), 0.05)
        across, deep = self._cage_parts(x, y, z)
        return np.asarray(np.minimum(radius * (1 - across), a.apex_mm - z) - radius * deep, np.float32)

    def diaphragm(self, x: Array, y: Array) -> Array:
        """Height of the diaphragm: two domes that fall steeply to the side and the back."""
        right, left = self.domes_mm
        top = right + (left - right) / (1 + np.exp(-np.clip(x / 8, -30, 30)))
        size = self.anatomy.size
        out = (np.abs(x - 0.5 * self.shift_mm) - 62 * size) / (70 * size)
        back = (y + 18 * size) / (92 * size)
        fall = np.where(out > 0, 52.0, 20.0) * out**2 + np.where(back > 0, 52.0, 26.0) * back**2
        return np.asarray(top - fall, np.float32)

    def mediastinum(self, y: Array, z: Array) -> tuple[Array, Array]:
        """Right and left edge (x) of what lies between the lungs, without heart and aorta."""
        size = self.anatomy.size
        upper = 1 / (1 + np.exp(-np.clip((z - 30) / 15, -30, 30)))
        inlet = 12 / (1 + np.exp(-np.clip((z - 88 * size) / 9, -30, 30)))
        middle = np.exp(-(((y - 4 * size) / (32 * size)) ** 2))
        back = np.exp(-(((y - self.spine_y(z)) / 20) ** 2))
        half = 3 + (11 + 9 * upper + inlet) * middle * size + 12 * back
        x = self.shift_mm + (self.spine_x(z) - self.shift_mm) * back
        return x - half - 3 * upper * middle, x + half - 4 * upper * middle

    def spine_x(self, z: Array) -> Array:
        """Where the spine runs, side to side."""
        bend = 16.0 if "scoliosis" in self.anatomy.variants else 1.5
        side = 1 if self.anatomy.texture % 2 else -1
        return np.asarray(side * bend * np.cos(z / 62), np.float32)

    def spine_y(self, z: Array) -> Array:
        """Depth of the vertebral bodies: the chest's spine bows backwards."""
        size = self.anatomy.size
        return np.asarray((60 - 14 * ((z - 10) / 130) ** 2) * size, np.float32)

    def lung_depth(self, x: Array, y: Array, z: Array) -> Array:
        """How far inside a lung a place is (heart and aorta not yet cut out), millimetres."""
        right, left = self.mediastinum(y, z)
        depth = self.wall_depth(x, y, z)
        beside = np.asarray(x - 0.5 * (left + right), np.float32)
        np.abs(beside, out=beside)
        beside -= 0.5 * (left - right)
        np.minimum(depth, beside, out=depth)
        above = np.float32(0.75) * z - np.float32(0.75) * self.diaphragm(x, y)
        return np.minimum(depth, above, out=depth)
