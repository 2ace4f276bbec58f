"""Names that no header has, but that stand after a title or after who signed.

The titles are English, German, French and Spanish ones. What stands before the name is kept.
"""

from __future__ import annotations

import re
import sys

from radalign.deidentify.shapes import Shape


def _capitals() -> str:
    """A class of every capital letter of every script; Python's `re` has no word for it."""
    numbers = [n for n in range(0x41, min(sys.maxunicode, 0x2000)) if chr(n).isupper() or chr(n).istitle()]
    return "[" + "".join(map(chr, numbers)) + "]"


_CAPITAL = _capitals()
_TITLES = (
    r"Drs?|Mrs?|Ms|Miss|Prof(?:essor)?|Doctor|Nurse|Sister|Attending|Resident"
    r"|Herrn?|Frau|Hr|Fr(?=\.)|OA|OÄ|CA(?=\.)|Oberarzt|Oberärztin|Chefarzt|Chefärztin|Assistenzarzt"
    r"|Assistenzärztin|Schwester|Pfleger"
    r"|Sra?|Srta|Señora?|Señorita|Don|Doña|Dña|D(?=\.)|Dra|Doctora|Enfermer[ao]"
    r"|M(?=\.)|(?<!\d)(?<!\d\s)MM|Mme|Mlle|Monsieur|Madame|Mademoiselle|Docteur|Docteure|Dre|Pr|Professeure?"
    # in capitals, where they are no abbreviation of something else
    r"|(?:DR|MR|MS|PROF|SR)(?=\.)|MRS|FRAU|HERR|MME|MLLE|SRA|DRA"
)
_DEGREES = r"(?:(?:Dr|Prof|med|dent|habil|h\.\s?c|PD|Priv|Doz)[.-]*\s*)*"
_PARTICLES = (
    r"(?:(?:(?:van|von|vom|zu|zur|de|del|della|der|den|des|di|da|dos|du|la|las|los|le|el|ten|ter|af|bin|ben|al"
    r"|y|e|und)\s+)|[dlDLO]['’])*"
)
_WORD = rf"{_CAPITAL}[\w'’-]+"
_FIRST = rf"(?:{_CAPITAL}(?:\.\s*|\s+)){{0,3}}{_PARTICLES}{_WORD}"
_NEXT = rf"(?:\s+(?:{_CAPITAL}(?:\.\s*|\s+)){{0,2}}{_PARTICLES}{_WORD})"
_ANY = r"[^\W\d_](?:\.(?=[ \t])|[\w'’-]*)"
_ANY_CASE = rf"{_ANY}(?:,?[ \t]+{_ANY}){{0,3}}"
_FULL = rf"{_FIRST}(?:,?{_NEXT}){{0,2}}"
_SIGNED = (
    r"signed|dictated|read|reviewed|approved|reported|interpreted|electronically signed"
    r"|diktiert|befundet|unterschrieben|freigegeben|validiert"
    r"|firmado|informado|dictado|validado|revisado|sign[ée]|dict[ée]|valid[ée]|lu|r[ée]dig[ée]|relu"
)
_LABELS = (
    r"patient(?:['’]?s)? name|name of patient|patientenname|nom du patient|nombre del paciente|vorname"
    r"|nachname|apellidos?|pr[ée]nom|nom de naissance|geburtsname|last name|first name|surname"
)
_OFFICES = (
    r"signed|dictated|transcribed|reader|radiologist|radiologe|radiologue|radi[óo]logo"
    r"|attending(?: (?:md|physician|radiologist))?|resident(?: (?:physician|radiologist))?"
    r"|(?:referring|ordering|requesting|reading|interpreting) (?:physician|doctor|provider|radiologist)"
    r"|technologist|technician|mtra|zuweiser|arzt|[äa]rztin|m[ée]decin|m[ée]dico"
)
_BEHIND = r"M\.?D\.?|R\.?N\.?|PA-C|Ph\.?D\.?|MBBS|FRCR|FACR|CRNP|ARNP|DNP"
# "dr. smith": small letters throughout, as some dictate; these are no names.
_NO_NAME = r"(?!(?:notified|called|aware|was|is|has|at|on|in|of|the|and|or|by|to|for|via|who|with|from)\b)"

_PATTERNS = (
    rf"(?P<lead>(?<![^\W_])(?:{_TITLES})\.?\s+{_DEGREES}){_FIRST}{_NEXT}?",
    rf"(?P<lead>(?<![^\W_])(?i:{_SIGNED})\s+(?i:by|von|por|par)\s*:?\s+(?:(?:{_TITLES})\.?\s+)?{_DEGREES}){_FULL}",
    rf"(?P<lead>(?<![^\W_])(?i:{_LABELS})\s*:[ \t]*){_ANY_CASE}",
    rf"(?P<lead>(?<![^\W_])(?i:{_OFFICES})\s*:[ \t]*(?:(?:{_TITLES})\.?[ \t]+)?){_FULL}",
    rf"(?P<lead>){_FULL}(?=,?\s+(?:{_BEHIND})(?![\w-]))",
    rf"(?P<lead>(?<![^\W_])(?:dr|prof)s?\.\s+){_NO_NAME}[a-zà-ÿ][a-zà-ÿ'’-]{{2,}}",
    rf"(?P<lead>(?<![^\W_])(?:WITH|BY|TO|PER|FROM|FOR|AND)\s+(?:DR|MR|MS|PROF)\s+){_FULL}",
)
TITLED = tuple(Shape("NAME", re.compile(pattern)) for pattern in _PATTERNS)
"""The title, the signature or the label stays; the name goes."""
