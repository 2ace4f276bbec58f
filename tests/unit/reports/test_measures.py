"""Measurements: found with their units, and never where there is none."""

import pytest

from radalign.reports.measures import find_measurements, normalise_measurements


@pytest.mark.parametrize(
    ("text", "values_mm", "is_product"),
    [
        ("2 x 3 cm", (20, 30), True),
        ("2 cm x 3 cm", (20, 30), True),
        ("1.2 cm x 8 mm", (12, 8), True),
        ("12x8x6mm", (12, 8, 6), True),
        ("5 by 6 cm", (50, 60), True),
        ("a 5-mm nodule", (5,), False),
        ("4 to 5 cm", (40, 50), False),
        ("3-4 mm", (3, 4), False),
        ("2,5 centimetres", (25,), False),
        (".5 cm", (5,), False),
        ("between 2 and 3 cm", (20, 30), False),
        ("2 or 3 cm", (20, 30), False),
        ("4.5 cms", (45,), False),
        ("½ cm", (5,), False),
        ("1/2 cm", (5,), False),
        ("1 1/2 cm", (15,), False),
        ("1½ x 2 cm", (15, 20), True),
        ("1,200 mm", (1200,), False),
        ("12/14 mm", (12, 14), False),
        ("3/4 mm", (3, 4), False),
    ],
)
def test_found(text: str, values_mm: tuple[float, ...], is_product: bool) -> None:
    (found,) = find_measurements(text)
    assert found.values_mm == pytest.approx(values_mm)
    assert found.is_product == is_product


@pytest.mark.parametrize(
    "text",
    [
        "10 mmHg",
        "4 cm2",
        "3 cm^2",
        "T8",
        "2 of 3",
        "at 3:40",
        "5 cmH2O",
        "0.8 x 2",
        "40 mm Hg",
        "10 mm/sec",
        "5 cm per second",
        "5 cm H2O",
        "1/2/2003 cm",
        "5 cm of water",
    ],
)
def test_not_a_length(text: str) -> None:
    assert find_measurements(text) == []


def test_what_joins_two_sizes_stays() -> None:
    text = "Between 2 and 3 cm, 2 or 3 cm, 12/14 mm, 4-5 cm; grade 2 and 3 cm"
    assert normalise_measurements(text, "mm") == (
        "Between 20 and 30 mm, 20 or 30 mm, 12/14 mm, 40 to 50 mm; grade 2 and 30 mm"
    )


def test_a_range_never_becomes_an_area() -> None:
    assert normalise_measurements("4 to 5 cm and 2 x 3 cm", as_area=True) == "4 to 5 cm and 6 cm2"
