"""Grounding: boxes land where the geometry puts them, metrics equal loops, real columns are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.data.batches import Embeddings, TextBatch
from radalign.data.settings import DataSettings
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.grounding import (
    Box,
    box_mask,
    contrast_to_noise,
    from_zero_to_one,
    mean_overlap,
    overlap,
    phrase_heatmap,
    points_inside,
)
from radalign.evaluate.protocols import ms_cxr
from radalign.evaluate.protocols.protocol import Options
from radalign.images.geometry import fit_square
from radalign.study import Manifest, Study, View


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["stretch", "crop", "pad"]),
    st.integers(20, 90), st.integers(20, 90),
    st.tuples(*[st.floats(0.05, 0.6)] * 2), st.tuples(*[st.floats(0.2, 0.4)] * 2),
)  # fmt: skip
def test_a_box_lands_where_its_pixels_land(geometry, width, height, corner, extent):
    box = Box(
        round(corner[0] * width),
        round(corner[1] * height),
        round(extent[0] * width),
        round(extent[1] * height),
    )
    image = np.zeros((height, width), np.float32)
    image[int(box.top) : int(box.bottom), int(box.left) : int(box.right)] = 1
    inside, valid = box_mask([box], width, height, 64, geometry)
    shown = fit_square(image, 64, geometry)
    assert shown[inside].min(initial=1.0) > 0.2  # blurred at the rim
    assert shown[valid & ~inside].max(initial=0.0) < 0.8
    assert not fit_square(np.ones_like(image), 64, geometry)[~valid].any()


def test_metrics_against_loops():
    random = np.random.default_rng(0)
    heat, inside, valid = random.normal(size=(6, 7)), random.random((6, 7)) < 0.3, random.random((6, 7)) < 0.8
    inside &= valid
    cells = [(i, j) for i in range(6) for j in range(7) if valid[i, j]]
    within = [heat[c] for c in cells if inside[c]]
    without = [heat[c] for c in cells if not inside[c]]
    want = (np.mean(within) - np.mean(without)) / np.sqrt(np.var(within) + np.var(without))
    assert contrast_to_noise(heat, inside, valid) == pytest.approx(want)
    assert points_inside(heat, inside, valid) == bool(inside[max(cells, key=lambda c: heat[c])])
    ious = []
    for t in (0.1, 0.2, 0.3, 0.4, 0.5):
        both = sum(heat[c] > t and inside[c] for c in cells)
        ious.append(both / sum(heat[c] > t or inside[c] for c in cells))
    assert mean_overlap(heat, inside, valid) == pytest.approx(np.mean(ious))
    scaled = from_zero_to_one(heat, valid)
    assert (scaled[valid].min(), scaled[valid].max()) == (0.0, 1.0)
    assert np.isnan(contrast_to_noise(heat, np.zeros_like(inside), valid))
    assert np.isnan(overlap(np.zeros_like(inside), np.zeros_like(inside), valid))


class Bright:
    """A fake local system: 4 x 4 patches whose angle grows with brightness; the phrase asks for bright."""

    def __init__(self):
        self.recipe = type(
            "Recipe", (), {"data": DataSettings(size_px=32, slots=("current_frontal", "current_lateral"))}
        )()

    def encode_images(self, images):
        first = (
            images.images[:, 0].float().reshape(-1, 4, 8, 4, 8).mean(dim=(2, 4)).flatten(1) / 255
        )  # [B, 16]
        local = torch.stack([first, (1 - first**2).sqrt()], -1)
        mask = torch.cat(
            [torch.ones(len(local), 16, dtype=torch.bool), torch.zeros(len(local), 16, dtype=torch.bool)], 1
        )
        return Embeddings(local[:, 0], torch.cat([local, local * 0], 1), mask)

    def tokenize(self, texts):
        return TextBatch(
            torch.ones(len(texts), 2, dtype=torch.long), torch.ones(len(texts), 2, dtype=torch.bool)
        )

    def encode_texts(self, texts):
        n = len(texts.input_ids)
        words = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).expand(n, 2, 2)
        return Embeddings(words[:, 0], words, torch.tensor([[True, False]]).expand(n, 2))


HEAD = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"


def image_path(i):
    return f"files/p10/p1000000{i}/s1/d{i}.jpg"


@pytest.fixture
def folder(tmp_path):
    """Three 64 x 64 images with one bright quarter; the second phrase's box is in the wrong place."""
    from PIL import Image

    lines = [HEAD]
    boxes = {0: (0, 0), 1: (32, 32), 2: (0, 0)}
    for i, (x, y) in boxes.items():
        pixels = np.full((64, 64), 40, np.uint8)
        pixels[0:32, 0:32] = 220
        (tmp_path / image_path(i)).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / image_path(i), quality=95)
        split = "val" if i == 2 else "test"
        lines.append(f"d{i},Pneumonia,bright spot {i},{image_path(i)},{x},{y},32,32,64,64,{split}")
    (tmp_path / "MS_CXR_Local_Alignment_v1.1.0.csv").write_text("\n".join(lines))
    return tmp_path


def values(result):
    return {m.metric: m.value for m in result.measures if not m.group}


def test_the_heatmap_is_the_cosine_of_patches_to_real_words(folder):
    study = Study("s", "p", (View(image_path(0), "FRONTAL"),))
    heat = phrase_heatmap(Bright(), study, Manifest([study], folder), "bright")
    assert heat.shape == (32, 32)
    assert heat[2, 2] == pytest.approx(220 / 255, abs=0.02)
    assert heat[28, 28] == pytest.approx(40 / 255, abs=0.02)


def test_paper_and_strict(folder):
    paper = ms_cxr.run({"fake": Bright()}, folder, Options(mode="paper", resamples=10))
    strict = ms_cxr.run({"fake": Bright()}, folder, Options(mode="strict", resamples=10))
    assert values(paper)["share pointing inside"] == pytest.approx(2 / 3)
    assert strict.settings["tuning phrases"] == 1
    assert strict.settings["thresholds"]["fake"] in ms_cxr.GRID
    assert paper.settings["thresholds"] == {}
    assert values(strict)["share pointing inside"] == pytest.approx(1 / 2)
    assert values(paper)["contrast-to-noise"] > 1  # the cold box counts as if it were hot
    assert abs(values(strict)["contrast-to-noise"]) < values(paper)["contrast-to-noise"]
    # With the threshold from val, the hot quarter is found exactly, and the wrong box not at all.
    assert values(strict)["IoU"] == pytest.approx(0.5, abs=0.05)
    assert {m.group for m in strict.measures} == {"", "Pneumonia"}


def test_boxes_of_one_phrase_are_joined(folder):
    table = folder / "MS_CXR_Local_Alignment_v1.1.0.csv"
    table.write_text(
        table.read_text() + f"\nd0,Pneumonia,bright spot 0,{image_path(0)},40,0,10,10,64,64,test"
    )
    assert sorted(len(p.boxes) for p in ms_cxr.read(folder)) == [1, 1, 2]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (",0,10,10,64,64", r"row 5: x = '', y = '0', w = '10', h = '10' is no box; use"),
        ("0,0,0,10,64,64", "row 5: .* is no box"),
        ("0,0,10,nan,64,64", "row 5: .* is no box"),
        ("0,0,10,10,,64", "row 5: '' x '64' is no size"),
    ],
)
def test_the_row_of_a_box_that_is_none_is_named(folder, row, sentence):
    table = folder / "MS_CXR_Local_Alignment_v1.1.0.csv"
    table.write_text(table.read_text() + f"\nd0,Pneumonia,another,{image_path(0)},{row},test")
    with pytest.raises(EvaluationError, match=f"MS_CXR_Local_Alignment_v1.1.0.csv, {sentence}"):
        ms_cxr.read(folder)


def test_a_system_without_local_embeddings_is_refused(folder):
    class Blind(Bright):
        def encode_images(self, images):
            return Embeddings(super().encode_images(images).global_)

    study = Study("s", "p", (View(image_path(0), "FRONTAL"),))
    with pytest.raises(EvaluationError, match="no local embeddings"):
        phrase_heatmap(Blind(), study, Manifest([study], folder), "bright")


def test_a_missing_image_is_named(folder):
    (folder / image_path(1)).unlink()
    with pytest.raises(EvaluationError, match="p10000001"):
        ms_cxr.read(folder)


def test_strict_mode_refuses_a_patient_in_val_and_test(folder):
    table = folder / "MS_CXR_Local_Alignment_v1.1.0.csv"
    table.write_text(table.read_text() + f"\nd0,Pneumonia,another,{image_path(0)},40,0,10,10,64,64,val")
    with pytest.raises(EvaluationError, match="first: p10000000"):
        ms_cxr.run({"fake": Bright()}, folder, Options(resamples=5))
    assert ms_cxr.run({"fake": Bright()}, folder, Options("paper", resamples=5)).measures
