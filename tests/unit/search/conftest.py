"""A few studies in an index of unit vectors, small enough to check by eye."""

from collections.abc import Callable

import numpy as np
import pytest

from radalign.search.index import Index
from radalign.search.rows import Row

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
