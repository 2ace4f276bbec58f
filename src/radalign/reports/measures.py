"""Measurements in reports ("2 x 3 cm", "5-mm", "4 to 5 cm"), with their numbers in millimetres."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

_MM = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0}
_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_NUMBER = r"\d+(?:[.,]\d+)?|\.\d+"
_ONE = rf"(?:{_NUMBER})(?:\s*-?\s*{_UNIT})?"
_MEASURE = re.compile(
    rf"(?<![\w./])({_ONE}(?:\s*(?:x|×|by|X|to|-|–)\s*{_ONE}){{0,2}})(?<=[A-Za-z])(?!\w|[²³]|\s*(?:2|3|\^)\b)",
    re.IGNORECASE,
)
_PIECE = re.compile(rf"({_NUMBER})(?:\s*-?\s*({_UNIT}))?", re.IGNORECASE)
_TIMES = re.compile(r"\d\s*(?:mm|cm|\w+met\w+)?\s*(?:x|×|by)\s*[.\d]", re.IGNORECASE)


@dataclass(frozen=True)
class Measurement:
    """One measurement as it stands in a text.

    Args:
        start: Where it begins.
        end: Where it ends.
        values_mm: Its numbers in millimetres, in the order of the text.
        unit: The unit its last number is written in, `mm` or `cm`.
        is_product: Whether the numbers are dimensions ("2 x 3") and not a range ("2 to 3").
    """

    start: int
    end: int
    values_mm: tuple[float, ...]
    unit: str
    is_product: bool

    def written(self, unit: str = "", as_area: bool = False) -> str:
        """The measurement in one form: numbers, then one unit.

        Args:
            unit: `mm`, `cm`, or "" for the unit of the text.
            as_area: Whether two dimensions become an area, as one paper does; the shape is lost.

        >>> m = find_measurements("2 cm x 3 cm")[0]
        >>> m.written(), m.written("mm"), m.written(as_area=True)
        ('2 x 3 cm', '20 x 30 mm', '6 cm2')
        """
        unit = unit or self.unit
        values = [v / _MM[unit] for v in self.values_mm]
        if as_area and self.is_product and len(values) == 2:
            return f"{_plain(prod(values))} {unit}2"
        return (" x " if self.is_product else " to ").join(map(_plain, values)) + f" {unit}"


def find_measurements(text: str) -> list[Measurement]:
    """All lengths, products of lengths and ranges of lengths, in order.

    >>> [m.values_mm for m in find_measurements("A 5-mm and a 1.2 x 0.8 cm nodule, 4 to 5 cm deep.")]
    [(5.0,), (12.0, 8.0), (40.0, 50.0)]
    """
    return list(_measurements(text))


def normalise_measurements(text: str, unit: str = "", as_area: bool = False) -> str:
    """Write every measurement in one form.

    >>> normalise_measurements("a 5mm nodule, 2.0cm X 3 cm mass")
    'a 5 mm nodule, 2 x 3 cm mass'
    """
    lower = text.lower()
    if not ("mm" in lower or "cm" in lower or "imet" in lower):
        return text
    out, last = [], 0
    for measure in _measurements(text):
        out += [text[last : measure.start], measure.written(unit, as_area)]
        last = measure.end
    return "".join([*out, text[last:]])


def _measurements(text: str) -> Iterator[Measurement]:
    for match in _MEASURE.finditer(text):
        pieces = _PIECE.findall(match.group(1))
        unit = _short(pieces[-1][1])
        values = []
        following = unit
        for number, own in reversed(pieces):
            following = _short(own) if own else following
            values.append(round(float(number.replace(",", ".")) * _MM[following], 6))
        is_product = bool(_TIMES.search(match.group(1)))
        yield Measurement(match.start(1), match.end(1), tuple(reversed(values)), unit, is_product)


def _short(unit: str) -> str:
    return "mm" if unit.lower().startswith("m") else "cm"


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
