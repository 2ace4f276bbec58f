"""The vectorised bootstrap equals a loop that really draws patients, and pairs systems."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radalign.evaluate.bootstrap import BootstrapError, Resamples, difference, interval
from radalign.evaluate.metrics import auc
from radalign.evaluate.statistic import average_of, mean_of, median_of

RANDOM = np.random.default_rng(1)
PATIENTS = [f"p{i}" for i in RANDOM.integers(0, 12, 40)]
VALUES = np.where(RANDOM.random(40) < 0.1, np.nan, RANDOM.normal(size=40).round(1))
PRESENT = RANDOM.random(40) < 0.5


def drawn_items(resamples):
    """For each resample, the items that a loop over drawn patients would collect."""
    for weights in np.concatenate(list(resamples.blocks())):
        yield np.repeat(np.arange(len(weights)), weights.astype(int))


@pytest.mark.parametrize(
    ("statistic", "slow"),
    [
        (mean_of(VALUES), lambda items: np.nanmean(VALUES[items])),
        (median_of(VALUES), lambda items: np.nanmedian(VALUES[items])),
        (
            auc(np.nan_to_num(VALUES), PRESENT),
            lambda items: roc_auc_score(PRESENT[items], np.nan_to_num(VALUES)[items]),
        ),
    ],
    ids=["mean", "median", "auc"],
)
def test_the_interval_equals_the_loop(statistic, slow):
    resamples = Resamples(PATIENTS, count=200, seed=4)
    found = [slow(items) for items in drawn_items(resamples)]
    got = interval(statistic, resamples)
    assert got.value == pytest.approx(slow(np.arange(40)))
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(found, [0.025, 0.975])))


def test_patients_are_drawn_whole_and_as_many_as_there_are():
    resamples = Resamples(PATIENTS, count=50, seed=0)
    first = {p: i for i, p in reversed(list(enumerate(PATIENTS)))}
    for weights in np.concatenate(list(resamples.blocks())):
        assert all(weights[i] == weights[first[p]] for i, p in enumerate(PATIENTS))
        assert sum(weights[i] for i in first.values()) == len(first) == resamples.patients


def test_the_draws_repeat_with_the_seed_and_do_not_depend_on_the_block_size(monkeypatch):
    whole = np.concatenate(list(Resamples(PATIENTS, 30, seed=7).blocks()))
    monkeypatch.setattr("radalign.evaluate.bootstrap.BLOCK_NUMBERS", 100)
    assert (np.concatenate(list(Resamples(PATIENTS, 30, seed=7).blocks())) == whole).all()
    assert (np.concatenate(list(Resamples(PATIENTS, 30, seed=8).blocks())) != whole).any()


def test_a_paired_difference_is_tighter_than_the_systems_themselves():
    skill = RANDOM.normal(size=300)
    first, second = skill + 0.05 + RANDOM.normal(size=300) * 0.05, skill
    resamples = Resamples(range(300), count=500)
    gap = difference(mean_of(first), mean_of(second), resamples)
    alone = interval(mean_of(first), resamples)
    assert 0 < gap.low < 0.05 < gap.high < 0.1
    assert gap.high - gap.low < 0.2 * (alone.high - alone.low)
    assert gap.p == pytest.approx(1 / 501)
    assert difference(mean_of(second), mean_of(second), resamples).p == 1.0


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        sample = np.random.default_rng(seed).exponential(size=60)
        got = interval(mean_of(sample), Resamples(range(60), count=200, seed=seed))
        covered += got.low <= 1.0 <= got.high
    assert 0.88 <= covered / 200 <= 0.99


def test_an_average_leaves_out_what_is_not_defined():
    empty = mean_of(np.full(40, np.nan))
    assert np.isnan(interval(empty, Resamples(PATIENTS)).low)
    assert average_of([mean_of(VALUES), empty]).value == pytest.approx(np.nanmean(VALUES))


def test_items_and_patients_must_match():
    with pytest.raises(BootstrapError, match="same items"):
        interval(mean_of(VALUES), Resamples(["a"]))
    with pytest.raises(BootstrapError, match="0 patients"):
        Resamples([])
