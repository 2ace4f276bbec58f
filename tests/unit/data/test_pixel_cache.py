"""The pixel cache: decoded once, right after any kill, true to a changed file, honest about a broken one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radalign.data import decoding, pixel_cache
from radalign.data.decoding import DecodingPool, Job, decode
from radalign.data.pixel_cache import PixelCache, PixelCacheError
from radalign.data.settings import DataSettings
from radalign.images.geometry import fit_square
from radalign.images.read import read_image
from radalign.study import Manifest, Study, View

SETTINGS = DataSettings(size_px=16)


def some_images(folder: Path, count: int = 6) -> Manifest:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (20, 30), dtype=np.uint8)).save(folder / f"{i}.png")
    return Manifest([Study(f"s{i}", f"p{i}", (View(f"{i}.png", "PA"),)) for i in range(count)], folder)


def all_paths(manifest: Manifest) -> list[Path]:
    return [manifest.image_path(view) for study in manifest for view in study.views]


def plain(path: Path, mode: str = "stretch") -> np.ndarray:
    return (fit_square(read_image(path), 16, mode) * 255).round().astype(np.uint8)


@pytest.mark.parametrize("mode", ["stretch", "crop", "pad"])
def test_the_cache_holds_what_reading_the_file_gives(tmp_path, mode):
    manifest = some_images(tmp_path / "images")
    cache = PixelCache.build(tmp_path / "pixels", manifest, DataSettings(size_px=16, geometry=mode))
    paths = all_paths(manifest)
    assert len(cache) == 6
    kept = cache.read(paths[::-1]).astype(int)
    assert np.abs(kept - np.stack([plain(path, mode) for path in paths[::-1]])).max() <= 1  # one grey level


def test_processes_decode_the_same_pixels(tmp_path):
    manifest = some_images(tmp_path / "images")
    (tmp_path / "images" / "3.png").write_bytes(b"broken")
    one = PixelCache.build(tmp_path / "one", manifest, SETTINGS, processes=1)
    two = PixelCache.build(tmp_path / "two", manifest, SETTINGS, processes=2)
    kept = [path for i, path in enumerate(all_paths(manifest)) if i != 3]
    assert np.array_equal(one.read(kept), two.read(kept))
    assert one.unreadable == two.unreadable
    assert len(one.unreadable) == 1


def test_nothing_is_decoded_twice(tmp_path, monkeypatch):
    manifest = some_images(tmp_path / "images")
    PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    monkeypatch.setattr(decoding, "read_square", lambda *_: pytest.fail("decoded again"))
    assert len(PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)) == 6


def test_a_changed_file_and_another_size_are_decoded_again(tmp_path):
    manifest = some_images(tmp_path / "images")
    PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    path = all_paths(manifest)[2]
    Image.new("L", (9, 9), 200).save(path)
    cache = PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    assert (cache.read([path]) == 200).all()
    assert np.array_equal(cache.read(all_paths(manifest)[3:4])[0], plain(all_paths(manifest)[3]))
    other = PixelCache.build(tmp_path / "pixels", manifest, DataSettings(size_px=24))
    assert other.read([path]).shape == (1, 24, 24)


def test_the_original_aspect_matters_for_crop_and_is_restored(tmp_path):
    manifest = some_images(tmp_path / "images", 1)
    squashed = View("0.png", "PA", original_width_px=60, original_height_px=20)
    wide = manifest.with_studies([Study("s0", "p0", (squashed,))])
    how = DataSettings(size_px=16, geometry="pad")
    first = PixelCache.build(tmp_path / "pixels", manifest, how).read(all_paths(manifest))
    second = PixelCache.build(tmp_path / "pixels", wide, how).read(all_paths(wide))
    assert not np.array_equal(first, second)
    oracle = fit_square(read_image(all_paths(manifest)[0]), 16, "pad", (60, 20))
    assert np.array_equal(second[0], (oracle * 255).round().astype(np.uint8))


def test_a_build_that_was_cut_short_goes_on(tmp_path, monkeypatch):
    manifest = some_images(tmp_path / "images", 10)
    monkeypatch.setattr(pixel_cache, "_TOGETHER", 3)
    decoded: list[str] = []

    class Dying(DecodingPool):
        def decode(self, jobs):
            decoded.extend(Path(job.path).name for job in jobs)
            if len(decoded) > 6:
                raise KeyboardInterrupt
            return super().decode(jobs)

    monkeypatch.setattr(pixel_cache, "DecodingPool", Dying)
    with pytest.raises(KeyboardInterrupt):
        PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    decoded.clear()
    decoded_before = {"0.png", "1.png", "2.png", "3.png", "4.png", "5.png"}
    cache = PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    assert set(decoded) == {f"{i}.png" for i in range(10)} - decoded_before
    assert np.array_equal(cache.read(all_paths(manifest)), np.stack([plain(p) for p in all_paths(manifest)]))


@pytest.mark.parametrize("victim", ["pixels.u8", "state.u8", "rows.jsonl"])
@pytest.mark.parametrize("keep", [0.0, 0.45])
def test_a_damaged_file_of_the_cache_is_made_good(tmp_path, victim, keep):
    manifest = some_images(tmp_path / "images")
    home = PixelCache.build(tmp_path / "pixels", manifest, SETTINGS).folder
    os.truncate(home / victim, int((home / victim).stat().st_size * keep))
    cache = PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    assert np.array_equal(cache.read(all_paths(manifest)), np.stack([plain(p) for p in all_paths(manifest)]))


def test_unreadable_and_missing_images_are_listed_and_tried_again(tmp_path):
    manifest = some_images(tmp_path / "images", 4)
    paths = all_paths(manifest)
    good = paths[1].read_bytes()
    paths[1].write_bytes(b"")
    paths[2].unlink()
    cache = PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    assert set(cache.unreadable) == {str(paths[1]), str(paths[2])}
    assert "0 bytes" in cache.unreadable[str(paths[1])]
    assert json.loads((cache.folder / "unreadable.json").read_text()) == cache.unreadable
    assert paths[0] in cache
    assert paths[1] not in cache
    with pytest.raises(PixelCacheError, match=r"has no cached pixels .*0 bytes"):
        cache.read([paths[1]])
    paths[1].write_bytes(good)
    assert paths[1] in PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)


def test_a_disk_without_room_is_a_sentence_before_any_work(tmp_path, monkeypatch):
    manifest = some_images(tmp_path / "images")
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(PixelCacheError, match=r"needs 0 MB .* has 0 MB left; free some space"):
        PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)


def test_a_disk_that_fills_up_keeps_what_was_decoded(tmp_path, monkeypatch):
    manifest = some_images(tmp_path / "images", 6)
    monkeypatch.setattr(pixel_cache, "_TOGETHER", 2)
    real, calls = os.fsync, []

    def filling(number):
        calls.append(number)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(PixelCacheError, match=r"No space left on device.* What was decoded before is kept"):
        PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    monkeypatch.setattr(os, "fsync", real)
    redone: list[str] = []
    monkeypatch.setattr(decoding, "decode", lambda job: redone.append(job.path) or decode(job))
    PixelCache.build(tmp_path / "pixels", manifest, SETTINGS)
    assert len(redone) == 2


def test_a_manifest_without_images_makes_an_empty_cache(tmp_path):
    assert len(PixelCache.build(tmp_path, Manifest([Study("a", "p")]), SETTINGS)) == 0


def test_a_decoder_that_crashes_costs_one_image(tmp_path, monkeypatch):
    manifest = some_images(tmp_path / "images", 3)
    jobs = [Job(str(path), 16) for path in all_paths(manifest)]
    code = "import os; from radalign.images.child import answer_all; answer_all(lambda job: os._exit(3))"
    with DecodingPool(2) as pool:
        first = pool._decoders[0]
        good = subprocess.Popen

        def crashing(arguments, **more):
            monkeypatch.setattr(subprocess, "Popen", good)
            return good([arguments[0], "-c", code], **more)

        monkeypatch.setattr(subprocess, "Popen", crashing)
        assert "decoder crashed" in first.decode(jobs[0])
        results = pool.decode(jobs)
    assert all(np.array_equal(r, plain(Path(job.path))) for r, job in zip(results, jobs, strict=True))


def test_any_error_of_a_reader_becomes_a_reason(tmp_path, monkeypatch):
    job = Job(str(some_images(tmp_path, 1).root / "0.png"), 16)
    monkeypatch.setattr(decoding, "read_square", lambda *_, **__: {}["no such key"])
    assert "cannot be decoded (KeyError: 'no such key')" in decode(job)
    monkeypatch.setattr(decoding, "read_square", lambda *_: np.zeros((1 << 60,)))
    assert "more memory than there is" in decode(job) or "cannot be decoded" in decode(job)
