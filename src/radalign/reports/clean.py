"""Report text made even: white space, marks, abbreviations, measurements, hedges and de-identification holes.

Nothing is on by default that changes what the text says. The two options that do, `hedges="remove"` and
`areas=True`, are those of one published method, and the first warns: "may have pneumonia" would become
"pneumonia".
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from dataclasses import dataclass

from radalign.reports.hedges import mark_hedges, remove_hedges
from radalign.reports.measures import normalise_measurements
from radalign.reports.sections import flow
from radalign.reports.terms import Terms, default_terms, expand
from radalign.study import Report

HOLES = ("drop", "mark", "keep")
HEDGES = ("keep", "mark", "remove")
MEASUREMENTS = ("even", "keep", "mm", "cm")
HOLE_MARK = "[removed]"

_MARKS = {
    "“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "•": " ", "…": "...", "\u00ad": "",
    "×": "x", "→": " to ", "≥": " at least ", "≤": " at most ", "~": " approximately ", "\u00a0": " ",
    "·": " ",
}  # fmt: skip
_TRANSLATION = str.maketrans(_MARKS)
_TAG = re.compile(
    r"</?(?:a|b|br|div|em|font|h[1-6]|hr|i|li|ol|p|pre|span|strong|sub|sup|table|t[dhr]|u|ul)\b[^<>]{0,200}>",
    re.IGNORECASE,
)
_ARROW = re.compile(r"[-=]+>|<-+|<=+(?!\s*[\d.=])")
_COMPARED = re.compile(
    r"(?<![<>])([<>])\s*(=?)(?![<>])(?:(?=\s*\.?\d)|(?<=\w\1)(?=\s*\w)|(?<=\w\s\1)(?=\s*\w))"
)
_SAYS = {"<": " less than ", ">": " greater than ", "<=": " at most ", ">=": " at least "}
_TIMES = re.compile(r"(?<=\d)\s*\*\s*(?=\d)")
_NOISE = re.compile(r"//+|\\+|\*+|#{2,}(?!\d)|(?m:^)#(?!\d)|={2,}|-{2,}|\^+(?!\d)|\|+|<+|>+|\[\s*\]|\(\s*\)")
_AMPERSAND = re.compile(r"\s*&\s*")
_HOLE = re.compile(r"\[\*\*[^\]]{0,200}\*\*\]|\b(?:X{3,}|x{3,})\b|_{2,}")
_TITLED = re.compile(rf"(?:\b(?:with|by|to)\s+)?\b(?:Drs?|Mrs?|Ms|Prof)\b\.?\s*(?:{_HOLE.pattern})")
# A hole at the end of a phrase takes the words that led to it: "compared to XXXX," "on ___ at ___."
_LED_TO = re.compile(
    r"\b(?:in\s+comparison\s+(?:to|with)|compar(?:ed|ison)\s+(?:to|with|is\s+made\s+(?:to|with))|dated?|on|"
    r"at|to|of|from|with|by|and|or|the|an?|since|in|for|as|per|study|exam)$",
    re.IGNORECASE,
)
_LONGEST_LED_TO = 40  # characters
_PHRASE_ENDS = re.compile(r"\s*(?:[.,;:!?)]|$)")
_BEFORE_MARK = re.compile(r" (?=[.,;:!)]|\?(?!\s*\w))")  # a "?" before a word doubts that word
_REPEATED = re.compile(r"[.,;:!?](?: ?[.,;:])+")
_OPENING_MARKS = ".,;:"


class HedgeWarning(UserWarning):
    """Removing hedges turns what a report doubts into what it says."""


@dataclass(frozen=True)
class CleanOptions:
    """What to make even; the defaults never change a meaning.

    Args:
        abbreviations: Whether to write abbreviations out where their meaning is clear.
        measurements: `even` (one form, own unit), `mm`, `cm`, or `keep`.
        areas: Whether "2 x 3 cm" becomes "6 cm2"; the shape is lost.
        hedges: `keep`, `mark` (each is led by `[unsure]`), or `remove` (with a warning).
        holes: De-identification holes (`XXXX`, `___`, `[** **]`): `drop`, `mark` as `[removed]`, or `keep`.
        marks: Whether typographic marks and leftovers (`//`, bullets, curly quotes) are made plain.
        lower: Whether to write everything in lower case.

    Raises:
        ValueError: If an option has an unknown value.
    """

    abbreviations: bool = True
    measurements: str = "even"
    areas: bool = False
    hedges: str = "keep"
    holes: str = "drop"
    marks: bool = True
    lower: bool = False

    def __post_init__(self) -> None:
        for name, known in (("measurements", MEASUREMENTS), ("hedges", HEDGES), ("holes", HOLES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; use one of {', '.join(known)}.")
        if self.hedges == "remove":
            warnings.warn(
                "Hedges are removed: what the report doubts will read as so; use hedges='mark' to keep it.",
                HedgeWarning,
                stacklevel=3,
            )


def clean_text(text: str, options: CleanOptions | None = None, terms: Terms | None = None) -> str:
    """Make one text even.

    >>> clean_text("Compared to XXXX, a 5-mm RUL nodule & no PTX.")
    'a 5 mm right upper lobe nodule and no pneumothorax.'
    >>> clean_text("May represent edema.", CleanOptions(hedges="mark"))
    '[unsure] May represent edema.'
    """
    options, terms = options or CleanOptions(), terms or default_terms()
    tokens = text.split()
    if options.hedges == "keep" and all(map(terms.nothing_to_clean.__getitem__, tokens)):
        text = " ".join(tokens)
        return text.lower() if options.lower else text
    return _clean_by_steps(text, options, terms)


def _clean_by_steps(text: str, options: CleanOptions, terms: Terms) -> str:
    if options.holes != "keep" and _may_have_holes(text):
        text = _HOLE.sub(HOLE_MARK, text) if options.holes == "mark" else _without_holes(text)
    if options.marks:
        text = _plain_marks(text)
    if options.abbreviations:
        text = expand(text, terms)
    if options.measurements != "keep" or options.areas:
        unit = options.measurements if options.measurements in {"mm", "cm"} else ""
        text = normalise_measurements(text, unit, options.areas)
    if options.hedges != "keep":
        text = mark_hedges(text) if options.hedges == "mark" else remove_hedges(text)
    text = _tidy(text)
    return text.lower() if options.lower else text


def clean_report(report: Report, options: CleanOptions | None = None, terms: Terms | None = None) -> Report:
    r"""Make every section of a report even; list numbers are removed as `flow` does.

    >>> clean_report(Report(impression="1. No PTX\n2. Small effusion")).impression
    'No pneumothorax. Small effusion.'
    """
    options = options or CleanOptions()
    sections = (getattr(report, name) for name in Report.__dataclass_fields__)
    return Report(*(clean_text(flow(text), options, terms) if text else "" for text in sections))


def _plain_marks(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(_TRANSLATION))
    if _may_be_noisy(text):
        if "<" in text or ">" in text:
            text = _ARROW.sub(" ", _TAG.sub(" ", text))
            text = _COMPARED.sub(lambda m: _SAYS[m[1] + m[2]], text)
        text = _NOISE.sub(" ", _TIMES.sub(" x ", text))
    return _AMPERSAND.sub(" and ", text) if "&" in text else text.replace("~", " approximately ")


# A substring test costs a hundredth of a regular expression: these say whether one is needed at all.
def _may_have_holes(text: str) -> bool:
    return "XXX" in text or "xxx" in text or "__" in text or "[**" in text


def _may_be_noisy(text: str) -> bool:
    return (
        "//" in text or "\\" in text or "*" in text or "#" in text or "==" in text or "--" in text
        or "^" in text or "|" in text or "<" in text or ">" in text or "[" in text or "( " in text
        or "()" in text
    )  # fmt: skip


def _may_have_loose_marks(text: str) -> bool:
    return (
        " ." in text or " ," in text or " ;" in text or " :" in text or " !" in text or " )" in text
        or " ?" in text
    )  # fmt: skip


def _without_holes(text: str) -> str:
    return _HOLE.sub(" ", _without_led_to(_TITLED.sub(" ", text)))


def _without_led_to(text: str) -> str:
    """Cut each hole that ends a phrase, with the words and holes that led to it: read back word by word."""
    out: list[str] = []
    done = 0
    holes = list(_HOLE.finditer(text))
    for number, hole in enumerate(holes):
        if not _PHRASE_ENDS.match(text, hole.end()):
            continue
        start, earlier = hole.start(), number - 1
        while True:
            end = start
            while end > done and text[end - 1].isspace():
                end -= 1
            led = None if end == start else _LED_TO.search(text, max(done, end - _LONGEST_LED_TO), end)
            if led:
                start = led.start()
            elif end < start and earlier >= 0 and holes[earlier].end() == end:
                start, earlier = holes[earlier].start(), earlier - 1
            else:
                break
        out += [text[done:start], " "]
        done = hole.end()
    return "".join([*out, text[done:]])


def _tidy(text: str) -> str:
    text = " ".join(text.split())
    if _may_have_loose_marks(text):
        text = _BEFORE_MARK.sub("", text)
    if _REPEATED.search(text):
        text = _REPEATED.sub(lambda marks: marks[0][0], text)
    return text[1:].lstrip() if text[:1] in _OPENING_MARKS else text
