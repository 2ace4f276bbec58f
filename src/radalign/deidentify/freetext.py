"""Names, dates, phones, addresses and record numbers out of free text.

What is found is what the header names (the patient, physicians, institution, numbers) and what has the shape
of an identifier. A name that stands in no header and after no title is not found; the audit says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_PAGER = r"pager|beeper|phone|tel|ext|extension|fax|x"
_RECORD = (
    r"mrn|medical record (?:number|no\.?)|record (?:number|no\.?)|acc(?:ession)?(?: (?:number|no\.?))?|"
    r"patient id|id|ssn|case"
)
_YEAR = r"(?:19|20)\d{2}"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("EMAIL", re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b")),
    ("URL", re.compile(r"\bhttps?://\S+", re.IGNORECASE)),
    ("UID", re.compile(r"\b[012](?:\.\d+){5,}\b")),
    ("DATE", re.compile(rf"\b{_YEAR}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:T[\d:.]+Z?)?\b")),
    ("DATE", re.compile(rf"\b\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:{_YEAR}|\d{{2}})\b")),
    ("DATE", re.compile(rf"\b{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+{_YEAR})?\b", re.IGNORECASE)),
    ("DATE", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?[\s-]+{_MONTH}\.?(?:[\s,-]+(?:{_YEAR}|\d{{2}}))?\b",
                        re.IGNORECASE)),
    ("DATE", re.compile(rf"\b{_MONTH}\.?\s+{_YEAR}\b", re.IGNORECASE)),
    ("DATE", re.compile(r"\b(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b")),
    ("DATE", re.compile(r"\b\d{1,2}/\d{1,2}(?=\s+(?:at|and|exam|study|film|radiograph)\b)")),
    ("PHONE", re.compile(r"(?<![\w.])(?:\+?\d{1,3}[\s.-]?)?(?:\(\d{3}\)\s?|\d{3}[\s.-])\d{3}[\s.-]\d{4}\b")),
    ("PHONE", re.compile(r"(?<![\w.])\+\d{1,3}(?:[\s.-]?\d{2,4}){2,5}\b")),
    ("PHONE", re.compile(rf"\b(?:{_PAGER})\.?\s*[:#]?\s*\d{{3,}}(?:-\d+)?\b", re.IGNORECASE)),
    ("ID", re.compile(rf"\b(?:{_RECORD})\s*[:#]?\s*(?=[\w-]*\d)[\w-]{{4,}}\b", re.IGNORECASE)),
    ("ID", re.compile(r"\b\d{3}-\d{2}-\d{4}\b")),
    ("ID", re.compile(r"\b\d{7,}\b")),
)  # fmt: skip
_CAPITAL = r"[A-Z][\w'’-]+"
_TITLED = re.compile(
    rf"\b(?P<title>(?:Drs?|Mrs?|Ms|Prof(?:essor)?|Doctor|Nurse|Sister|Attending|Resident)\.?)\s+"
    rf"(?P<name>(?:[A-Z]\.?\s+)?{_CAPITAL}(?:\s+(?:[A-Z]\.\s+)?{_CAPITAL})?)"
)
_SIGNED = re.compile(rf"(?P<lead>\b(?:signed|dictated|read|reviewed|approved|reported)\s+by\s*:?\s+)"
                     rf"(?P<name>{_CAPITAL}(?:[\s,]+{_CAPITAL}){{0,2}})", re.IGNORECASE)  # fmt: skip
# Parts of names that are also words of reports: only removed beside another part of the name or after a
# title.
_WORDS = frozenset({
    "small", "large", "may", "will", "long", "short", "young", "old", "white", "black", "brown", "green",
    "gray", "grey", "day", "page", "stone", "wood", "hill", "rose", "bone", "lung", "chest", "heart",
    "head", "hand", "foot", "back", "chan", "low", "high", "new", "best", "good", "love", "case", "field",
    "park", "north", "south", "west", "east", "right", "left", "mild", "wall", "hall", "bell", "ball",
    "price", "rice", "banks", "brooks", "rivers", "waters", "woods", "fields", "marsh", "moore", "more",
    "less", "lee", "major", "minor", "king", "queen", "bishop", "pope", "abbott", "baker", "cook",
    "carter", "fisher", "hunter", "mason", "miller", "potter", "taylor", "turner", "walker", "weaver",
    "mark", "frank", "grant", "art", "gene", "faith", "grace", "hope", "joy", "june", "april", "august",
    "dawn", "eve", "summer", "autumn", "sun", "moon", "star",
})  # fmt: skip
_TOKEN = re.compile(r"[^\W\d_][\w'’-]*")


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
        names: Person and institution names, as written; DICOM's `^` and `=` allowed.
        numbers: Patient ids, accession numbers, phone numbers, ... as written.
    """

    names: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()

    def __or__(self, other: Identities) -> Identities:
        return Identities(self.names | other.names, self.numbers | other.numbers)


def scrub(text: str, known: Identities = Identities()) -> Scrubbed:
    """Replace what identifies by its kind in brackets.

    >>> known = Identities(frozenset({"DOE^JANE"}), frozenset({"A-77"}))
    >>> scrub("Jane Doe (A-77), seen 3/4/2021 by Dr. Smith, pager 4567.", known).text
    '[NAME] ([ID]), seen [DATE] by Dr. [NAME], [PHONE].'
    """
    counts: Counter[str] = Counter()

    def mark(kind: str, pattern: re.Pattern[str], text: str) -> str:
        text, found = pattern.subn(f"[{kind}]", text)
        counts[kind] += found
        return text

    for number in sorted(known.numbers, key=len, reverse=True):
        if len(number.strip()) >= 3:
            text = mark("ID", re.compile(rf"(?<!\w){re.escape(number.strip())}(?!\w)", re.IGNORECASE), text)
    for kind, pattern in _SHAPES:
        text = mark(kind, pattern, text)
    for pattern in _name_patterns(known.names):
        text = mark("NAME", pattern, text)
    text, titled = _TITLED.subn(lambda m: f"{m['title']} [NAME]", text)
    text, signed = _SIGNED.subn(lambda m: f"{m['lead']}[NAME]", text)
    counts["NAME"] += titled + signed
    text = re.sub(r"\[NAME\](?:[\s,]+\[NAME\])+", "[NAME]", text)
    return Scrubbed(text, +counts)


def _name_patterns(names: Iterable[str]) -> Iterable[re.Pattern[str]]:
    """Whole names first, then their parts; a part that is also a word only where it is written as a name."""
    parts_of = sorted({tuple(_TOKEN.findall(name)) for name in names}, key=len, reverse=True)
    for parts in parts_of:
        long = [part for part in parts if len(part) > 1]
        if len(long) > 1:
            yield _whole_name(long, [part for part in parts if len(part) == 1])
    for part in sorted({p for parts in parts_of for p in parts}, key=len, reverse=True):
        if len(part) >= 3 and part.lower() not in _WORDS:
            yield re.compile(rf"\b{re.escape(part)}(?:['’]s)?\b", re.IGNORECASE)


def _whole_name(parts: list[str], initials: list[str]) -> re.Pattern[str]:
    """Two or more parts side by side in any order; a name made of words only as names are written."""
    only_words = all(part.lower() in _WORDS for part in parts)
    ways = [way for p in parts for way in ((p.capitalize(), p.upper()) if only_words else (p,))]
    either = "|".join(re.escape(way) for way in sorted(ways, key=len, reverse=True))
    last = rf"(?:\s+(?:{'|'.join(map(re.escape, initials))})\b)?" if initials else ""
    shape = rf"\b(?:{either})(?:[\s,.^-]+(?:[A-Z]\.?[\s,]+)?(?:{either}))+\b{last}"
    return re.compile(shape, 0 if only_words else re.IGNORECASE)
