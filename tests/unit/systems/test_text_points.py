"""Texts before they get unit length: the same directions as the embeddings, and other lengths."""

from __future__ import annotations

import numpy as np
import pytest

from radalign.evaluate.pooling import Pooling, class_scores
from radalign.systems.base import create
from tests.unit.systems.conftest import REPORTS, TINY


@pytest.fixture(params=["clinvla", "convirt", "linear-heads"])
def both(request):
    known = [setting for setting in TINY if request.param == "clinvla" or "adapter" not in setting]
    system = create(request.param, known).eval()
    return system.embed_texts(REPORTS, normalise=False), system.embed_texts(REPORTS)


def test_they_point_where_the_embeddings_point(both):
    raw, unit = both
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.abs(lengths - 1).min() > 0.01
    np.testing.assert_allclose(raw / lengths, unit, atol=1e-6)


def test_only_the_published_pooling_heeds_their_length(both):
    raw, unit = both
    raw = raw * np.array([[1.0], [2.0], [4.0], [8.0]])
    for pooling in Pooling:
        one, two = (class_scores(unit[:2], [texts], pooling) for texts in (raw, unit))
        assert np.allclose(one, two, atol=1e-6) is (pooling is not Pooling.MEAN_THEN_NORMALISE)
