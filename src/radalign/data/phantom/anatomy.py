"""One simulated patient: sizes, habitus and normal variants, drawn once and the same in every study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VARIANTS = ("tortuous aorta", "scoliosis", "degenerative spine", "granuloma", "sternotomy wires")


@dataclass(frozen=True)
class Anatomy:
    """A patient's healthy chest.

    Args:
        sex: `F` or `M`.
        age_years: Age at the first study.
        size: Scale of the whole chest, about 1.
        half_width_mm: Half of the rib cage's inner width where it is widest.
        half_depth_mm: Half of its inner depth.
        apex_mm: Height of the lung's tip.
        dome_mm: Height of the right half of the diaphragm at full inspiration.
        dome_gap_mm: How much lower the left half is.
        wall_mm: Thickness of muscle and fat outside the ribs.
        breast_mm: Thickness of the breasts, 0 for none.
        heart_ratio: Width of the heart over the inner width of the chest; below 0.5 is normal.
        heart_turn: How upright the heart lies, -1 lying to 1 upright.
        arch_mm: Radius of the aorta.
        lung: Density of lung against soft tissue.
        bone: Density of bone against the usual.
        rib_slope_mm: How far a rib falls from back to side.
        bubble_mm: Size of the gas in the stomach, 0 for none.
        variants: Those of `VARIANTS` that this patient has.
        texture: Seed of the vessels and other texture.
    """

    sex: str
    age_years: int
    size: float
    half_width_mm: float
    half_depth_mm: float
    apex_mm: float
    dome_mm: float
    dome_gap_mm: float
    wall_mm: float
    breast_mm: float
    heart_ratio: float
    heart_turn: float
    arch_mm: float
    lung: float
    bone: float
    rib_slope_mm: float
    bubble_mm: float
    variants: tuple[str, ...]
    texture: int


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A patient at random, adults of both sexes; old age brings more variants."""
    sex = "F" if rng.random() < 0.48 else "M"
    age = int(np.clip(rng.normal(58, 17), 18, 95))
    size = float(np.clip(rng.normal(0.97 if sex == "F" else 1.03, 0.03), 0.9, 1.09))
    return Anatomy(
        sex=sex,
        age_years=age,
        size=size,
        half_width_mm=float(rng.normal(136, 5)) * size,
        half_depth_mm=float(rng.normal(88, 6)) * size,
        apex_mm=float(rng.normal(124, 4)) * size,
        dome_mm=float(rng.normal(-66, 6)) * size,
        dome_gap_mm=float(np.clip(rng.normal(12, 4), 3, 22)),
        wall_mm=float(np.clip(rng.normal(21, 6), 12, 36)),
        breast_mm=float(np.clip(rng.normal(30, 14), 8, 60)) if sex == "F" else 0.0,
        heart_ratio=float(np.clip(rng.normal(0.455, 0.02), 0.39, 0.485)),
        heart_turn=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        arch_mm=float(np.clip(rng.normal(12.5 + 0.035 * (age - 55), 1), 9.5, 16)),
        lung=float(np.clip(rng.normal(0.25, 0.02), 0.2, 0.3)),
        bone=float(np.clip(rng.normal(1.12 - 0.004 * (age - 40), 0.08), 0.7, 1.3)),
        rib_slope_mm=float(rng.normal(30, 5)),
        bubble_mm=float(rng.uniform(14, 30)) if rng.random() < 0.6 else 0.0,
        variants=_variants(rng, age),
        texture=int(rng.integers(2**31)),
    )


def _variants(rng: np.random.Generator, age_years: int) -> tuple[str, ...]:
    old = float(np.clip((age_years - 45) / 35, 0, 1))
    chances = (0.25 * old, 0.08, 0.05 + 0.4 * old, 0.06, 0.1 * old)
    draws = rng.random(len(VARIANTS))
    return tuple(name for name, chance, draw in zip(VARIANTS, chances, draws, strict=True) if draw < chance)
