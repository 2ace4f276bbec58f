"""Measurements in reports ("2 x 3 cm", "5-mm", "4 to 5 cm"), with their numbers in millimetres."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod

_MM = {"mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "centimeter": 10.0, "centimetre": 10.0}
_UNIT = r"(?:mms?|cms?|millimet(?:er|re)s?|centimet(?:er|re)s?)"
_SIGNS = "½¼¾⅓⅔⅛⅜⅝⅞"
_SHARE = r"(?:1/2|[12]/3|[13]/4|[1357]/8)"
# "1 1/2", "1½", "1,200", "2.5" or "2,5", ".5"; "1/2" alone only before cm, for "3/4 mm" is two sizes.
_NUMBER = (
    rf"\d+[ -]{_SHARE}|\d*[{_SIGNS}]|{_SHARE}(?=\s*-?\s*(?:cm|cent))|"
    r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+"
)
_ONE = rf"(?:{_NUMBER})(?:\s*-?\s*{_UNIT})?"
# What makes a pressure, a speed or an area of it.
_NO_LENGTH = r"\w|[²³]|\s*(?:2|3|\^)\b|\s*(?:of\s+)?(?:Hg|H2O|mercury|water)\b|(?:\s*/\s*|\s+per\s+)[a-z]+\b"
_MEASURE = re.compile(
    rf"(?<![\w./])({_ONE}(?:\s*(?:x|×|by|X|to|-|–|or)\s*{_ONE}){{0,2}}|{_ONE}/{_ONE}(?!/)|"
    rf"(?<=between\s){_ONE}\s+and\s+{_ONE})(?<=[A-Za-z])(?!{_NO_LENGTH})",
    re.IGNORECASE,
)
_DIGITS = re.compile(rf"[\d.{_SIGNS}]+")  # only their first can open a measurement
_PIECE = re.compile(rf"({_NUMBER})(?:\s*-?\s*({_UNIT}))?", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_TIMES = frozenset({"x", "×", "by"})
_FORMS = {"-": "to", "–": "to"}


@dataclass(frozen=True)
class Measurement:
    """One measurement as it stands in a text.

    Args:
        start: Where it begins.
        end: Where it ends.
        values_mm: Its numbers in millimetres, in the order of the text.
        unit: The unit its last number is written in, `mm` or `cm`.
        is_product: Whether the numbers are dimensions ("2 x 3") and not a range ("2 to 3").
        joint: What stands between several numbers: `x`, `to`, `and`, `or` or `/`.
    """

    start: int
    end: int
    values_mm: tuple[float, ...]
    unit: str
    is_product: bool
    joint: str = "to"

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
        joint = "/" if self.joint == "/" else f" {'x' if self.is_product else self.joint} "
        return joint.join(map(_plain, values)) + f" {unit}"


def find_measurements(text: str) -> list[Measurement]:
    """All lengths, products of lengths and ranges of lengths, in order.

    >>> [m.values_mm for m in find_measurements("A 5-mm and a 1.2 x 0.8 cm nodule, 4 to 5 cm deep.")]
    [(5.0,), (12.0, 8.0), (40.0, 50.0)]
    """
    return [_measurement(match.start(1), match[1]) for match in _matches(text)]


def normalise_measurements(text: str, unit: str = "", as_area: bool = False) -> str:
    """Write every measurement in one form.

    >>> normalise_measurements("a 5mm nodule, 2.0cm X 3 cm mass")
    'a 5 mm nodule, 2 x 3 cm mass'
    """
    lower = text.lower()
    if not ("mm" in lower or "cm" in lower or "imet" in lower):
        return text
    out, last = [], 0
    for match in _matches(text):
        out += [text[last : match.start(1)], _rewritten(match[1], unit, as_area)]
        last = match.end(1)
    return "".join([*out, text[last:]])


def _matches(text: str) -> Iterator[re.Match[str]]:
    end = 0
    for digits in _DIGITS.finditer(text):
        match = _MEASURE.match(text, digits.start()) if digits.start() >= end else None
        if match:
            end = match.end()
            yield match


def _measurement(start: int, written: str) -> Measurement:
    values_mm, unit, joint = _parsed(written)
    return Measurement(start, start + len(written), values_mm, unit, joint == "x", _FORMS.get(joint, joint))


@lru_cache(maxsize=4096)
def _rewritten(written: str, unit: str, as_area: bool) -> str:
    """One measurement in one form; few make all reports."""
    return _measurement(0, written).written(unit, as_area)


def _parsed(written: str) -> tuple[tuple[float, ...], str, str]:
    """Numbers in millimetres, the unit of the last one, what stands between them."""
    pieces = list(_PIECE.finditer(written))
    unit = following = _short(pieces[-1][2])
    values = []
    for piece in reversed(pieces):
        following = _short(piece[2]) if piece[2] else following
        values.append(round(_value(piece[1]) * _MM[following], 6))
    joints = {written[a.end() : b.start()].strip().lower() for a, b in pairwise(pieces)}
    return tuple(reversed(values)), unit, "x" if joints & _TIMES else next(iter(joints), "to")


def _value(number: str) -> float:
    """The number that is written: "1 1/2", "1½", "1,200", "2,5".

    >>> [_value(n) for n in ("1 1/2", "1½", "1,200", "2,5", ".5")]
    [1.5, 1.5, 1200.0, 2.5, 0.5]
    """
    whole, _, share = number.replace("-", " ").rpartition(" ")
    if "/" in share:
        above, below = share.split("/")
        return float(whole or 0) + int(above) / int(below)
    if number[-1] in _SIGNS:
        return float(number[:-1] or 0) + unicodedata.numeric(number[-1])
    return float(number.replace(",", "") if _THOUSANDS.fullmatch(number) else number.replace(",", "."))


def _short(unit: str) -> str:
    return "mm" if unit.lower().startswith("m") else "cm"


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
