"""Names, dates, phones, addresses and record numbers out of text.

What is found is what the header names (`names`: the patient, physicians, institution; and its numbers), what
has the shape of an identifier (`shapes`), and names after a title (`titles`). A name that stands in no header
and after no title is not found; the audit says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from radalign.deidentify.names import find_names
from radalign.deidentify.shapes import SHAPES, Shape
from radalign.deidentify.titles import TITLED

_SHORTEST_NUMBER = 3
_LOOSE_NUMBER = 5  # from here on, MRN-00123 is also found as MRN 00123, and 0012345 as 12345
_ROUNDS = 4  # taking one thing out can bring another together; more than two rounds were never seen


@dataclass
class Scrubbed:
    """A text without what was found, and how much of what kind was found.

    >>> Scrubbed("x", Counter({"NAME": 2})).removed
    2
    """

    text: str
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def removed(self) -> int:
        """How many pieces were removed."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Identities:
    """What the headers say about who and where.

    Args:
        names: Names of persons, as written; DICOM's `^` and `=` allowed.
        numbers: Patient ids, accession numbers, phone numbers, ... as written.
        places: Institutions and addresses: the whole phrase goes, and words that are theirs alone.
    """

    names: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()

    def __or__(self, other: Identities) -> Identities:
        return Identities(self.names | other.names, self.numbers | other.numbers, self.places | other.places)


def scrub(text: str, known: Identities = Identities()) -> Scrubbed:
    """Replace what identifies by its kind in brackets.

    >>> known = Identities(frozenset({"DOE^JANE"}), frozenset({"A-77"}))
    >>> scrub("Jane Doe (A-77), seen 3/4/2021 by Dr. Smith, pager 4567.", known).text
    '[NAME] ([ID]), seen [DATE] by Dr. [NAME], [PHONE].'
    """
    whole = Scrubbed(text)
    for _ in range(_ROUNDS):
        once = _scrub_once(whole.text, known)
        whole = Scrubbed(once.text, whole.counts + once.counts)
        if not once.removed:
            break
    return whole


def _scrub_once(text: str, known: Identities) -> Scrubbed:
    counts: Counter[str] = Counter()
    for shape in (*_number_shapes(known.numbers), *SHAPES):
        text, found = shape.removed_from(text)
        counts[shape.kind] += found
    spans = find_names(text, known.names, known.places)
    for start, end in reversed(spans):
        text = f"{text[:start]}[NAME]{text[end:]}"
    counts["NAME"] += len(spans)
    for shape in TITLED:
        text, found = shape.removed_from(text)
        counts[shape.kind] += found
    text = re.sub(r"\[NAME\](?:[\s,]+\[NAME\])+", "[NAME]", text)
    return Scrubbed(text, +counts)


@lru_cache(maxsize=512)
def _number_shapes(numbers: frozenset[str]) -> tuple[Shape, ...]:
    """The numbers of a header, the longest first."""
    return tuple(_number_shape(n) for n in sorted((n.strip() for n in numbers), key=lambda n: (-len(n), n))
                 if len(n) >= _SHORTEST_NUMBER)  # fmt: skip


def _number_shape(number: str) -> Shape:
    """A number however it is divided; it may touch letters where it begins or ends with a digit."""
    groups = re.findall(r"[^\W_]+", number)
    if sum(map(len, groups)) < _LOOSE_NUMBER:
        return Shape("ID", re.compile(rf"(?<![^\W_]){re.escape(number)}(?![^\W_])", re.IGNORECASE))
    body = r"[\W_]?".join(_loose(group) for group in groups)
    before = r"(?<!\d)" if groups[0][0].isdigit() else r"(?<![^\W_])"
    after = r"(?!\d)" if groups[-1][-1].isdigit() else r"(?![^\W_])"
    return Shape("ID", re.compile(f"{before}{body}{after}", re.IGNORECASE))


def _loose(group: str) -> str:
    """A run of letters and digits, divided where they meet, leading zeros or none."""
    return r"[\W_]?".join(_spelled(run) for run in _runs(group))


def _runs(group: str) -> Iterator[str]:
    return (found[0] for found in re.finditer(r"\d+|\D+", group))


def _spelled(run: str) -> str:
    core = run.lstrip("0")
    return f"0*{core}" if core.isdigit() and len(core) >= _LOOSE_NUMBER else re.escape(run)
