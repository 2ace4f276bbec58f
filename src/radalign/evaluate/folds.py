"""Cross-validation folds: stratified as scikit-learn makes them, or whole patients."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def stratified_folds(labels: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of every case, equal to scikit-learn's shuffled `StratifiedKFold` with this random state.

    Args:
        labels: Class of every case, [N].
        folds: Number of folds; every class needs at least as many cases.
        seed: Of the shuffle.

    Raises:
        ValueError: If a class is smaller than the number of folds.

    >>> stratified_folds(np.array([0, 0, 1, 1]), 2, 0).tolist()
    [1, 0, 0, 1]
    """
    _, first, codes, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    if sizes.min() < folds:
        raise ValueError(f"A class has {sizes.min()} cases, fewer than {folds} folds; use fewer folds.")
    by_appearance = np.argsort(np.argsort(first))  # scikit-learn numbers classes as they first appear
    codes = by_appearance[codes]
    ordered = np.sort(codes)
    share = np.stack(
        [np.bincount(ordered[i::folds], minlength=len(sizes)) for i in range(folds)]
    )  # [folds, C]
    random = np.random.RandomState(seed)  # the legacy generator gives scikit-learn's shuffle
    fold_of = np.empty(len(codes), dtype=np.int64)
    for c in range(len(sizes)):
        mine = np.arange(folds).repeat(share[:, c])
        random.shuffle(mine)
        fold_of[codes == c] = mine
    return fold_of


def patient_folds(patient_ids: Sequence[Hashable], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of every case such that no patient is in two folds; patients are dealt out at random.

    >>> found = patient_folds(["a", "a", "b"], 2, 0)
    >>> bool(found[0] == found[1]), sorted(set(found.tolist()))
    (True, [0, 1])
    """
    patients = list(dict.fromkeys(patient_ids))
    dealt = np.random.default_rng(seed).permutation(len(patients)) % folds
    fold = dict(zip(patients, dealt.tolist(), strict=True))
    return np.array([fold[p] for p in patient_ids], dtype=np.int64)
