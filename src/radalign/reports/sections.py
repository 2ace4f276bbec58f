r"""Sections of a report: headings in any case, missing, repeated, inline, numbered impressions, addenda.

"FINDINGS: Clear lungs.\n\nIMPRESSION:\n1. Normal."
    split_sections -> (Section("findings", ...), Section("impression", ...))
    parse_report   -> Report(findings="Clear lungs.", impression="Normal.")

Nothing here judges what a section says; `assertions.py` does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from radalign.reports.headings import (
    ALONE,
    EXAM_WORDS,
    HEADINGS,
    MARKS_AROUND,
    MASTHEADS,
    key_of,
    may_follow_capitals,
)
from radalign.reports.headings_without_colon import headings_without_colon
from radalign.reports.sentences import one_spaced, split_sentences
from radalign.study import Report

_TITLE = re.compile(r"[ \t]*([A-Z0-9][A-Z0-9 ,./()&_:-]{2,100}?):(?=\s|$)")
_LONGEST_ALONE = 45
_LONGEST_IN_SMALL = 2 * max(map(len, ALONE))  # marks and spaces between the words included
_LONGEST_ALONE_LINE = 120  # with marks and white space around it
_LONGEST_MASTHEAD = 1000
_GAP = re.compile(r"\s+|(?<=[.!?;])(?=[^\W\d_])")  # "Clear.IMPRESSION:" too
_STOP = re.compile(r"[.!?;:]")
_RULE = re.compile(r"(?m)^[ \t]*[_=*-]{5,}[ \t]*$")
_DIGIT = re.compile(r"\d")
_CLOCK = frozenset({"AM", "PM", "AT", "ON", "HRS", "HOURS", "HOUR", "DATED", "TIME"})
_ITEM = (
    r"[ \t]*(?:(?:[-*•·–]|\(?(?:\d{1,2}|[a-h])[.)])[ \t]+\S|"
    r"\d{1,2}(?:[.)]| ?[-:][ \t]+)[^\W\d_]|#[ ]?\d)"
)
_FIRST_ITEM, _ITEM_LINE, _SECOND_ITEM = map(re.compile, (_ITEM, rf"\n{_ITEM}", r"2[.)]\s"))
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
# What such sections hold beyond their first paragraph is prose that lost its heading.
_SHORT = frozenset({"indication", "comparison", "technique", "examination", "preamble"})
_BODY = ("findings", "impression")


class Section(NamedTuple):
    """One section as it stands in the text.

    Args:
        name: `findings`, `impression`, `indication`, `comparison`, `technique`, `examination`, `addendum`,
            `recommendation`, `notification`, `wet_read`, `end`, `prose` (an examination's title, then prose),
            or `preamble` for what comes before the first heading.
        heading: As written, "" for the preamble.
        text: What follows, verbatim.
    """

    name: str
    heading: str
    text: str


def split_sections(text: str) -> tuple[Section, ...]:
    """Cut a report at its headings; text before the first one is the `preamble`.

    >>> [(s.name, s.text.strip()) for s in split_sections("Comparison: None. Findings: LUNGS: Well aerated.")]
    [('comparison', 'None.'), ('findings', 'LUNGS: Well aerated.')]
    """
    marks = _headings(text if text.isascii() else text.replace("：", ":"))
    ends = [*(mark[0] for mark in marks), len(text)]
    first = text[: ends[0]]
    sections = [] if not first or first.isspace() else [Section("preamble", "", first)]
    for (_, body, name, heading), end in zip(marks, ends[1:], strict=True):
        sections.append(Section(name, heading, text[body:end]))
    return tuple(sections)


def parse_report(text: str, addenda: str = "append", keep_text: bool = False) -> Report:
    r"""Read a report of MIMIC-CXR, CheXpert Plus, Open-i, PadChest or free text into a `Report`.

    A heading that occurs twice joins its texts (a repeated text once). Without a findings heading, paragraphs
    that follow a short section (comparison, technique, ...) are the findings, as in many MIMIC-CXR reports.
    Numbered items become sentences.

    Args:
        text: The report as the distributor wrote it.
        addenda: `append` puts an addendum behind the impression, `drop` leaves it out.
        keep_text: Whether `Report.text` keeps the whole text although sections were found.

    Raises:
        ValueError: If `addenda` is neither `append` nor `drop`.

    >>> parse_report("FINDINGS: Clear.\n\nIMPRESSION:\n1. No pneumonia\n2. No effusion").impression
    'No pneumonia. No effusion.'
    >>> parse_report("COMPARISON: None.\n\nThe lungs are clear.").findings
    'The lungs are clear.'
    >>> parse_report("sin hallazgos significativos . ").text
    'sin hallazgos significativos.'
    """
    if addenda not in {"append", "drop"}:
        raise ValueError(f"addenda is {addenda!r}; use 'append' or 'drop'.")
    sections = split_sections(text)
    parts: dict[str, list[str]] = {}
    for section in _with_prose(sections):
        piece = flow(section.text)
        if piece and piece not in parts.setdefault(section.name, []):
            parts[section.name].append(piece)
    joined = {name: " ".join(pieces) for name, pieces in parts.items()}
    if addenda == "append" and "addendum" in joined:
        joined["impression"] = " ".join(p for p in (joined.get("impression", ""), joined["addendum"]) if p)
    known = {name: joined.get(name, "") for name in (*_BODY, "indication", "comparison")}
    whole = "" if known["findings"] or known["impression"] else flow(text)
    return Report(text=text if keep_text else whole, **known)


def flow(text: str) -> str:
    r"""Join the lines of a section to running text; list items become sentences with a full stop.

    >>> flow("1. Small effusion\n2. Normal heart.")
    'Small effusion. Normal heart.'
    """
    if "---" in text or "___" in text or "===" in text or "***" in text:
        text = _RULE.sub("", text)
    text = text.strip()
    if " ." in text or _has_list(text):
        return " ".join(s if s[-1] in ".!?:;" else s + "." for s in split_sentences(text))
    return one_spaced(text)


def _has_list(text: str) -> bool:
    if (not text[:1].isalpha() or text[1:2] in {".", ")"}) and _FIRST_ITEM.match(text):
        return True
    if "\n" in text and _ITEM_LINE.search(text):
        return True
    seconds = _SECOND_ITEM.finditer(text) if "2." in text or "2)" in text else ()
    return any(text[max(0, second.start() - 1)].isspace() for second in seconds)


def _headings(text: str) -> list[tuple[int, int, str, str]]:
    """(start, end, name, heading as written) of every heading, in order."""
    found = _before_colons(text)
    found = _without_overlaps(found, headings_without_colon(text))
    found += _titles_behind(text, found)
    # A line where a heading ends already has no other; the rest has none in most reports.
    taken = {text.rfind("\n", 0, end) + 1 for _, end, _, _ in found}
    count, start = len(found), 0
    for line in text.split("\n"):
        if line and start not in taken:
            mark = _on_own_line(line, start)
            if mark:
                found.append(mark)
        start += len(line) + 1
    if len(found) == count and "prose" not in [name for _, _, name, _ in found]:
        return found
    return _without_titles_inside(text, sorted(found))


def _titles_behind(text: str, found: list[tuple[int, int, str, str]]) -> list[tuple[int, int, str, str]]:
    """An examination's title and then prose, on the line of its heading: "EXAM: CHEST, 2 VIEWS: Clear."."""
    titles = []
    for _, end, name, _ in found:
        title = _TITLE.match(text, end) if name == "examination" else None
        if title and "\n" not in title[0] and _names_examination(title[1]):
            titles.append((title.start(1), title.end(), "prose", title[1].strip()))
    return [t for t in titles if not any(start < t[1] and t[0] < end for start, end, _, _ in found)]


def _without_overlaps(
    found: list[tuple[int, int, str, str]], more: list[tuple[int, int, str, str]]
) -> list[tuple[int, int, str, str]]:
    """Both lists in order, without what begins inside an earlier one."""
    if not more:
        return found
    kept: list[tuple[int, int, str, str]] = []
    for mark in sorted([*found, *more], key=lambda m: (m[0], -m[1])):
        if not kept or mark[0] >= kept[-1][1]:
            kept.append(mark)
    return kept


def _without_titles_inside(
    text: str, marks: list[tuple[int, int, str, str]]
) -> list[tuple[int, int, str, str]]:
    """Leave the findings whole where a title within them ("LATERAL VIEW: ...") names a view."""
    kept: list[tuple[int, int, str, str]] = []
    for mark in marks:
        start, end, name, _ = mark
        if name == "prose" and kept and kept[-1][2] in _BODY:
            line_end = text.find("\n", end)
            said = text[end : line_end if line_end >= 0 else len(text)]
            empty = not text[kept[-1][1] : start].strip()
            if (kept[-1][2] == "findings" or empty) and not (said.strip() and _is_masthead(said)):
                continue
        kept.append(mark)
    return kept


def _on_own_line(line: str, start: int) -> tuple[int, int, str, str] | None:
    """A heading without a colon alone on its line, or an examination's title in capitals before a colon."""
    written = line.strip(MARKS_AROUND)
    if len(written) <= _LONGEST_ALONE and ":" not in written:
        if not written or (len(line) > _LONGEST_ALONE_LINE and not written[:3].isupper()):
            return None
        known = written.isupper() or (len(written) <= _LONGEST_IN_SMALL and key_of(written) in ALONE)
        name = HEADINGS.get(key_of(written)) if known else None
        return (start, start + len(line), name, written) if name else None
    if not written[:3].isupper():
        return None
    title = _TITLE.match(line)
    if title and _names_examination(title.group(1)):
        return start, start + title.end(), "prose", title.group(1).strip()
    return None


@lru_cache(maxsize=4096)
def _names_examination(title: str) -> bool:
    return not EXAM_WORDS.isdisjoint(re.findall(r"[A-Z-]+", title))


def _before_colons(text: str) -> list[tuple[int, int, str, str]]:
    found: list[tuple[int, int, str, str]] = []
    colon, floor = text.find(":"), 0
    while colon >= 0:
        mark = _heading_before(text, max(text.rfind("\n", floor, colon) + 1, floor, colon - 60), colon)
        if mark:
            floor = colon + 1
            while text.startswith("*", floor):
                floor += 1
            found.append((mark[0], floor, mark[1], mark[2]))
        colon = text.find(":", colon + 1)
    return found


def _heading_before(text: str, line: int, colon: int) -> tuple[int, str, str] | None:
    """The longest known heading that ends at this colon and stands where a heading may stand."""
    written = text[line:colon].lstrip()
    while written:
        start = colon - len(written)
        name = HEADINGS.get(written.upper()) or HEADINGS.get(key_of(written))
        if name and _may_stand(text, line, start, written):
            return start, name, written.strip(MARKS_AROUND)
        gap = _GAP.search(written)
        written = written[gap.end() :] if gap else ""
    return None


def _may_stand(text: str, line: int, start: int, written: str) -> bool:
    if written.isupper():
        # "CHEST, 2 VIEWS:" and "2 VIEWS:" are titles: their last word opens no section of its own.
        before = text[line:start].strip()
        if not before and written in HEADINGS:
            return True
        is_bare = not _only_capitals(before) and not _DIGIT.search(written)
        return is_bare or may_follow_capitals(key_of(written))
    before = text[max(0, start - 80) : start].rstrip(" \t*#[")
    if not before or before[-1] in "\n\r":
        return True
    if written[0].isupper():
        return before[-1] in ".!?;:)X_"
    return before[-1] in ".!?;" and may_follow_capitals(key_of(written))


def _only_capitals(before: str) -> bool:
    """Whether words in capitals, or numbers, run up to here from the line's start or its last stop."""
    words = _STOP.split(before)[-1].strip(MARKS_AROUND)
    return bool(words) and words == words.upper()


def _with_prose(sections: tuple[Section, ...]) -> list[Section]:
    """Give prose that lost its heading to the findings, when there are none and there is some structure.

    Where there are findings, only the prose of a further examination, behind them, joins them.
    """
    names = [section.name for section in sections]
    if "findings" in names:
        return _with_further_examinations(sections, names) if "prose" in names else list(sections)
    if all(name == "preamble" for name in names):
        return list(sections)
    out = []
    for section in sections:
        first, *rest = _PARAGRAPH.split(section.text.strip()) if section.name in _SHORT else (section.text,)
        if section.name in {"preamble", "prose"}:
            rest, first = [first, *rest], ""
        prose = [p for p in rest if not _is_masthead(p)]
        out.append(Section(section.name, section.heading, first))
        out.extend(Section("findings", "", p) for p in prose)
    return out


def _with_further_examinations(sections: tuple[Section, ...], names: list[str]) -> list[Section]:
    first_body = next(i for i, name in enumerate(names) if name in _BODY)
    return [
        s._replace(name="findings")
        if s.name == "prose" and i > first_body and not _is_masthead(s.text)
        else s
        for i, s in enumerate(sections)
    ]


def _is_masthead(paragraph: str) -> bool:
    """Whether a paragraph is only a title: "FINAL REPORT", "PA AND LATERAL CHEST, ___"."""
    return len(paragraph) <= _LONGEST_MASTHEAD and _is_title(paragraph)


@lru_cache(maxsize=4096)
def _is_title(paragraph: str) -> bool:
    words = [w for w in re.findall(r"[A-Za-z-]+", paragraph) if w.upper() not in _CLOCK]
    if not words or key_of(paragraph) in MASTHEADS:
        return True
    upper = [w.upper() for w in words]
    return (
        len(words) <= 14
        and bool(EXAM_WORDS & set(upper))
        and not paragraph.rstrip().endswith(".")
        and (paragraph.isupper())
    )
