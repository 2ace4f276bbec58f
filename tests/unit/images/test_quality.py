"""Quality: each fault is made and found, and the good image passes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radalign.images.burned_in import Box
from radalign.images.checks import check_sheet
from radalign.images.quality import Limits, measure, reasons
from radalign.study import Manifest, Study, View


def chest(seed: int = 0) -> np.ndarray:
    """A frontal-like picture: bright mediastinum and abdomen, dark lungs, bright chest wall, dark air."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:256, 0:256] / 255
    body = (np.abs(x - 0.5) < 0.42) * (y > 0.1) * 0.6
    lungs = sum((((x - c) / 0.13) ** 2 + ((y - 0.45) / 0.33) ** 2 < 1) * 0.4 for c in (0.32, 0.68))
    abdomen = np.clip((y - 0.6) * 4, 0, 1) * 0.4 * (np.abs(x - 0.5) < 0.42)
    image = body - lungs + abdomen + 0.05 + rng.normal(0, 0.02, (256, 256))
    return np.clip(image, 0, 1).astype(np.float32)


def soft(image: np.ndarray) -> np.ndarray:
    small = Image.fromarray(np.rint(image * 255).astype(np.uint8)).resize((24, 24))
    return np.asarray(small.resize((256, 256)), np.float32) / 255


def tilted(image: np.ndarray, degrees: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR))


def test_each_way_round_is_one_reason_only() -> None:
    for fault, reason in ((np.rot90(chest(), 2), "upside down"), (1 - chest(), "inverted")):
        assert reasons(measure(np.ascontiguousarray(fault))) == (reason,)


@pytest.mark.parametrize("degrees", [-15, -8, 8, 15])
def test_a_little_tilt_is_no_fault(degrees: float) -> None:
    assert reasons(measure(tilted(chest(), degrees))) == ()


def test_a_good_image_passes() -> None:
    assert reasons(measure(chest())) == ()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda i: np.clip(i * 8, 0, 1), "overexposed"),
        (soft, "blurred"),
        (lambda i: 0.5 + (i - 0.5) * 0.1, "flat"),
        (lambda i: np.rot90(i, 2), "upside down"),
        (np.rot90, "turned"),
        (lambda i: np.rot90(i, 3), "turned"),
        (lambda i: tilted(i, 45), "turned"),
        (lambda i: tilted(i, -45), "turned"),
        (lambda i: 1 - i, "inverted"),
        (lambda i: i[:, 77:], "clipped"),
        (lambda i: i[:, :-77], "clipped"),
        (lambda i: i[:, 70:-70], "clipped"),
    ],
)
def test_each_fault_has_its_reason(fault, reason: str) -> None:
    assert reason in reasons(measure(np.ascontiguousarray(fault(chest()))))


def test_frontal_rules_leave_laterals_alone_and_limits_may_be_off() -> None:
    turned = measure(np.rot90(chest()).copy())
    assert "turned" in reasons(turned)
    assert reasons(turned, is_frontal=False) == ()
    assert "blurred" not in reasons(measure(soft(chest())), Limits(sharpness=None))


def test_the_size_of_the_image_does_not_decide() -> None:
    large = np.kron(chest(), np.ones((3, 3), np.float32))
    assert measure(large).shape.inverted == pytest.approx(measure(chest()).shape.inverted, abs=0.02)


def test_a_sheet_shows_before_and_after_and_counts_reasons(tmp_path: Path) -> None:
    for name, image in (("good", chest()), ("bad", soft(chest()))):
        picture = np.rint(image * 255).astype(np.uint8)
        if name == "good":
            picture[10:20, 10:60:4] = 255
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    views = [Study(n, n, (View(f"{n}.png", "PA"),)) for n in ("good", "bad", "gone")]
    result = check_sheet(Manifest(views, tmp_path), tmp_path / "sheet.png", count=9)
    assert result.counts == {"blurred": 1, "unreadable": 1}
    by_id = {c.study_id: c for c in result.checks}
    assert by_id["good"].masked == ("?",)
    assert by_id["good"].residual == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 600


def test_boxes_of_marks_are_plain_numbers() -> None:
    assert Box(0, 0, 2, 2).joined(Box(1, 1, 5, 3)) == Box(0, 0, 5, 3)
