"""A filter decides who may answer before anybody is ranked, and says so when a name is not there."""

import numpy as np
import pytest

from radalign.search.errors import SearchError
from radalign.search.filters import Filter
from radalign.search.rows import table_of


@pytest.fixture
def passing(rows):
    table = table_of(rows, [True] * 4)

    def run(**conditions):
        where = Filter(**conditions).resolve(table)
        return [row.study_id for row, ok in zip(rows, where.allowed(table), strict=True) if ok]

    return run


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["s1", "s2", "s3", "s4"]),
        ({"views": ("PA",)}, ["s1"]),
        ({"views": ("ap supine",)}, ["s2"]),
        ({"views": ("frontal",)}, ["s1", "s2"]),
        ({"views": ("lateral",)}, ["s1", "s3"]),
        ({"views": ("PA", "LL")}, ["s1"]),
        ({"views": ("AP", "LL")}, []),
        ({"labels": ("edema",)}, ["s1", "s2"]),
        ({"labels": ("Edema", "Nodule")}, ["s2"]),
        ({"not_labels": ("Edema",)}, ["s3", "s4"]),
        ({"not_labels": ("nodule",)}, ["s1", "s4"]),
        ({"sexes": ("f",)}, ["s1", "s2"]),
        ({"sexes": ("F", "M")}, ["s1", "s2", "s3"]),
        ({"min_age_years": 31}, ["s2", "s3"]),
        ({"max_age_years": 31}, ["s1", "s2"]),
        ({"min_age_years": 31, "max_age_years": 31}, ["s2"]),
        ({"sources": ("openi",)}, ["s3"]),
        ({"splits": ("test",)}, ["s2"]),
        ({"exclude_studies": ("s1", "nobody")}, ["s2", "s3", "s4"]),
        ({"exclude_patients": ("p1",)}, ["s3", "s4"]),
        ({"labels": ("Edema",), "exclude_studies": ("s1",), "sexes": ("F",)}, ["s2"]),
    ],
)
def test_conditions(passing, conditions, expected):
    assert passing(**conditions) == expected


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        ({"labels": ("Edma",)}, "no label 'Edma'; did you mean 'Edema'"),
        (
            {"not_labels": ("Zebra",)},
            "no label 'Zebra'; it holds Edema, No Finding, Nodule; use one of these",
        ),
        ({"views": ("oblique",)}, "no view 'oblique'; use one of PA, AP"),
        ({"splits": ("tset",)}, "no split 'tset'; did you mean 'test'"),
        ({"sources": ("nih",)}, "no source 'nih'; it holds openi"),
    ],
)
def test_an_unknown_name_gets_the_close_ones(passing, conditions, sentence):
    with pytest.raises(SearchError, match=sentence):
        passing(**conditions)


def test_an_index_without_labels_says_so():
    table = table_of([], [])
    with pytest.raises(SearchError, match="none at all; leave this filter out"):
        Filter(labels=("Edema",)).resolve(table)
    assert Filter().allowed(table).tolist() == []


def test_fewer_than_k_only_if_fewer_pass(four):
    index = four()
    worst_first = np.array([0.1, 0.2, 0.3, 0.9])
    query = worst_first / np.linalg.norm(worst_first)
    [hits] = index.search(query, 2, Filter(labels=("Edema",)))
    assert [h.study_id for h in hits] == ["s2", "s1"], "both that pass, though they score lowest of all"
    assert [h.percentile for h in hits] == pytest.approx([100 / 3, 0.0])
