"""Splits by patient."""

from __future__ import annotations

from collections import Counter

import pytest

from radalign.data.split import parse_shares, split_patients, split_studies
from radalign.study import ManifestError, Study


def test_the_split_is_the_same_everywhere() -> None:
    # Pinned: a change of the rule silently moves patients between train and test.
    assert split_patients([f"p{n}" for n in range(10)], (50, 20, 30)) == {
        name: part for part, names in PINNED.items() for name in names
    }


PINNED = {"train": ["p0", "p2", "p4", "p5", "p7"], "validate": ["p3", "p8"], "test": ["p1", "p6", "p9"]}


def test_another_seed_gives_another_split() -> None:
    patients = [str(n) for n in range(1000)]
    assert split_patients(patients, seed=0) != split_patients(patients, seed=1)


def test_the_shares_are_kept_to_the_patient() -> None:
    assert Counter(split_patients(map(str, range(2870))).values()) == {
        "train": 2009,
        "validate": 287,
        "test": 574,
    }


def test_order_and_repeats_of_patients_do_not_matter() -> None:
    assert split_patients(["b", "a", "c", "a"]) == split_patients(["c", "b", "a"])


def test_all_studies_of_a_patient_go_together() -> None:
    studies = [Study(f"s{n}", f"p{n % 7}") for n in range(70)]
    together = {(s.patient_id, s.split) for s in split_studies(studies)}
    assert len(together) == 7


@pytest.mark.parametrize("text", ["70/30", "70/20/20", "a/b/c", "", "-10/50/60"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="70/10/20"):
        parse_shares(text)
