"""`data.force_window` and `data.crop_collimation`: set in a recipe, heeded wherever its images are read."""

from __future__ import annotations

import tomllib
import warnings

import numpy as np
import pytest

import radalign
from radalign.data import decoding
from radalign.data.pixel_cache import PixelCache, cache_name
from radalign.data.read_slots import read_slots
from radalign.data.settings import DataSettings
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.protocols import ms_cxr
from radalign.evaluate.protocols.protocol import Options
from radalign.images.errors import ImageError
from radalign.images.read import read_square
from radalign.study import Manifest, Study, View
from radalign.systems.base import create
from radalign.systems.frozen_features import _features_key
from tests.unit.systems.conftest import TINY

LUNG = (-500.0, 1500.0)
FORCED = DataSettings(size_px=8, window=LUNG, force_window=True)
EDGES = {"CollimatorUpperHorizontalEdge": 2, "CollimatorLowerHorizontalEdge": 3,
         "CollimatorLeftVerticalEdge": 2, "CollimatorRightVerticalEdge": 3}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_told():
    decoding.tell_of_forced_window.cache_clear()


@pytest.fixture
def manifest(dicom, tmp_path):
    names = [dicom(f"{i}.dcm", CollimatorShape="RECTANGULAR", **EDGES) for i in range(3)]
    return Manifest([Study(n, n, (View(n, "PA"),), split="train") for n in names], tmp_path)


def first_image(manifest, settings):
    return read_slots(list(manifest)[:1], manifest, settings).images.numpy()[0, 0]


def cached_image(manifest, settings, folder, processes=1):
    cache = PixelCache.build(folder, manifest, settings, processes)
    return cache.read([manifest.image_path(next(iter(manifest)).views[0])])[0]


def test_a_forced_window_is_used_and_told_once_in_a_run(manifest, tmp_path, capfd):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        seen = first_image(manifest, FORCED)
        read_slots(list(manifest), manifest, FORCED)
        kept = cached_image(manifest, FORCED, tmp_path / "one")
        elsewhere = cached_image(manifest, FORCED, tmp_path / "two", processes=2)
    assert ["data.force_window" in str(warning.message) for warning in told] == [True]
    assert "forced" not in capfd.readouterr().err  # nor by the decoding processes
    path = manifest.image_path(next(iter(manifest)).views[0])
    with pytest.warns(UserWarning, match="forced on DX"):
        want = read_square(path, 8, window=LUNG, force_window=True)
    for found in (seen, kept, elsewhere):
        np.testing.assert_array_equal(found, (want * 255).round().astype(np.uint8))


def test_the_refusal_names_the_setting_and_the_argument(manifest):
    with pytest.raises(ImageError, match=r"data\.force_window=true .*force_window=True"):
        first_image(manifest, DataSettings(size_px=8, window=LUNG))


def test_nothing_is_told_where_nothing_is_forced(manifest):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        first_image(manifest, DataSettings(size_px=8))
    assert told == []


def test_the_collimated_field_is_all_that_is_seen(manifest, tmp_path):
    whole, cut = DataSettings(size_px=8), DataSettings(size_px=8, crop_collimation=True)
    want = read_square(manifest.image_path(next(iter(manifest)).views[0]), 8, crop_collimation=True)
    want = (want * 255).round().astype(np.uint8)
    assert not np.array_equal(first_image(manifest, whole), want)
    np.testing.assert_array_equal(first_image(manifest, cut), want)
    np.testing.assert_array_equal(cached_image(manifest, cut, tmp_path / "one"), want)
    np.testing.assert_array_equal(cached_image(manifest, cut, tmp_path / "two", processes=2), want)


def test_caches_lie_apart_and_old_ones_where_they_were():
    plain = DataSettings(window=LUNG)
    changes = ({}, {"force_window": True}, {"crop_collimation": True})
    names = [cache_name(plain.model_copy(update=change)) for change in changes]
    assert names[0] == "224px-stretch--500-1500"
    assert len(set(names)) == 3


def test_systems_and_features_differ_and_old_ones_keep_their_names(manifest):
    plain = create("clinvla", [*TINY, "data.window=[-500, 1500]"])
    default = plain.recipe.data
    seen = {"size_px", "geometry", "window", "slots", "unknown_view"}
    assert not {"force_window", "crop_collimation"} & plain._embedding_settings().keys()
    assert seen <= plain._embedding_settings().keys()
    identities, keys = [], []
    for change in ({}, {"force_window": True}, {"crop_collimation": True}):
        plain.recipe = plain.recipe.model_copy(update={"data": default.model_copy(update=change)})
        identities.append(plain.identity)
        keys.append(_features_key(plain, manifest))
    assert len(set(identities)) == len(set(keys)) == 3


def test_a_system_is_saved_with_how_its_images_are_read(tmp_path):
    system = create("clinvla", [*TINY, "data.window=[-500, 1500]", "data.force_window=true"])
    system.save(tmp_path / "run")
    image = tomllib.loads((tmp_path / "run" / "preprocessing.toml").read_text("utf-8"))["image"]
    assert (image["force_window"], image["crop_collimation"]) == (True, False)
    assert radalign.load(tmp_path / "run").recipe.data.force_window


def test_force_without_a_window_in_modality_units_is_a_sentence():
    with pytest.raises(ValueError, match=r"data\.force_window is for data\.window"):
        DataSettings(force_window=True)


def test_boxes_are_not_compared_with_cut_images(manifest):
    system = create("clinvla", [*TINY, "data.crop_collimation=true"])
    table = "path,category_name,label_text,x,y,w,h,image_width,image_height,dicom_id\n"
    (manifest.root / "MS_CXR_Local_Alignment.csv").write_text(table + "0.dcm,Edema,edema,1,1,1,1,4,3,0\n")
    with pytest.raises(EvaluationError, match=r"data\.crop_collimation"):
        ms_cxr.run({"a": system}, manifest.root, Options())
