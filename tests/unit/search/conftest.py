"""A few studies in an index of unit vectors, small enough to check by eye."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from radalign.data.settings import DataSettings
from radalign.images.read import read_image
from radalign.search.index import Index
from radalign.search.rows import Row
from radalign.study import Manifest, Report, Study, View

WIDTH = 4
AT = "/images"
ROWS = (
    Row("s1", "p1", ("PA", "LL"), ("1f", "1l"), AT, ("Edema",), (), (), "F", 30.0, report="Oedema."),
    Row("s2", "p1", ("AP",), ("2f",), AT, ("Edema", "Nodule"), (), (), "F", 31.0, split="test"),
    Row("s3", "p2", ("LATERAL",), ("3l",), AT, (), ("Edema",), ("Nodule",), "M", 70.0, source="openi"),
    Row("s4", "p3", ("",), ("4",), AT, ("No Finding",), report="Normal chest. Lungs clear."),
)


@pytest.fixture
def rows():
    return ROWS


@pytest.fixture
def four(tmp_path) -> Callable[..., Index]:
    """An index of four studies along the axes; s1 and s4 have reports."""

    def make(name="idx", dtype="float32"):
        index = Index.create(tmp_path / name, "a" * 64, WIDTH, name="toy", dtype=dtype)
        told = np.array([True, False, False, True])
        index.add(
            [r.study_id for r in ROWS],
            np.eye(WIDTH),
            ROWS,
            report_vectors=np.eye(WIDTH)[::-1],
            report_mask=told,
        )
        return index

    return make


class Toy:
    """A system whose space is a quarter circle: dark images and words at one end, bright at the other."""

    width = 2
    identity = "toy " * 16

    def __init__(self):
        self.recipe = SimpleNamespace(name="toy", data=DataSettings())
        self.embedded: list[str] = []

    def embed_studies(self, studies, manifest=None):
        studies = list(studies)
        means = [read_image(manifest.image_path(s.views[0])).mean() for s in studies]
        self.embedded += [s.id for s in studies]
        return self._at(means)

    def embed_texts(self, texts):
        return self._at([t.lower().count("bright") / max(len(t.split()), 1) for t in texts])

    def _at(self, shares):
        angles = np.array(shares, np.float64).reshape(-1, 1) * np.pi / 2
        return np.hstack([np.cos(angles), np.sin(angles)]).astype(np.float32)


@pytest.fixture
def toy():
    return Toy()


@pytest.fixture
def gallery(tmp_path):
    """Five studies from dark to bright; g4 has no report, g5 no view."""
    studies = []
    for i, report in enumerate(["dark dark", "dark dark bright", "bright dark", ""]):
        Image.fromarray(np.full((8, 8), 80 * i, np.uint8)).save(tmp_path / f"g{i + 1}.png")
        labels = {"Edema": 1} if i % 2 else {"Nodule": 1}
        views = (View(f"g{i + 1}.png", "PA"),)
        split = "test" if i < 2 else "train"
        studies.append(Study(f"g{i + 1}", f"p{i // 2}", views, Report(text=report), labels, split))
    return Manifest([*studies, Study("g5", "p9", (), Report(text="dark"), split="train")], tmp_path)
