"""Burned-in text: found, masked, kept when safe, and never mistaken for a collimator edge."""

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from radalign.images.burned_in import Mark, _Rapid, clean, find_marks, rapid_reader
from radalign.images.fill import fill
from radalign.images.strokes import Box, find_by_edges


def radiograph(seed: int = 0, shape: tuple[int, int] = (480, 400)) -> np.ndarray:
    """Smooth anatomy-like grey with noise, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] / max(shape)
    smooth = 110 + 60 * np.sin(5 * x) * np.cos(4 * y)
    return np.clip(smooth + rng.normal(0, 3, shape), 0, 235).astype(np.uint8)


def written(image: np.ndarray, text: str, at: tuple[int, int], size: int = 16, grey: int = 255) -> np.ndarray:
    picture = Image.fromarray(image.copy())
    ImageDraw.Draw(picture).text(at, text, fill=grey, font=ImageFont.load_default(size=size))
    return np.asarray(picture)


class Known:
    """A reader that knows what was written where: OCR without OCR."""

    def __init__(self, **texts: tuple[int, int]) -> None:
        self.texts = texts

    def find(self, picture: np.ndarray) -> list[Mark]:
        return []

    def read(self, picture: np.ndarray) -> str:
        return next(iter(self.texts), "")


@pytest.mark.parametrize("size", [10, 16, 30])
@pytest.mark.parametrize("at", [(10, 10), (220, 440), (250, 8)])
def test_text_is_found_where_it_is_and_masked(size: int, at: tuple[int, int]) -> None:
    clear = radiograph()
    image = written(clear, "DOE^JANE 1961", at, size)
    assert find_by_edges(clear) == []
    cleaned = clean(image)
    assert cleaned.masked
    assert cleaned.residual == ()
    changed = np.abs(cleaned.image.astype(int) - clear)
    assert changed.max() < 40  # nothing bright is left of the letters
    assert (cleaned.image != image).mean() < 0.2


def test_dark_text_on_a_bright_label() -> None:
    image = radiograph()
    image[20:50, 20:200] = 250
    assert clean(written(image, "SMITH 12-3-1950", (30, 26), 14, grey=0)).masked


def test_a_collimator_edge_is_no_text() -> None:
    image = radiograph()
    image[:, :40] = 0
    image[:60] = 0
    assert find_by_edges(image) == []


def test_a_safe_mark_stays_and_an_unread_one_goes() -> None:
    image = written(radiograph(), "PORTABLE", (20, 20), 24)
    kept = clean(image, Known(PORTABLE=(0, 0)))
    assert kept.masked == ()
    assert [m.text for m in kept.kept] == ["PORTABLE"]
    assert np.array_equal(kept.image, image)
    gone = clean(image, None)
    assert gone.masked
    assert not gone.was_read
    assert clean(image, Known(PORTER=(0, 0))).masked[0].text == "PORTER"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("L", True),
        ("R ", True),
        ("SEMI-ERECT AP", True),
        ("L 1234", False),
        ("R JD", False),
        ("D", True),
        ("IZDA", True),
        ("D I", False),
        ("G. D", False),
        ("COUCHÉ", True),
        ("BIPEDESTACIÓN", True),
        ("RE", True),
        ("", False),
        ("?", False),
    ],
)
def test_only_the_listed_marks_are_safe(text: str, safe: bool) -> None:
    assert Mark(Box(0, 0, 1, 1), text).is_safe is safe


def test_only_the_border_bands_are_searched() -> None:
    image = written(radiograph(), "DEVICE X7", (150, 230), 16)
    assert find_marks(image, band=0.5)
    assert not find_marks(image, band=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_every_kind_of_pixel_keeps_its_kind(dtype: type) -> None:
    image = written(radiograph(), "DOE JANE", (10, 10))
    scaled = (
        image.astype(np.float64) * (16 if np.issubdtype(dtype, np.integer) and dtype != np.uint8 else 1)
    ).astype(dtype)
    cleaned = clean(scaled)
    assert cleaned.masked
    assert cleaned.image.dtype == dtype
    assert clean(np.stack([image] * 3, axis=-1)).image.shape == (480, 400, 3)


def test_a_fill_continues_a_ramp_and_touches_nothing_else() -> None:
    ramp = np.tile(np.arange(20, dtype=np.float32), (20, 1))
    holed = ramp.copy()
    holed[5:10, 5:10] = 99
    filled = fill(holed, [Box(5, 5, 10, 10)])
    assert np.abs(filled - ramp).max() < 1.5
    outside = np.ones(ramp.shape, bool)
    outside[5:10, 5:10] = False
    assert np.array_equal(filled[outside], ramp[outside])


def test_a_fill_of_the_whole_image_does_not_fail() -> None:
    assert fill(np.full((4, 4), 3, np.uint8), [Box(0, 0, 4, 4)]).tolist() == [[3] * 4] * 4


class RemembersItsSwitches:
    """As RapidOCR does: a switch that is not set keeps its last value."""

    def __init__(self) -> None:
        self.use_det = True

    def __call__(self, picture: np.ndarray, use_det: bool | None = None, **others: bool) -> SimpleNamespace:
        self.use_det = self.use_det if use_det is None else use_det
        if not self.use_det:
            return SimpleNamespace(txts=("L",))
        corners = np.array([[[2.5, 3.5], [9.2, 3.5], [9.2, 7.1], [2.5, 7.1]]])
        return SimpleNamespace(boxes=corners, txts=("DOE",))


def test_a_line_as_large_as_the_picture_is_no_line() -> None:
    corners = np.array([[[0, 0], [199, 0], [199, 199], [0, 199]], [[5, 5], [60, 5], [60, 20], [5, 20]]])
    reader = _Rapid(lambda picture, **switches: SimpleNamespace(boxes=corners, txts=("A", "DOE")))
    assert reader.find(np.zeros((200, 200), np.uint8)) == [Mark(Box(5, 5, 20, 60), "DOE")]


def test_a_safe_mark_beside_initials_stays_whole() -> None:
    image = written(written(radiograph(), "LT", (300, 10), 20), "BN", (334, 10), 20)
    left, initials = Mark(Box(12, 299, 32, 324), "LT"), Mark(Box(12, 333, 32, 362), "BN")
    reader = SimpleNamespace(find=lambda picture: [left, initials], read=lambda picture: "LT")
    cleaned = clean(image, reader)
    assert left in cleaned.kept
    assert initials in cleaned.masked
    assert np.array_equal(cleaned.image[12:32, 299:324], image[12:32, 299:324])
    assert not np.array_equal(cleaned.image[12:32, 336:360], image[12:32, 336:360])


def test_what_is_found_again_after_filling_is_filled_too() -> None:
    image = radiograph()
    first, rest = Mark(Box(20, 20, 32, 60), "DOE"), Mark(Box(20, 66, 32, 90), "JANE")
    looks = iter([[first], [rest], []])
    reader = SimpleNamespace(find=lambda picture: next(looks), read=lambda picture: "")
    cleaned = clean(image, reader)
    assert cleaned.masked == (first, rest)
    assert cleaned.residual == ()
    assert not np.array_equal(cleaned.image[20:32, 66:90], image[20:32, 66:90])


def test_it_gives_up_after_the_second_time_and_says_so() -> None:
    again = Mark(Box(20, 20, 32, 60), "DOE")
    reader = SimpleNamespace(find=lambda picture: [again], read=lambda picture: "")
    cleaned = clean(radiograph(), reader)
    assert cleaned.residual == (again,)
    assert cleaned.masked == (again,)


def written_lines(boxes: list[Box], texts: list[str]) -> SimpleNamespace:
    """A reader that finds these lines as long as they are there, and nothing else."""

    def find(picture: np.ndarray) -> list[Mark]:
        pairs = zip(boxes, texts, strict=True)
        return [Mark(b, t) for b, t in pairs if picture[b.top : b.bottom, b.left : b.right].max() > 250]

    return SimpleNamespace(find=find, read=lambda picture: "")


def test_lines_that_touch_are_not_continued_from_each_other() -> None:
    image = np.full((400, 500), 100, np.uint8)
    boxes = [Box(20, 20, 40, 120), Box(40, 20, 60, 180), Box(60, 20, 80, 140)]
    for box in boxes:
        image[box.top : box.bottom, box.left : box.right : 2] = 255  # bright at every border of every box
    out = fill(image, boxes)
    assert np.abs(out.astype(int) - 100).max() == 0
    cleaned = clean(image, written_lines(boxes, ["DOE JANE", "ID 1234567", "1950-01-01"]))
    assert np.abs(cleaned.image.astype(int) - 100).max() <= 1


def test_nothing_is_continued_from_a_mark_that_stays() -> None:
    image = np.full((60, 60), 100, np.uint8)
    image[20:30, 40:50] = 255  # a side letter, right beside
    image[20:30, 20:40] = 200
    assert fill(image, [Box(20, 20, 30, 40)], avoid=[Box(20, 40, 30, 50)])[20:30, 20:40].max() == 100


def test_a_fill_of_one_box_weighs_the_four_borders_by_distance() -> None:
    image = np.random.default_rng(0).integers(0, 255, (9, 11, 3)).astype(np.float64)
    box = Box(2, 3, 6, 8)
    out = fill(image, [box])
    for y in range(2, 6):
        for x in range(3, 8):  # the oracle: each border once
            sides = [(image[1, x], y - 1), (image[6, x], 6 - y), (image[y, 2], x - 2), (image[y, 8], 8 - x)]
            weights = [1 / distance for _, distance in sides]
            expected = sum(v * w for (v, _), w in zip(sides, weights, strict=True)) / sum(weights)
            np.testing.assert_allclose(out[y, x], expected)


IMPLANT = Box(200, 40, 240, 80)


def with_implant(over: int) -> np.ndarray:
    image = radiograph() if over else np.zeros((480, 400), np.uint8)
    image[0, 0] = 255
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).arc([40, 200, 79, 239], 40, 320, fill=255, width=6)
    return np.asarray(picture)


@pytest.mark.parametrize("text", ["", "C", "0."])
def test_a_shape_on_tissue_without_a_word_is_left_and_reported(text: str) -> None:
    image = with_implant(over=1)
    cleaned = clean(image, written_lines([IMPLANT], [text]))
    assert cleaned.masked == ()
    assert [mark.box for mark in cleaned.left] == [IMPLANT]
    assert cleaned.residual == ()
    assert np.array_equal(cleaned.image, image)


def test_the_same_shape_goes_when_it_is_a_word_stands_on_air_or_by_a_name_or_is_not_read() -> None:
    image = with_implant(over=1)
    assert clean(image, written_lines([IMPLANT], ["CJ"])).masked
    assert clean(with_implant(over=0), written_lines([IMPLANT], ["C"])).masked
    name = Box(200, 90, 240, 200)
    named = image.copy()
    named[200:240, 90:200:3] = 255
    assert len(clean(named, written_lines([IMPLANT, name], ["C", "DOE"])).masked) >= 2
    assert clean(image, None).masked


def test_a_second_look_does_not_take_a_safe_word_away() -> None:
    image = written(radiograph(), "SUPINE", (20, 20), 24)
    safe, name = Mark(Box(22, 20, 44, 110), "SUPINE"), Mark(Box(60, 20, 80, 90), "DOE")
    looks = iter(
        [[safe, name], [Mark(Box(23, 22, 43, 108), "SOPINE")], [Mark(Box(23, 22, 43, 108), "SOPINE")]]
    )
    reader = SimpleNamespace(find=lambda picture: next(looks), read=lambda picture: "")
    cleaned = clean(image, reader)
    assert cleaned.masked == (name,)
    assert cleaned.kept == (safe,)
    assert cleaned.residual == ()
    assert np.array_equal(cleaned.image[22:44, 20:110], image[22:44, 20:110])


def test_a_circled_side_letter_is_read_inside_its_circle() -> None:
    box = Box(20, 20, 60, 62)
    given = []

    def read(picture: np.ndarray) -> str:
        given.append(picture.shape)
        return "L"

    reader = SimpleNamespace(find=lambda picture: [Mark(box, "0")], read=read)
    image = radiograph()
    cleaned = clean(image, reader)
    assert cleaned.masked == ()
    assert [mark.text for mark in cleaned.kept] == ["L"]
    assert given[0][0] < 60  # the inside and some room, not the circle
    reader = SimpleNamespace(find=lambda picture: [Mark(box, "JD")], read=lambda picture: "L")
    assert clean(image, reader).masked  # two letters are nobody's circle


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="RapidOCR is not installed (radalign[ocr]).")
def test_real_ocr_reads_a_circled_letter() -> None:
    picture = Image.fromarray(radiograph(0, (512, 512)) // 3)
    draw = ImageDraw.Draw(picture)
    draw.ellipse([430, 20, 470, 60], outline=255, width=2)
    draw.text((450, 40), "L", fill=255, font=ImageFont.load_default(size=30), anchor="mm")
    cleaned = clean(np.asarray(picture), rapid_reader(), band=0.2)
    assert cleaned.masked == ()


def test_the_reader_can_find_again_after_it_has_read() -> None:
    reader = _Rapid(RemembersItsSwitches())
    picture = np.zeros((20, 20), np.uint8)
    assert reader.read(picture) == "L"
    assert reader.find(picture) == [Mark(Box(3, 2, 8, 10), "DOE")]
    assert reader.read(picture) == "L"


@pytest.mark.skipif(find_spec("rapidocr") is None, reason="RapidOCR is not installed (radalign[ocr]).")
def test_real_ocr_keeps_a_safe_mark_and_masks_a_name() -> None:
    reader = rapid_reader()
    image = written(
        written(radiograph(0, (700, 800)), "DOE^JANE 1961", (10, 10), 28), "PORTABLE", (600, 400), 28
    )
    cleaned = clean(image, reader)
    assert [mark.text for mark in cleaned.kept] == ["PORTABLE"]
    assert any("DOE" in mark.text for mark in cleaned.masked)
    assert cleaned.residual == ()


def test_a_blank_image_has_no_text() -> None:
    assert find_marks(np.zeros((64, 64), np.uint16)) == []


def _with_leads(image: np.ndarray) -> np.ndarray:
    """Two wires from beside the label at the top right down across the lung, and clips where they end."""
    picture = Image.fromarray(image.copy())
    draw = ImageDraw.Draw(picture)
    for start in (262, 330):
        draw.line([(start, 22), (start + 30, 120), (start - 60, 250), (start - 10, 380)], fill=255, width=2)
        draw.ellipse([start - 66, 244, start - 54, 256], outline=255, width=2)
    return np.asarray(picture)


def test_leads_beside_a_label_do_not_take_the_lung_away() -> None:
    leads = _with_leads(radiograph() // 2)
    image = written(leads, "PORTABLE", (268, 12), 16)
    cleaned = clean(image, band=0.2)
    label = image.astype(int) - leads > 60
    assert label.sum() > 200
    assert (cleaned.image[label] < 245).mean() > 0.95
    changed = cleaned.image != image
    assert changed.mean() < 0.06
    assert not changed[120:, :300].any()  # the lung, and the wires that cross it


def test_a_side_letter_by_the_leads_stays_when_it_is_read() -> None:
    image = written(_with_leads(radiograph()), "L", (360, 200), 30)
    assert clean(image, Known(L=(0, 0)), band=0.2).masked == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_larger_than_a_label_is_reported_and_not_filled(dtype: type) -> None:
    image = radiograph().astype(dtype)
    image[300:450:2, 40:160:4] = 255  # as dense as writing, a tenth of the image
    cleaned = clean(image)
    assert cleaned.masked == ()
    assert len(cleaned.left) == 1
    assert np.array_equal(cleaned.image, image)


def test_a_mark_that_reaches_the_middle_is_reported_and_not_filled() -> None:
    image = written(radiograph(1, (480, 480)), "WWWWWWWWW", (40, 225), 18)  # from the band to the middle
    from_the_side = clean(image, band=0.2)
    assert from_the_side.masked == ()
    assert len(from_the_side.left) == 1
    assert clean(image).masked  # where the whole image is searched, as for identities, it goes
