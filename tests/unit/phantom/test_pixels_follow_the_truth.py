"""What is placed shows: on the right side, in the right zone, more of it when there is more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radalign.data.phantom.case import Acquisition
from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.disease import moved
from radalign.data.phantom.organs import heart_parts
from radalign.data.phantom.render import camera_of, render
from radalign.data.phantom.thorax import Thorax
from radalign.data.phantom.truth import DISEASES, Placed, size_of

SIZE = 128
BRIGHTER = ("Effusion", "Consolidation", "Atelectasis", "Nodule")


def placed(name, side="", extent=0.5, location=""):
    return Placed(name, side, location, extent, size_of(name, extent), texture=5)


def change(healthy, *findings):
    """Image with findings minus the image without, per position; noise and exposure are the same."""
    with_, without = render(healthy.with_placed(findings), SIZE), render(healthy, SIZE)
    return {position: with_[position] - without[position] for position in with_}


def halves(image):
    """Mean over the patient's right and left half."""
    return float(image[:, : SIZE // 2].mean()), float(image[:, SIZE // 2 :].mean())


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", BRIGHTER)
def test_a_one_sided_density_brightens_its_own_side(healthy, name, side):
    right, left = halves(change(healthy, placed(name, side, 0.5, "upper lobe"))["PA"])
    own, other = (left, right) if side == "left" else (right, left)
    assert own > 0
    assert own > 4 * abs(other)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_pneumothorax_darkens_its_own_side(healthy, side):
    right, left = halves(change(healthy, placed("Pneumothorax", side))["PA"])
    own, other = (left, right) if side == "left" else (right, left)
    assert own < 0
    assert abs(own) > 4 * abs(other)


def test_the_brighter_base_is_the_side_with_the_effusion_in_drawn_patients():
    """Without a paired healthy image: the two bases of one radiograph, over many patients."""
    right_answers = total = 0
    for patient in range(24):
        case = patient_cases(3, patient, prior_share=0.0)[0]
        side = ("left", "right")[patient % 2]
        case = replace(case, placed=(placed("Effusion", side, 0.55),), acquisition=Acquisition())
        image = next(iter(render(case, SIZE).values()))
        base = image[int(0.62 * SIZE) : int(0.8 * SIZE)]
        right, left = base[:, 14:40].mean(), base[:, SIZE - 40 : SIZE - 14].mean()
        right_answers += (left > right) == (side == "left")
        total += 1
    assert right_answers == total


@pytest.mark.parametrize("name", DISEASES)
def test_more_of_it_changes_more_of_the_image(healthy, name):
    side = {"Edema": "both", "Cardiomegaly": ""}.get(name, "left")
    shown = [
        np.abs(change(healthy, placed(name, side, extent, "upper lobe"))["PA"]).sum()
        for extent in (0.1, 0.5, 0.9)
    ]
    assert 0 < shown[0] < shown[1] < shown[2]


def test_the_upper_edge_of_an_effusion_rises_with_its_extent(healthy):
    edges = []
    for extent in (0.05, 0.3, 0.5, 0.7, 0.95):
        rows = np.flatnonzero((change(healthy, placed("Effusion", "right", extent))["PA"] > 0.12).any(1))
        edges.append(int(rows.min()))
    assert edges == sorted(edges, reverse=True)
    assert len(set(edges)) == len(edges)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("lobe", ["upper lobe", "lower lobe"])
def test_a_nodule_stands_at_the_same_height_in_both_views(healthy, lobe, side):
    found = {}
    for position, image in change(healthy, placed("Nodule", side, 0.8, lobe)).items():
        weight = np.where(image > 0.5 * image.max(), image, 0)
        rows, columns = np.mgrid[:SIZE, :SIZE]
        camera = camera_of(healthy, position, SIZE)
        centre = [
            ((axis * weight).sum() / weight.sum() - (SIZE - 1) / 2) * camera.pixel_mm
            for axis in (columns, -rows)
        ]
        found[position] = camera, centre[0], centre[1] + (SIZE - 1) * camera.pixel_mm
    (front, u, front_up), (lateral, v, lateral_up) = found["PA"], found["LL"]
    x, y = u / front.magnification(0.0), v / lateral.magnification(0.0)  # where it is across and deep
    height_mm = front_up / front.magnification(y)
    assert height_mm == pytest.approx(lateral_up / lateral.magnification(x), abs=5.0)
    assert (height_mm > 0) == (lobe == "upper lobe")
    assert (x > 0) == (side == "left")


def test_a_nodule_has_its_stated_diameter(healthy):
    p = placed("Nodule", "right", 1.0, "upper lobe")
    image = change(healthy, p)["PA"]
    camera = camera_of(healthy, "PA", SIZE)
    area_px = (image > 0.4 * image.max()).sum()
    diameter_mm = 2 * np.sqrt(area_px / np.pi) * camera.pixel_mm / camera.magnification(0.0)
    assert diameter_mm == pytest.approx(p.size_mm, rel=0.2)


@pytest.mark.parametrize("name", ["Pacemaker", "Central line", "Endotracheal tube", "Enteric tube"])
def test_a_device_is_bright_in_both_views(healthy, name):
    p = Placed(name, "left", "subclavian", size_mm=30.0)
    for image in change(healthy, p).values():
        assert image.max() > 0.04
        assert image.min() > -0.12  # only the edge enhancement around metal darkens


def test_the_generator_of_a_pacemaker_is_on_its_side(healthy):
    for side in ("left", "right"):
        right, left = halves(change(healthy, Placed("Pacemaker", side))["PA"])
        assert (left > right) == (side == "left")


def heart_ratio(case):
    """Width of the heart over the width of the chest, from the lungs' outline in the volume."""
    thorax = moved(Thorax(case.anatomy), case.placed)
    low, high = [], []
    for (x, _, _), (along, up, _), turn in heart_parts(thorax):
        reach = max(
            abs(along * np.cos(t) * np.cos(turn) + up * np.sin(t) * np.sin(turn))
            for t in np.arange(0, 7, 0.01)
        )
        low.append(x - reach)
        high.append(x + reach)
    return (max(high) - min(low)) / (2 * case.anatomy.half_width_mm)


@pytest.mark.parametrize("patient", range(8))
def test_a_large_heart_is_wider_than_half_the_chest_and_a_normal_one_is_not(patient):
    case = patient_cases(5, patient, prior_share=0.0)[0].with_placed(())
    assert heart_ratio(case) < 0.5
    for extent in (0.0, 1.0):
        assert heart_ratio(case.with_placed((placed("Cardiomegaly", "", extent),))) > 0.515


def test_resolved_findings_leave_no_trace(healthy):
    gone = tuple(replace(placed(n, "left", 0.8, "upper lobe"), change="resolved") for n in DISEASES)
    for image in change(healthy, *gone).values():
        assert not image.any()
