"""Fusion adds ranks, BM25 counts words, each against a plain loop."""

import math
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.search.filters import Filter
from radalign.search.hybrid import fuse, fused_search
from radalign.search.words import bm25

NO_WORDS = {"images": 1.0, "reports": 1.0, "words": 0.0}
words = st.sampled_from(["effusion", "left", "no", "ÖDEM", "опухоль", "3cm", "the"])
texts = st.lists(words, max_size=8).map(lambda ws: ", ".join(ws) + ".")
scores = st.one_of(st.just(math.nan), st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]))


def bm25_by_loop(query, reports):
    split = [re.findall(r"[^\W_]+", r.lower()) for r in reports]
    mean = max(sum(map(len, split)) / len(split), 1.0)
    out = [0.0] * len(split)
    for word in set(re.findall(r"[^\W_]+", query.lower())):
        holding = sum(word in s for s in split)
        idf = math.log(1 + (len(split) - holding + 0.5) / (holding + 0.5))
        for i, s in enumerate(split):
            n = s.count(word)
            out[i] += idf * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * len(s) / mean))
    return out


@settings(max_examples=80, deadline=None)
@given(query=texts, reports=st.lists(texts, min_size=1, max_size=12))
def test_bm25_equals_a_loop(query, reports):
    assert bm25(query, pa.chunked_array([reports])) == pytest.approx(bm25_by_loop(query, reports))


def test_bm25_of_nothing_is_nothing():
    assert bm25("word", pa.chunked_array([[]], pa.string())).tolist() == []
    assert bm25("...", pa.chunked_array([["word"], [None]], pa.string())).tolist() == [0, 0]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(scores, scores), min_size=1, max_size=12))
def test_fusion_equals_a_loop(pairs):
    columns = list(zip(*pairs, strict=True))
    expected = [
        sum(
            weight / (60 + 1 + sum(other > own for other in column))
            for own, column, weight in zip(pair, columns, (1.0, 0.5), strict=True)
            if not math.isnan(own)
        )
        for pair in pairs
    ]
    opinions = {"a": np.array(columns[0]), "b": np.array(columns[1])}
    assert fuse(opinions, {"a": 1.0, "b": 0.5}) == pytest.approx(expected)


def test_fused_search_filters_first_and_breaks_ties_by_id(four):
    index = four()
    everything = fused_search(index, np.full(4, 0.5), k=9)
    assert [h.study_id for h in everything] == ["s1", "s4", "s2", "s3"], (
        "those with reports first, ties by id"
    )
    assert [round(h.percentile, 3) for h in everything] == [66.667, 66.667, 0, 0]
    [only] = fused_search(
        index, np.full(4, 0.5), k=1, where=Filter(labels=("Edema",), exclude_studies=("s1",))
    )
    assert (only.study_id, only.rank, only.percentile) == ("s2", 1, 0)


def test_words_can_decide(four):
    index = four()
    query = np.full(4, 0.5)  # no image and no report is nearer than another
    assert fused_search(index, query, k=1)[0].study_id == "s1"
    assert fused_search(index, query, "clear LUNGS", k=1)[0].study_id == "s4"
    assert fused_search(index, query, "clear lungs", k=1, weights=NO_WORDS)[0].study_id == "s1"
