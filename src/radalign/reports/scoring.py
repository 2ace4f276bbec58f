"""How well the assertions agree with hand-labelled sentences: precision, recall, F1 by finding and status.

Two halves, both of sentences written for this project: `development`, which the rules were built on, and
`held_out`, written apart by somebody who knew neither. What the rules did at their first look at it stands in
docs/results/reports.md; rules were mended since, so that today's score of either half is no test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from radalign.reports.assertions import CHANGES, STATUSES, Assertion, assert_sentence
from radalign.reports.lexicon import Lexicon, default_lexicon
from radalign.reports.sentences import split_sentences

HALVES = ("development", "held_out")
_SIGNS = {"+": "present", "-": "absent", "?": "unsure"}


@dataclass(frozen=True)
class Labelled:
    """A sentence and what it asserts, by hand."""

    sentence: str
    assertions: frozenset[Assertion]


@dataclass(frozen=True)
class Score:
    """Agreement of predicted with true items.

    >>> Score(right=8, predicted=10, true=16).f1
    0.6153846153846154
    """

    right: int
    predicted: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the predicted that is true; 1 when nothing was predicted."""
        return self.right / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        """Share of the true that was predicted; 1 when nothing was true."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.right / (self.predicted + self.true) if self.predicted + self.true else 1.0


@dataclass(frozen=True)
class Agreement:
    """Scores of one set.

    Args:
        sentences: How many sentences.
        statuses: Per status (`present`, `absent`, `unsure`): finding and status must both be right.
        changes: Per change: finding and change must both be right.
        findings: Per finding, every status together.
        misses: (sentence, what was missed, what was invented) of every sentence that is not wholly right.
    """

    sentences: int
    statuses: Mapping[str, Score]
    changes: Mapping[str, Score]
    findings: Mapping[str, Score]
    misses: tuple[tuple[str, tuple[Assertion, ...], tuple[Assertion, ...]], ...]


def read_labelled(half: str | Path, lexicon: Lexicon | None = None) -> tuple[Labelled, ...]:
    """Read `development`, `held_out` or a file of your own in the same form.

    Raises:
        ValueError: If the half is unknown, or a line cannot be read or names no finding of the lexicon.
    """
    if str(half) in HALVES:
        text = (
            resources.files("radalign.reports").joinpath(f"labelled_{half}.tsv").read_text(encoding="utf-8")
        )
    elif Path(half).is_file():
        text = Path(half).read_text(encoding="utf-8")
    else:
        raise ValueError(f"There is no labelled set {str(half)!r}; use {', '.join(HALVES)} or a file's path.")
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    lexicon = lexicon or default_lexicon()
    return tuple(_labelled(line, lexicon) for line in lines)


def agreement(labelled: Iterable[Labelled], lexicon: Lexicon | None = None) -> Agreement:
    """Assert every sentence and compare with its labels."""
    labelled = tuple(labelled)
    right, predicted, true = (
        Counter[tuple[str, str]](),
        Counter[tuple[str, str]](),
        Counter[tuple[str, str]](),
    )
    misses = []
    for item in labelled:
        found = {a for s in split_sentences(item.sentence) for a in assert_sentence(s, lexicon)}
        for counter, assertions in ((predicted, _items(found)), (true, _items(item.assertions))):
            counter.update(key for _, key in assertions)
        right.update(key for _, key in _items(found) & _items(item.assertions))
        if found != item.assertions:
            misses.append((item.sentence, _sorted(item.assertions - found), _sorted(found - item.assertions)))

    def scores(kind: str, names: Iterable[str]) -> dict[str, Score]:
        return {n: Score(right[kind, n], predicted[kind, n], true[kind, n]) for n in names}

    names = sorted({name for kind, name in (*predicted, *true) if kind == "finding"})
    return Agreement(
        len(labelled),
        scores("status", STATUSES),
        scores("change", CHANGES),
        scores("finding", names),
        tuple(misses),
    )


def _items(assertions: Iterable[Assertion]) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    """((finding, value), (kind of score, name of score)) of everything that can be right or wrong."""
    out = set()
    for a in assertions:
        out.add(((a.finding, a.status), ("status", a.status)))
        out.add(((a.finding, a.status), ("finding", a.finding)))
        if a.change:
            out.add(((a.finding, a.change), ("change", a.change)))
    return out


def _sorted(assertions: Iterable[Assertion]) -> tuple[Assertion, ...]:
    return tuple(sorted(assertions, key=lambda a: a.finding))


def _labelled(line: str, lexicon: Lexicon) -> Labelled:
    sentence, _, labels = line.partition("\t")
    parts = filter(None, map(str.strip, labels.split(";")))
    try:
        return Labelled(sentence, frozenset(a for part in parts for a in _assertions(part, lexicon)))
    except KeyError as error:
        raise ValueError(
            f"Cannot read the labels of {line!r}; write +, - or ? before each finding."
        ) from error


def _assertions(text: str, lexicon: Lexicon) -> tuple[Assertion, ...]:
    """One, or one for each finding that the named one stands for ("Hydropneumothorax")."""
    sign, label = _SIGNS[text[0]], text[1:].strip()
    name, _, last = label.rpartition(" ")
    if last not in CHANGES:
        name, last = label, ""
    stands_for = lexicon.implies.get(name) or ((name,) if name in lexicon.names else ())
    if not stands_for:
        near = get_close_matches(name, lexicon.names, 1)
        hint = f"did you mean {near[0]!r}?" if near else "see findings.toml and devices.toml for the names."
        raise ValueError(f"{name!r} is no finding; {hint}")
    return tuple(Assertion(each, sign, last) for each in stands_for)
