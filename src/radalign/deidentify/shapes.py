"""What identifies by its shape: dates, phones, record numbers, addresses of the net.

The shapes are those of English, German, French and Spanish reports. What is written otherwise is not found,
and the audit says so. A shape that a measurement or a fraction may also have needs a word before it (`on
17/3`, `vom 17.3.`); that word is kept.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LANGUAGES = "English, German, French and Spanish"


class Shape(NamedTuple):
    """A kind, and what it looks like; a group `lead` is what stands before it and stays."""

    kind: str
    pattern: re.Pattern[str]

    def removed_from(self, text: str) -> tuple[str, int]:
        """The text with the kind in brackets in its place, and how often.

        >>> SHAPES[-1].removed_from("bis 12345678Z")
        ('bis [ID]', 1)
        """
        return self.pattern.subn(lambda found: f"{found.groupdict().get('lead') or ''}[{self.kind}]", text)


_ON, _OFF = r"(?<![^\W_])", r"(?![^\W_])"  # the bounds of a word; an underscore is none
_NOT_OF_A_NUMBER = r"(?<![\w.,])"
_NO_UNIT = r"(?!\s*(?:mm|cm|ml|mg|cc|kg|kV|mAs?|l|L|%|x\s?\d|/\d)(?![^\W_]))"

_YEAR = r"(?:19|20)\d{2}"
_DAY, _MONTH_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_OF = r"(?:of|de|del|d['’])"
# "may" is also a verb, and "ago" (agosto) a word of English: only with a capital, or before a year.
_MAY = r"(?-i:May|MAY(?!\s(?:BE|HAVE|REP)))|may(?=[\s,./-]+\d{4})|mayo|mai"
_MONTH = (
    r"(?:jan(?:uary|uar|vier|v)?|jänner|ene(?:ro)?|feb(?:ruary|ruar|rero)?|f[ée]v(?:r(?:ier)?)?"
    r"|mar(?:ch|zo|s)?|m(?:ä|ae)rz|mrz|apr(?:il)?|abr(?:il)?|avr(?:il)?"
    rf"|{_MAY}|june?|juni|junio|juin|july?|juli|julio|juil(?:let)?"
    r"|aug(?:ust)?|agosto|ago(?=[\s./-]+\d{4})|ao[uû]t|sept?(?:ember|embre|iembre)?|setiembre"
    r"|o[ck]t(?:ober|obre|ubre)?|nov(?:ember|embre|iembre)?|de[cz](?:ember)?|d[ée]c(?:embre)?|dic(?:iembre)?)"
)
_NO_FRACTION = r"(?!(?:1/[2-5]|2/[35]|3/[45]|4/5)(?!\d))"  # 2/3 of the lung, le 1/3 moyen

_DATES = (
    rf"{_ON}{_YEAR}(?P<by>[-/.])\d{{1,2}}(?P=by)\d{{1,2}}(?:T[\d:.]+Z?)?{_OFF}",
    rf"{_ON}\d{{1,2}}(?P<by>[-/.])\d{{1,2}}(?P=by)(?:{_YEAR}|\d{{2}}{_NO_UNIT}){_OFF}",
    rf"{_ON}{_DAY}\s?[./-]\s?{_MONTH_NUMBER}\s?[./-]\s?{_YEAR}{_OFF}",
    # 17. März 1951, 17 de marzo de 1951, 1er mars, 17th of March, 17-Mar-51
    rf"{_ON}{_DAY}(?:(?:st|nd|rd|th|er)?[\s-]+|[.º°]\s*)(?:{_OF}\s*)?{_MONTH}{_OFF}\.?"
    rf"(?:[\s,-]*(?:{_OF}\s*)?(?:{_YEAR}|['’]\d{{2}}|(?<=[\s,-])\d{{2}}{_NO_UNIT}){_OFF})?",
    rf"{_ON}{_DAY}{_MONTH}{_YEAR}{_OFF}",
    # 12/2019
    rf"{_ON}(?<![/.-]){_MONTH_NUMBER}[/.-]{_YEAR}(?![/.-]\d){_OFF}",
    # March of 1951, March 17, Mar-51
    rf"{_ON}{_MONTH}\.?[\s,/-]*(?:{_OF}\s*)?{_YEAR}{_OFF}",
    rf"{_ON}{_MONTH}\.?\s+{_DAY}(?:st|nd|rd|th)?(?:,?\s+{_YEAR})?{_OFF}(?![.,]\d){_NO_UNIT}",
    rf"{_ON}{_MONTH}\.?\s?[-/'’]\s?\d{{2}}{_OFF}",
    rf"{_ON}{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]){_OFF}",
    # a day and a month without a year
    rf"{_ON}{_NO_FRACTION}\d{{1,2}}/\d{{1,2}}(?=\s+(?:at|exam|study|film|radiograph)\b)",
    rf"{_ON}(?!7/8|8/9|9/10|10/11|11/12)(?:(?:[7-9]|1[0-2])/{_DAY}|{_MONTH_NUMBER}/(?:[7-9]|[12]\d|3[01]))(?=\s+and\b)",
    rf"(?P<lead>{_ON}(?:on|since|dated|am|el|del|desde|le|du|au|depuis)\s+){_NO_FRACTION}"
    rf"(?:{_DAY}/{_MONTH_NUMBER}|{_MONTH_NUMBER}/{_DAY})(?![\w/]){_NO_UNIT}",
    rf"(?P<lead>{_ON}(?:am|vom|zum|seit|bis|ab)\s+){_DAY}\.\s?{_MONTH_NUMBER}\.(?!\w){_NO_UNIT}",
    rf"{_NOT_OF_A_NUMBER}{_DAY}\.{_MONTH_NUMBER}\.(?=;|(?-i:\s+[a-zäöü]{{3}}))",
)
_PHONES = (
    # with a country's code
    rf"{_NOT_OF_A_NUMBER}(?:\+|00)[1-9](?=(?:[ ./()-]*\d){{7,14}}(?!\d))\d{{0,13}}"
    r"(?: ?\(\d{1,4}\)|(?:[ ./-]{1,3}|(?<=\)))\d{1,12}){0,7}",
    # said to be one
    rf"{_ON}(?:pager|beeper|(?:tele)?phone|telefon|t[eé]l[eé](?:f|ph)on[eo]|t[eé]l[eé]?f?|tlfn?o?|tfn?o|handy|mobil"
    rf"|mobile|m[oó]vil|durchwahl|ext|extension|(?:tele)?fax)\.?\s*[:#]?\s*(?=(?:\D{{0,3}}\d){{3}})"
    r"\(?\d+\)?(?: ?[/-] ?\d+| \d{2,}|\.\d{2,}|(?<=\)) ?\d+)*",
    rf"(?<!\d)(?<!\d\s){_ON}x\.?\s?\d{{4,5}}{_OFF}",
    # North America
    r"(?<![\w.])(?:\+?\d{1,3}[\s.-]?)?(?:\(\d{3}\)\s?|\d{3}[\s.-])\d{3}[\s.-]\d{4}(?!\d)",
    rf"(?<![\w.,-])[2-9]\d{{2}}-(?![12]\d00)\d{{4}}(?![\w-]){_NO_UNIT}",
    # France; Spain, mobile and not; Germany
    rf"{_NOT_OF_A_NUMBER}0[1-9](?P<fr>[ .-]?)\d{{2}}(?:(?P=fr)\d{{2}}){{3}}{_OFF}",
    rf"{_NOT_OF_A_NUMBER}[6789]\d{{2}}(?P<es>[ .-])"
    rf"(?:\d{{2}}(?:(?P=es)\d{{2}}){{2}}|\d{{3}}(?P=es)\d{{3}}){_OFF}",
    rf"{_NOT_OF_A_NUMBER}[89]\d(?P<es>[ .-])\d{{3}}(?P=es)\d{{2}}(?P=es)\d{{2}}{_OFF}",
    rf"{_NOT_OF_A_NUMBER}\(?0[1-9]\d{{1,4}}\)?(?: ?[/-] ?| )\d(?:[ -]?\d){{4,9}}(?!\d)",
)
_NUMBER_WORD = r"(?:number|no\.?|nr\.?|id|#)"
_RECORDS = (
    # English
    rf"mrn|(?:medical )?record {_NUMBER_WORD}|acc(?:ession)?(?: {_NUMBER_WORD})?|patient id|id|ssn|case"
    rf"|(?:hosp(?:ital)?|unit|chart|folder|file|nhs)\.? {_NUMBER_WORD}"
    # German
    r"|(?:patienten|fall|aufnahme|auftrags|akten|versicherten|untersuchungs)[- ]?(?:nummer|nr\.?|id)"
    r"|pat\.?[- ]?(?:nr\.?|id)|kvnr|aktenzeichen"
    # Spanish
    r"|n\.?h\.?c|historia(?: cl[ií]nica)?|expediente|episodio|dni|nie|nif|nuss|cip|sip"
    r"|n(?:[º°o.]|úmero|umero) ?(?:de )?(?:historia|paciente|episodio|acceso)"
    # French
    r"|ipp|nip|iep|nda|nir|dossier|n(?:[º°o.]|um[ée]ro) ?(?:de )?(?:dossier|patient|s[ée]jour|s[ée]cu)"
)
_IDS = (
    rf"{_ON}(?:{_RECORDS})(?:[\s:.#º°-]+|(?=\d))(?=[\w/-]*\d)[\w/-]{{4,}}{_OFF}",
    rf"{_ON}\d{{3}}-\d{{2}}-\d{{4}}{_OFF}",
    # France's social security number
    rf"{_ON}[12] ?\d{{2}} ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{{3}} ?\d{{3}}(?: ?\d{{2}})?{_OFF}",
    rf"{_ON}[a-z]?\d{{7,}}[a-z]?{_OFF}",
)
_NET = (
    ("EMAIL", r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+\b"),
    ("URL", r"\b(?:https?://|www\.)\S+"),
    ("UID", rf"{_ON}[012](?:\.\d+){{5,}}{_OFF}"),
)


def _shapes() -> tuple[Shape, ...]:
    kinds = {"PHONE": _PHONES, "DATE": _DATES, "ID": _IDS}
    written = [*_NET, *((kind, pattern) for kind, patterns in kinds.items() for pattern in patterns)]
    return tuple(Shape(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in written)


SHAPES = _shapes()
"""In the order in which they are taken out: a phone of five pairs begins like a date."""
