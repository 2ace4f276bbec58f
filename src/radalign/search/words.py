"""How well the words of a query fit reports: BM25, counted by Arrow over all reports at once."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_K1, _B = 1.2, 0.75


def bm25(query: str, reports: pa.ChunkedArray) -> np.ndarray:
    """BM25 of every report, float64 [N]; 0 where no word of the query occurs.

    Words are runs of letters and digits, case ignored. A word counts also where the report denies it ("no
    effusion"), so this is a weak voice beside embeddings.

    Args:
        query: Any text.
        reports: N texts.

    References:
        Robertson and Zaragoza 2009, The Probabilistic Relevance Framework, eq. 3.15, k1 = 1.2, b = 0.75, with
        the idf of Lucene, log(1 + (N - n + 0.5) / (n + 0.5)), which is never negative.

    >>> texts = pa.chunked_array([["Small effusion.", "Normal heart.", "No effusion, no nodule."]])
    >>> bm25("EFFUSION", texts).round(3).tolist()
    [0.524, 0.0, 0.39]
    """
    spaced = _spaced(reports)
    lengths = _numbers(pc.count_substring_regex(spaced, pattern=r" [^ ]+ "))
    share = lengths / max(lengths.mean(), 1.0) if len(lengths) else lengths
    total = np.zeros(len(lengths))
    for word in dict.fromkeys(re.findall(r"[^\W_]+", query.lower())):
        counts = _numbers(pc.count_substring(spaced, pattern=f" {word} "))
        holding = np.count_nonzero(counts)
        idf = np.log1p((len(counts) - holding + 0.5) / (holding + 0.5))
        total += idf * counts * (_K1 + 1) / (counts + _K1 * (1 - _B + _B * share))
    return total


def _spaced(reports: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lower case, every word between two spaces of its own: " small  effusion "."""
    lower = pc.utf8_lower(pc.fill_null(reports, ""))
    single = pc.replace_substring_regex(lower, pattern=r"[^\pL\pN]+", replacement="  ")
    return pc.binary_join_element_wise("  ", single, "  ", "")


def _numbers(counts: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(counts.to_numpy(), np.float64)
