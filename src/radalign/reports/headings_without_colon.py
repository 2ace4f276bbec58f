"""Headings that no colon marks: signatures, an addendum's first and last line, "FINDINGS - "."""

from __future__ import annotations

import re

from radalign.reports.headings import ALONE, HEADINGS, MARKS_AROUND, key_of

_SIGNED = re.compile(
    r"(?:(?:^|\n)[ \t]*(?-i:[A-Z])(?<=[VAIFR])(?:erified|pproved|nterpreted|inalized|eported|eviewed)"
    r"(?: and \w+)? (?:by|on)\s*:?\s*(?:drs?\b|(?-i:[A-Z_\[]))|"
    r"(?:^|\n|(?<=[.!?:]))[ \t]*(?:this (?:report|study|examination|document) (?:has been|was|is) )?"
    r"(?:(?:electronically|digitally) (?:signed|verified|approved|authenticated)\b|"
    r"(?:dictated|transcribed|signed)(?: and \w+)? (?:by|on)\s*:?\s*(?:drs?\b|(?-i:[A-Z_\[]))|"
    r"i(?:,[^.\n]{0,60},)? have personally reviewed\b))",
    re.IGNORECASE,
)
# A substring test costs a hundredth of a regular expression: these say whether one is needed at all.
_SIGNED_SIGNS = ("signed", "dictated", "transcribed", "verified", "approved", "interpreted by", "finalized",
                 "reported by", "reviewed")  # fmt: skip
# "ADDENDUM 1/2/2003 ...", "ADDENDUM BY DR. A ON 1/2/2003: ...", "ADDENDUM START", "END OF ADDENDUM".
_ADDENDUM = re.compile(
    r"(?:^|\n)[ \t*#_=-]*(?:(?P<dated>addend(?:um|a)[ \t]*[-,:]?[ \t]*(?:(?:on|dated?|from)[ \t]+)?"
    r"(?:\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}|\[\*\*[^\]\n]{0,60}\*\*\]|_{2,}|X{3,})"
    r"(?:[ \t,]+(?:at[ \t]+)?\d{1,2}:\d\d(?:[ \t]?[ap]\.?m\b\.?)?)?(?![^\n:]{0,80}:(?:\s|$)))(?=\s)|"
    r"(?P<title>addend(?:um|a)[ \t]*"
    r"(?:by|on|at|dated?|from|to|no|number|report|#|\(|\d)[^\n]{0,100}?:)(?=\s|$)|"
    r"(?P<start>addendum[ \t]+(?:starts?|begins?)|(?:start|begin|beginning)[ \t]+(?:of[ \t]+)?addendum)"
    r"[ \t*#_=:-]*(?=\n|$)|(?P<end>addendum[ \t]+ends?|end[ \t]+(?:of[ \t]+)?addendum)[ \t*#_=:-]*(?=\n|$))",
    re.IGNORECASE,
)
_DASHED = re.compile(
    r"(?:(?:^|\n)|(?-i:(?<=[.!?;])[ \t]+(?=[A-Z]{3})))[ \t*]*"
    rf"({'|'.join(sorted(ALONE, key=len, reverse=True))})"
    r"[ \t*]+[-–—][ \t]+(?=\S)",
    re.IGNORECASE,
)


def headings_without_colon(text: str) -> list[tuple[int, int, str, str]]:
    """(start, end, section, heading as written) of each; they may overlap those before a colon.

    >>> headings_without_colon("Clear. Electronically signed by Dr. A")[0][2:]
    ('end', 'Electronically signed')
    >>> headings_without_colon("IMPRESSION - Normal.")
    [(0, 13, 'impression', 'IMPRESSION')]
    """
    found: list[tuple[int, int, str, str]] = []
    lower = text.lower()
    may_sign = " by" in lower or "signed" in lower or "reviewed" in lower or "ed on" in lower
    if may_sign and any(sign in lower for sign in _SIGNED_SIGNS):
        found += [(m.start(), m.end(), "end", m.group().strip()) for m in _SIGNED.finditer(text)]
    if "addend" in lower:
        for m in _ADDENDUM.finditer(text):
            # Behind the last line of an addendum comes what has no heading yet.
            found.append(
                (m.start(), m.end(), "preamble" if m["end"] else "addendum", m.group().strip(MARKS_AROUND))
            )
    if " - " in text or "–" in text or "—" in text:
        found += [(m.start(), m.end(), HEADINGS[key_of(m[1])], m[1]) for m in _DASHED.finditer(text)]
    return found
