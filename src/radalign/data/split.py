"""Splits by patient, from a seed: the same seed and patients give the same split on any machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from radalign.study import SPLITS, ManifestError, Study, with_split

DEFAULT_SHARES = (70.0, 10.0, 20.0)


def parse_shares(text: str) -> tuple[float, float, float]:
    """Read `70/10/20` as the shares of train, validate and test, in percent.

    Raises:
        ManifestError: If there are not three shares that sum to 100.

    >>> parse_shares("70/10/20")
    (70.0, 10.0, 20.0)
    """
    try:
        shares = tuple(float(part) for part in text.split("/"))
    except ValueError:
        shares = ()
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 100) > 1e-6:
        raise ManifestError(f"The split {text!r} is not three shares that sum to 100; write it as 70/10/20.")
    return shares[0], shares[1], shares[2]


def split_patients(
    patient_ids: Iterable[str],
    shares: tuple[float, float, float] = DEFAULT_SHARES,
    seed: int = 0,
    together: Iterable[tuple[str, str]] = (),
) -> dict[str, str]:
    """Give every patient a split: patients are sorted by SHA-256 of `seed:patient` and cut at the shares.

    Args:
        patient_ids: Any order, repeats allowed.
        shares: Percent of the patients in train, validate and test.
        seed: Another seed gives another split.
        together: Pairs of patients that must not be parted; they go where the first of them by name goes.

    >>> from collections import Counter
    >>> Counter(split_patients(map(str, range(100))).values()).most_common()
    [('train', 70), ('test', 20), ('validate', 10)]
    """
    leader = _leaders(together)
    groups: dict[str, list[str]] = {}
    for patient in sorted(set(patient_ids)):
        groups.setdefault(leader.get(patient, patient), []).append(patient)
    ranked = sorted(groups, key=lambda p: hashlib.sha256(f"{seed}:{p}".encode()).digest())
    first = round(len(ranked) * shares[0] / 100)
    second = round(len(ranked) * (shares[0] + shares[1]) / 100)
    parts = (ranked[:first], ranked[first:second], ranked[second:])
    return {
        patient: name
        for name, part in zip(SPLITS, parts, strict=True)
        for group in part
        for patient in groups[group]
    }


def _leaders(together: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Patient to the first by name of all patients it is tied to (union-find).

    >>> _leaders([("c", "b"), ("b", "a"), ("x", "y")])
    {'c': 'a', 'b': 'a', 'a': 'a', 'x': 'x', 'y': 'x'}
    """
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for one, other in together:
        first, second = sorted((top(one), top(other)))
        parent[second] = first
    return {name: top(name) for name in parent}


def split_studies(
    studies: Iterable[Study],
    shares: tuple[float, float, float] = DEFAULT_SHARES,
    seed: int = 0,
    together: Iterable[tuple[str, str]] = (),
) -> list[Study]:
    """Copies of the studies with their patient's split; see `split_patients`.

    >>> [s.split for s in split_studies([Study("a", "p"), Study("b", "p")], (100, 0, 0))]
    ['train', 'train']
    """
    studies = list(studies)
    return with_split(studies, split_patients((s.patient_id for s in studies), shares, seed, together))
