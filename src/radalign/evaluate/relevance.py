"""Which candidates are right answers to which queries, said block by block so that memory stays bounded.

Every class here has `queries`, `candidates` (counts) and `block(start, stop)`, which gives one row per query
of that range and one column per candidate: True where the candidate is right, or a gain above zero.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Relevance(Protocol):
    """What `rank` asks of a definition of "right"."""

    @property
    def queries(self) -> int:
        """How many queries."""

    @property
    def candidates(self) -> int:
        """How many candidates."""

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """Rows `start..stop`: bool or float gains, [stop - start, candidates]."""


@dataclass(frozen=True)
class Pairs:
    """One right candidate per query, by index; -1 where a query has none.

    Args:
        answers: Index of the right candidate, [Q].
        candidates: Size of the candidate pool.

    >>> Pairs(np.array([1, -1]), 3).block(0, 2).astype(int).tolist()
    [[0, 1, 0], [0, 0, 0]]
    """

    answers: NDArray[np.int64]
    candidates: int

    @property
    def queries(self) -> int:
        """How many queries."""
        return len(self.answers)

    def block(self, start: int, stop: int) -> NDArray[np.bool_]:
        """True at each query's own candidate."""
        answers = np.asarray(self.answers[start:stop])
        right = np.zeros((len(answers), self.candidates), dtype=bool)
        rows = np.flatnonzero(answers >= 0)
        right[rows, answers[rows]] = True
        return right


def own(count: int) -> Pairs:
    """Query i's right answer is candidate i: a study and its own report.

    >>> own(2).block(0, 2).tolist()
    [[True, False], [False, True]]
    """
    return Pairs(np.arange(count), count)


class SameGroup:
    """A candidate is right when it carries the query's group (patient, class, identical report text).

    Args:
        query_groups: One group per query.
        candidate_groups: One group per candidate.

    >>> SameGroup(["a", "b"], ["b", "a", "b"]).block(0, 2).astype(int).tolist()
    [[0, 1, 0], [1, 0, 1]]
    """

    def __init__(self, query_groups: Sequence[Hashable], candidate_groups: Sequence[Hashable]) -> None:
        code: dict[Hashable, int] = {}
        self._query = np.array([code.setdefault(g, len(code)) for g in query_groups], dtype=np.int32)
        self._candidate = np.array([code.setdefault(g, len(code)) for g in candidate_groups], dtype=np.int32)
        self.queries, self.candidates = len(self._query), len(self._candidate)

    def block(self, start: int, stop: int) -> NDArray[np.bool_]:
        """True where the groups are equal."""
        return np.equal(self._query[start:stop, None], self._candidate[None, :])


class SharedLabel:
    """A candidate is right when it shares at least one of the chosen labels with the query.

    Args:
        query_labels: Bool, [Q, L]: which of the L chosen labels each query has.
        candidate_labels: Bool, [C, L].

    >>> SharedLabel(np.array([[1, 1], [0, 0]], bool), np.array([[0, 1], [0, 0]], bool)).block(0, 2).tolist()
    [[True, False], [False, False]]
    """

    def __init__(self, query_labels: NDArray[np.bool_], candidate_labels: NDArray[np.bool_]) -> None:
        self._query = np.ascontiguousarray(query_labels, dtype=np.float32)
        self._candidate = np.ascontiguousarray(np.asarray(candidate_labels, dtype=np.float32).T)
        self.queries, self.candidates = len(self._query), self._candidate.shape[1]

    def block(self, start: int, stop: int) -> NDArray[np.bool_]:
        """True where at least one label is shared."""
        return self._shared(start, stop) > 0

    def _shared(self, start: int, stop: int) -> NDArray[np.float32]:
        shared: NDArray[np.float32] = self._query[start:stop] @ self._candidate  # [b, C] labels in common
        return shared


class LabelOverlap(SharedLabel):
    """Graded gains for nDCG: shared labels over all labels of the two (Jaccard), in 0..1.

    >>> LabelOverlap(np.array([[1, 1]], bool), np.array([[0, 1], [1, 1], [0, 0]], bool)).block(0, 1).tolist()
    [[0.5, 1.0, 0.0]]
    """

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """Jaccard overlap of the label sets; 0 where both are empty."""
        shared = self._shared(start, stop)
        either = self._query[start:stop].sum(axis=1, keepdims=True) + self._candidate.sum(axis=0) - shared
        overlap: NDArray[np.float32] = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
        return overlap


class Listed:
    """Right answers given as a list of candidate indices per query.

    Args:
        answers: For each query, the indices of its right candidates.
        candidates: Size of the candidate pool.

    >>> Listed([[0, 2], []], 3).block(0, 2).astype(int).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """

    def __init__(self, answers: Sequence[Sequence[int]], candidates: int) -> None:
        self._answers, self.queries, self.candidates = answers, len(answers), candidates

    def block(self, start: int, stop: int) -> NDArray[np.bool_]:
        """True at the listed candidates."""
        listed = self._answers[start:stop]
        right = np.zeros((len(listed), self.candidates), dtype=bool)
        for row, indices in zip(right, listed, strict=True):
            row[np.asarray(indices, dtype=np.int64)] = True
        return right


def label_matrix(
    positives: Sequence[Sequence[str] | frozenset[str]], labels: Sequence[str]
) -> NDArray[np.bool_]:
    """Which of the chosen labels each item has, bool [N, L].

    >>> label_matrix([("Edema",), ("Nodule", "Edema")], ["Nodule", "Edema"]).astype(int).tolist()
    [[0, 1], [1, 1]]
    """
    return np.array([[label in have for label in labels] for have in positives], dtype=bool).reshape(
        len(positives),
        len(labels),  # [N, L], also for no items or no labels
    )
