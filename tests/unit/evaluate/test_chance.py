"""The expectations by chance equal the average over all or very many random rankings."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from radalign.evaluate import chance
from radalign.evaluate.ranked import joined
from radalign.evaluate.ranking import rank_scores
from radalign.evaluate.relevance import Listed


def every_ranking(pool, right, ks):
    """All orders of a pool, as one `Ranked` whose queries are the orders."""
    orders = np.array(list(permutations(range(pool))), dtype=np.float32)
    answers = Listed([range(right)] * len(orders), pool)
    return rank_scores(lambda a, b: orders[a:b], {"": answers}, ks, average_precision=True)[""]


@pytest.mark.parametrize(("pool", "right"), [(5, 1), (6, 2), (5, 4), (4, 4)])
def test_expectations_equal_the_average_over_all_orders(pool, right):
    found = every_ranking(pool, right, ks=(1, 3, 9))
    for k in (1, 3, 9):
        assert chance.precision(found, k)[0] == pytest.approx(found.precision(k).mean())
        assert chance.recall(found, k)[0] == pytest.approx(found.recall(k).mean())
        assert chance.ndcg(found, k)[0] == pytest.approx(found.ndcg(k).mean())
        assert chance.hit(found, k)[0] == pytest.approx(found.hit(k).mean())
    assert chance.reciprocal_rank(found)[0] == pytest.approx(found.reciprocal_rank().mean())
    assert chance.average_precision(found)[0] == pytest.approx(found.average_precision().mean())
    assert chance.median_rank(found) == np.median(found.rank())


def test_the_median_rank_mixes_queries_of_different_pools():
    found = joined([every_ranking(5, 1, (1,)), every_ranking(5, 1, (1,)), every_ranking(5, 3, (1,))])
    assert chance.median_rank(found) == np.median(found.rank())


def test_a_query_without_a_right_answer_has_no_chance():
    found = every_ranking(3, 0, (1,))
    assert np.isnan(chance.precision(found, 1)).all()
    assert np.isnan(chance.hit(found, 1)).all()
    assert np.isnan(chance.median_rank(found))


def test_large_pools_stay_exact():
    found = rank_scores(lambda a, b: np.zeros((1, 20_000), np.float32), {"": Listed([[7]], 20_000)}, (10,))[
        ""
    ]
    assert chance.hit(found, 10)[0] == pytest.approx(10 / 20_000)
    assert chance.median_rank(found) == 10_000.5
