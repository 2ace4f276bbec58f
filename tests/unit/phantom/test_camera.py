"""The projection is the line integral: against rays that are walked step by step, and against geometry."""

from __future__ import annotations

import numpy as np
import pytest

from radalign.data.phantom import grid
from radalign.data.phantom.camera import Camera, project_grains, project_volume
from radalign.data.phantom.grains import Grains, curve, fill, tube
from radalign.data.phantom.organs import ellipsoid

CAMERAS = [
    Camera("PA", 1830, 150, 360, 128),
    Camera("AP", 1150, 140, 360, 128, (6.0, -4.0)),
    Camera("LL", 1830, 200, 360, 128, (0.0, 5.0)),
]


def ball_volume(center, radius_mm, per_mm):
    b = grid.box(center, (radius_mm + 6,) * 3)
    volume = np.zeros(grid.SHAPE, np.float32)
    volume[b.at] = per_mm * ellipsoid(b, center, (radius_mm,) * 3)
    return volume


def walked(volume, camera, column, row):
    """Walk one ray from the detector's pixel to the source in small steps, nearest voxel."""
    middle = (camera.size_px - 1) / 2
    u, v = (column - middle) * camera.pixel_mm, (middle - row) * camera.pixel_mm
    total, step = 0.0, 0.5
    for depth in np.arange(-180, 180, step):
        zoom = camera.magnification(depth)
        across, up = u / zoom - camera.shift_mm[0], v / zoom - camera.shift_mm[1]
        point = (depth, across, up) if camera.position == "LL" else (across, depth, up)
        total += float(grid.at_points(volume, np.array([point], np.float32))[0]) * step
    return total


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda c: c.position)
def test_a_ray_walked_step_by_step_collects_the_same(camera):
    volume = ball_volume((30, -40, 50), 40, 0.02)
    image = project_volume(volume, camera)
    top = np.unravel_index(image.argmax(), image.shape)
    for row, column in [top, (top[0] + 6, top[1] - 8), (top[0] - 20, top[1]), (5, 5)]:
        assert image[row, column] == pytest.approx(walked(volume, camera, column, row), abs=0.09)


@pytest.mark.parametrize("camera", CAMERAS, ids=lambda c: c.position)
def test_a_ball_of_grains_projects_where_a_ball_of_voxels_does(camera):
    center, radius = (-45.0, 35.0, -30.0), 14.0
    voxels = project_volume(ball_volume(center, radius, 0.02), camera)
    at = np.arange(-radius, radius + 1, 1.0)
    points = np.stack(np.meshgrid(at, at, at), -1).reshape(-1, 3)
    points = points[np.linalg.norm(points, axis=1) <= radius] + np.array(center)
    amount = np.full(len(points), 0.02, np.float32)
    grains = project_grains(Grains(points.astype(np.float32), amount, np.zeros(len(points), np.int8)), camera)
    assert grains.sum() == pytest.approx(voxels.sum(), rel=0.05)
    rows, columns = np.mgrid[:128, :128]
    for axis in (rows, columns):
        assert (grains * axis).sum() / grains.sum() == pytest.approx(
            (voxels * axis).sum() / voxels.sum(), abs=0.3
        )


def test_an_ap_view_magnifies_the_heart_that_lies_in_front():
    front = -60.0
    assert CAMERAS[1].magnification(front) > CAMERAS[0].magnification(front)


def test_a_thing_on_the_patients_left_is_on_the_right_of_a_frontal_image():
    left = fill(np.array([[80.0, 0, 0]], np.float32), 3.0, 0.02)
    for camera in CAMERAS[:2]:
        column = project_grains(left, camera).sum(0).argmax()
        assert column > 64


def test_the_front_of_the_chest_is_on_the_left_of_a_lateral_image():
    front = fill(np.array([[0.0, -80, 0]], np.float32), 3.0, 0.02)
    assert project_grains(front, CAMERAS[2]).sum(0).argmax() < 64


def test_a_tube_weighs_what_its_solid_does():
    path = curve([(0, 0, -40), (0, 0, 40)])
    camera = CAMERAS[0]
    image = project_grains(tube(path, 2.0, 0.02), camera)
    mass = 0.02 * np.pi * 4 * 80 * (camera.magnification(0) / camera.pixel_mm) ** 2
    assert image.sum() == pytest.approx(mass, rel=0.02)


def test_kernels_keep_the_mass_at_any_size():
    ball = fill(np.array([[0.0, 0, 0]] * 4, np.float32), 3.5, 0.02)
    for size in (64, 256, 512):
        camera = Camera("PA", 1830, 150, 360, size)
        image = project_grains(ball, camera)
        assert image.sum() * camera.pixel_mm**2 == pytest.approx(
            float(ball.amount_mm2.sum()) * camera.magnification(0) ** 2, rel=1e-3
        )
