"""The ranking metrics equal a plain loop, for any scores, ties, right answers and exclusions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from radalign.evaluate.order import RankingError, top_k
from radalign.evaluate.ranking import rank, rank_scores
from radalign.evaluate.relevance import LabelOverlap, Listed, Pairs, SameGroup, SharedLabel, own

KS = (1, 2, 5, 40)


class Given:
    """A relevance that is simply a matrix."""

    def __init__(self, matrix):
        self.matrix, (self.queries, self.candidates) = matrix, matrix.shape

    def block(self, start, stop):
        return self.matrix[start:stop]


@st.composite
def problems(draw):
    """Scores with many ties and signs, gains with many zeros, some exclusions."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 12)))
    level = st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0])
    scores = draw(hnp.arrays(np.float32, shape, elements=level))
    gains = draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.0, 0.5, 1.0])))
    hidden = draw(hnp.arrays(bool, shape))
    return scores, gains, hidden


def loop(scores, gains, hidden, k):
    """One query, said as slowly and plainly as possible."""
    order = sorted((c for c in range(len(scores)) if not hidden[c]), key=lambda c: (-scores[c], c))
    right = [gains[c] > 0 for c in order]
    total = sum(right)
    if total == 0:
        return None
    first = right.index(True) + 1
    hits = sum(right[:k])
    precisions = [sum(right[: i + 1]) / (i + 1) for i in range(len(order)) if right[i]]
    dcg = sum(gains[c] / math.log2(i + 2) for i, c in enumerate(order[:k]))
    best = sorted((gains[c] for c in order), reverse=True)[:k]
    idcg = sum(g / math.log2(i + 2) for i, g in enumerate(best))
    return {
        "first": first, "precision": hits / k, "recall": hits / total, "hit": float(hits > 0),
        "ap": sum(precisions) / total, "ndcg": dcg / idcg, "pool": len(order),
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(problems(), st.booleans(), st.booleans(), st.integers(1, 300))
def test_every_metric_equals_the_loop(problem, use_hidden, graded, block_bytes):
    scores, gains, hidden = problem
    gains = gains if graded else gains > 0
    hidden = hidden if use_hidden else np.zeros_like(hidden)
    found = rank_scores(
        lambda a, b: scores[a:b],
        {"": Given(gains)},
        KS,
        exclude=Given(hidden) if use_hidden else None,
        average_precision=True,
        block_bytes=block_bytes,
    )[""]
    for q in range(len(scores)):
        for k in KS:
            expected = loop(scores[q], gains[q].astype(float), hidden[q], k)
            if expected is None:
                assert found.first_rank[q] == 0
                assert np.isnan(
                    [found.precision(k)[q], found.recall(k)[q], found.average_precision()[q]]
                ).all()
                continue
            assert found.first_rank[q] == expected["first"]
            assert found.pool[q] == expected["pool"]
            got = [found.precision(k)[q], found.recall(k)[q], found.hit(k)[q], found.ndcg(k)[q]]
            want = [expected[name] for name in ("precision", "recall", "hit", "ndcg")]
            assert got == pytest.approx(want, abs=1e-12)
            assert found.average_precision()[q] == pytest.approx(expected["ap"], abs=1e-12)
            assert found.reciprocal_rank()[q] == pytest.approx(1 / expected["first"])


@settings(max_examples=60, deadline=None)
@given(problems())
def test_the_partition_path_equals_the_full_sort(problem):
    scores, gains, hidden = problem
    settings_ = {"relevances": {"": Given(gains > 0)}, "ks": (1, 3), "exclude": Given(hidden)}
    short = rank_scores(lambda a, b: scores[a:b], **settings_)[""]
    full = rank_scores(lambda a, b: scores[a:b], **settings_, average_precision=True)[""]
    with pytest.raises(RankingError, match="average_precision=True"):
        short.average_precision()
    for name in ("first_rank", "hits", "right", "pool"):
        assert (getattr(short, name) == getattr(full, name)).all()
    assert np.allclose(short.discounted_gain, full.discounted_gain)


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(1, 15))
def test_top_k_is_a_stable_sort(problem, k):
    scores, _, hidden = problem
    got = top_k(scores, k, hidden)
    for q in range(len(scores)):
        order = sorted(
            (c for c in range(scores.shape[1]) if not hidden[q, c]), key=lambda c: (-scores[q, c], c)
        )
        want = (order + [-1] * scores.shape[1])[: min(k, scores.shape[1])]
        assert got[q].tolist() == want


def test_a_constant_system_ranks_its_answers_by_index_which_is_chance():
    found = rank(np.ones((50, 4)), np.ones((50, 4)), own(50), ks=(10,))
    assert found.first_rank.tolist() == list(range(1, 51))
    assert np.mean(found.recall(10)) == pytest.approx(10 / 50)


def test_relevances_agree_with_their_definitions():
    rng = np.random.default_rng(0)
    have, want = rng.random((7, 3)) < 0.4, rng.random((9, 3)) < 0.4
    shared = SharedLabel(have, want).block(0, 7)
    overlap = LabelOverlap(have, want).block(2, 5)
    for q in range(7):
        for c in range(9):
            assert shared[q, c] == bool((have[q] & want[c]).any())
    for q in range(2, 5):
        for c in range(9):
            both, either = (have[q] & want[c]).sum(), (have[q] | want[c]).sum()
            assert overlap[q - 2, c] == pytest.approx(both / either if either else 0.0)
    answers = [[1, 4], [], [0]]
    assert (Listed(answers, 5).block(0, 3) == [[c in a for c in range(5)] for a in answers]).all()
    groups = rng.integers(0, 3, 9)
    assert (SameGroup(groups.tolist(), groups.tolist()).block(3, 6) == (groups[3:6, None] == groups)).all()
    assert (Pairs(np.array([2, 0]), 3).block(1, 2) == [[True, False, False]]).all()


@pytest.mark.parametrize(
    ("queries", "candidates", "ks", "words"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), (1,), "same system"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), (1,), "NaN"),
        (np.ones((2, 3)), np.ones((2, 3)), (0,), "1 or more"),
        (np.ones((2, 3)), np.ones((3, 3)), (1,), "differ in shape"),
        (np.ones((0, 3)), np.ones((0, 3)), (1,), "no queries"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_a_sentence(queries, candidates, ks, words):
    with pytest.raises(RankingError, match=words):
        rank(queries, candidates, own(len(candidates)), ks)


def test_a_cut_off_that_was_not_counted_is_refused():
    with pytest.raises(RankingError, match="k = 3"):
        rank(np.eye(2), np.eye(2), own(2), ks=(1,)).recall(3)
