"""A margin before the crop, bicubic resampling and own statistics, as ALTA publishes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from radalign.data.batches import ImageBatch
from radalign.data.pixel_cache import PixelCache, cache_name
from radalign.data.read_slots import read_slots
from radalign.data.settings import DataSettings
from radalign.evaluate.grounding import Box, box_mask
from radalign.images.read import read_square
from radalign.study import Manifest, Study, View
from radalign.systems.base import create
from radalign.systems.recipe import load_recipe
from tests.unit.systems.conftest import TINY

PAPER = load_recipe("alta-paper").data


@pytest.fixture
def manifest(tmp_path):
    """One image of 300 x 200 px with a white square of 100 px in its middle."""
    image = np.zeros((200, 300), np.uint8)
    image[50:150, 100:200] = 255
    Image.fromarray(image).save(tmp_path / "a.png")
    return Manifest([Study("s", "p", (View("a.png", "PA"),))], tmp_path)


def side_px(image):
    """Side of the white square in a picture."""
    middle = image.shape[0] // 2
    assert abs(int((image[middle] > 127).sum()) - int((image[:, middle] > 127).sum())) <= 1
    return int((image[middle] > 127).sum())


def test_a_square_has_the_size_that_resize_256_and_crop_224_give(manifest):
    images = read_slots(list(manifest), manifest, PAPER).images.numpy()
    assert images.shape[-1] == 224
    assert abs(side_px(images[0, 0]) - 128) <= 1  # 100 px of 200 on 256
    plain = PAPER.model_copy(update={"resize_px": 0})
    assert abs(side_px(read_slots(list(manifest), manifest, plain).images.numpy()[0, 0]) - 112) <= 1


def test_training_caches_twice_the_size_with_the_same_margin(manifest, tmp_path):
    loading = PAPER.enlarged(2)
    assert (loading.size_px, loading.resize_px) == (448, 512)
    cache = PixelCache.build(tmp_path / "pixels", manifest, loading)
    image = cache.read([manifest.image_path(v) for s in manifest for v in s.views])[0]
    assert image.shape == (448, 448)
    assert abs(side_px(image) - 256) <= 1
    larger = DataSettings(geometry="crop", size_px=224, resize_px=256, cache_px=448)
    assert larger.cached_resize_px == 512


def test_caches_of_other_preprocessing_lie_elsewhere():
    plain = DataSettings(geometry="crop")
    more = ({}, {"resize_px": 256}, {"resample": "bicubic"}, {"resize_px": 256, "resample": "bicubic"})
    names = [cache_name(plain.model_copy(update=update)) for update in more]
    assert len(set(names)) == 4
    assert names[0] == "224px-crop-dicom"  # caches that are there stay


@pytest.mark.parametrize("shape", [(300, 200), (257, 400), (90, 70)])
@pytest.mark.parametrize("kind", ["noise", "edges", "smooth"])
def test_bicubic_is_pillows(tmp_path, shape, kind):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, shape)
    if kind == "edges":
        image = (rng.random((shape[0] // 8 + 1, shape[1] // 8 + 1)) > 0.5).repeat(8, 0).repeat(8, 1) * 255
        image = image[: shape[0], : shape[1]]
    if kind == "smooth":
        image = 127 + 120 * np.outer(np.sin(np.arange(shape[0]) / 30), np.cos(np.arange(shape[1]) / 20))
    pillow = Image.fromarray(image.astype(np.uint8))
    pillow.save(tmp_path / "a.png")
    scale = 128 / min(shape)
    size = (round(shape[1] * scale), round(shape[0] * scale))
    want = np.asarray(pillow.resize(size, Image.Resampling.BICUBIC), np.float32) / 255
    top, left = (size[1] - 112) // 2, (size[0] - 112) // 2
    found = read_square(tmp_path / "a.png", 112, "crop", resize_px=128, resample="bicubic")
    assert np.abs(found - want[top : top + 112, left : left + 112]).max() <= 1 / 255 + 1e-6


def test_own_statistics_reach_the_encoder():
    own = create("clinvla", [*TINY, "data.mean=[0.4785]", "data.std=[0.2834]"]).eval()
    plain = create("clinvla", TINY).eval()
    image = torch.randint(0, 256, (1, 2, 32, 32), dtype=torch.uint8)
    normalised = ((image[:, :1] / 255 - 0.4785) / 0.2834).expand(-1, 3, -1, -1)  # [1, 3, H, W]
    torch.testing.assert_close(own.vision(image[:, :1]), own.vision(normalised), rtol=0, atol=1e-5)
    batch = ImageBatch(image, torch.ones(1, 2, dtype=torch.bool))
    assert not torch.allclose(own.encode_images(batch).global_, plain.encode_images(batch).global_, atol=1e-4)
    assert own.identity != plain.identity


def test_a_box_lies_where_the_margin_puts_it():
    inside, valid = box_mask([Box(100, 50, 100, 100)], 300, 200, 224, "crop", 256)
    assert inside.sum() == 128**2
    assert valid.all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"resize_px": 256}, "is for data.geometry = 'crop'"),
        ({"resize_px": 100, "geometry": "crop"}, "at least data.size_px"),
        ({"mean": (0.5,)}, "must be given together"),
        ({"mean": (0.5,), "std": (0.0,)}, "the second positive"),
    ],
)
def test_contradictions_are_sentences(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        DataSettings(**settings)
