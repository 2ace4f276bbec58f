"""Collapse, hubs and the modality gap are seen where they were put."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings
from radalign.evaluate.figures import reliability_plot, space_plot
from radalign.evaluate.space import evaluate_space, gap, occurrences, skewness

RANDOM = np.random.default_rng(0)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def embeddings(image, text):
    ids = tuple(f"s{i}" for i in range(len(image)))
    return StudyEmbeddings(unit(image), unit(text), ids, ids, ({},) * len(image))


HEALTHY = RANDOM.normal(size=(120, 16))


def values(result, name):
    return {m.metric: m.value for m in result.measures if m.system == name}


def test_a_healthy_a_collapsed_and_a_gapped_space_are_told_apart():
    near = HEALTHY + RANDOM.normal(size=HEALTHY.shape) * 0.3
    shift = np.zeros(16)
    shift[0] = 6
    named = {
        "healthy": embeddings(HEALTHY, near),
        "collapsed": embeddings(shift + HEALTHY * 0.05, shift + near * 0.05),
        "gapped": embeddings(HEALTHY + shift, near - shift),
    }
    found = evaluate_space(named, resamples=30)
    healthy, collapsed, gapped = (values(found, name) for name in named)
    assert healthy["cosine to own report"] > 0.9
    assert abs(healthy["cosine to other reports"]) < 0.1
    assert collapsed["cosine to other reports"] > 0.95
    assert collapsed["effective rank"] < 2 < healthy["effective rank"]
    assert gapped["modality gap"] > 1.5 > 0.3 > healthy["modality gap"]
    assert "collapsed" in found.notes[1]
    assert "healthy" in found.notes[0]


def test_cosines_to_other_reports_equal_a_loop():
    given = embeddings(HEALTHY[:20], HEALTHY[20:40])
    found = values(evaluate_space({"a": given}, resamples=2), "a")
    scores = given.image @ given.text.T
    others = [np.mean([scores[i, j] for j in range(20) if j != i]) for i in range(20)]
    assert found["cosine to other reports"] == pytest.approx(np.mean(others), abs=1e-6)


def test_a_hub_is_counted():
    queries, candidates = unit(HEALTHY), unit(HEALTHY)
    candidates[7] = unit(queries.mean(axis=0, keepdims=True))[0] * 30  # near everything on its side
    counts = occurrences(queries, candidates, k=3)
    order = np.argsort(-(queries @ candidates.T), axis=1, kind="stable")[:, :3]
    assert counts.tolist() == [int((order == c).sum()) for c in range(120)]
    assert counts.argmax() == 7
    assert skewness(counts) > 3
    assert counts.sum() == 3 * 120


def test_the_gap_needs_reports():
    image = unit(HEALTHY)
    given = StudyEmbeddings(image, None, ("a",) * 120, ("a",) * 120, ({},) * 120)
    assert np.isnan(gap(given))
    with pytest.raises(EvaluationError, match="reports"):
        evaluate_space({"a": given})


def test_figures_are_drawn_for_every_system(tmp_path):
    named = {name: embeddings(HEALTHY, HEALTHY) for name in ("one", "two")}
    space_plot(evaluate_space(named, resamples=2).curves["space"], tmp_path / "deep" / "space.png")
    curve = {"count": [3, 0, 5], "predicted": [0.1, None, 0.9], "observed": [0.3, None, 0.8]}
    reliability_plot(
        {"one": {"effusion": curve, "nodule": curve}, "two": {"nodule": curve}}, tmp_path / "r.png"
    )
    for path, least in ((tmp_path / "deep" / "space.png", 700), (tmp_path / "r.png", 300)):
        with Image.open(path) as figure:
            assert min(figure.size) >= least
            assert np.asarray(figure.convert("L")).std() > 5  # something is drawn
