"""What can be found in a simulated study: names, sides, places, and what was placed.

Placed = Finding (the truth that travels in the manifest) + where and how large, as numbers
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from radalign.study import Finding

DEVICES = ("Pacemaker", "Central line", "Endotracheal tube", "Enteric tube")
DISEASES = (
    "Effusion", "Pneumothorax", "Consolidation", "Atelectasis", "Cardiomegaly", "Edema", "Nodule",
)  # fmt: skip
FINDINGS = DISEASES + DEVICES
SEVERITIES = ("small", "moderate", "large")
SIDED = ("Effusion", "Pneumothorax", "Consolidation", "Atelectasis", "Nodule", "Pacemaker", "Central line")

# Centres of places in the right lung: share of the half width, of the half depth (back positive), and of
# the height from dome to apex. The left lung mirrors them.
LOBES = {
    "upper lobe": (0.55, -0.10, 0.70),
    "middle lobe": (0.52, -0.42, 0.22),
    "lingula": (0.68, -0.40, 0.22),
    "lower lobe": (0.70, 0.34, 0.14),
}


@dataclass(frozen=True)
class Placed:
    """One finding as it is placed in a chest.

    Args:
        name: One of `FINDINGS`.
        side: `left`, `right`, `both` or "".
        location: Lobe or route, "" where none applies.
        extent: How much of it there is, 0..1; the severity follows from it.
        size_mm: Diameter, width or distance that a report may state; 0 if none.
        change: Against the prior; "" without a prior.
        texture: Seed of its shape.

    >>> Placed("Effusion", "left", extent=0.5).severity
    'moderate'
    """

    name: str
    side: str = ""
    location: str = ""
    extent: float = 0.5
    size_mm: float = 0.0
    change: str = ""
    texture: int = 0

    @property
    def is_present(self) -> bool:
        """Whether it is in this study; a resolved finding was only in the prior."""
        return self.change != "resolved"

    @property
    def severity(self) -> str:
        """`small`, `moderate` or `large`; "" for devices and for what has resolved."""
        if self.name in DEVICES or not self.is_present:
            return ""
        return SEVERITIES[min(int(self.extent * 3), 2)]

    @property
    def finding(self) -> Finding:
        """The truth as it travels in the manifest."""
        return Finding(
            self.name, self.side, self.location, self.severity, round(self.size_mm, 1), self.change
        )

    @property
    def sides(self) -> tuple[int, ...]:
        """-1 for the patient's right, 1 for the left; both when there is no side."""
        return {"right": (-1,), "left": (1,)}.get(self.side, (-1, 1))

    def with_extent(self, extent: float, change: str = "") -> Placed:
        """The same finding, larger or smaller."""
        return replace(self, extent=extent, size_mm=size_of(self.name, extent), change=change)


def size_of(name: str, extent: float) -> float:
    """The size in millimetres that belongs to an extent: a nodule's diameter, a pneumothorax's width.

    >>> size_of("Nodule", 1.0), size_of("Pneumothorax", 0.0), size_of("Edema", 0.5)
    (30.0, 10.0, 0.0)
    """
    smallest, span = {"Nodule": (8.0, 22.0), "Pneumothorax": (10.0, 34.0)}.get(name, (0.0, 0.0))
    return smallest + span * extent


def labels_of(placed: tuple[Placed, ...]) -> dict[str, int]:
    """1 or 0 for every finding, and for `normal`.

    >>> labels_of((Placed("Nodule", "left"),))["Nodule"], labels_of(())["normal"]
    (1, 1)
    """
    present = {p.name for p in placed if p.is_present}
    return {name: int(name in present) for name in FINDINGS} | {"normal": int(not present)}
