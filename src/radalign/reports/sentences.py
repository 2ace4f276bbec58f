"""Sentences of a report: safe for titles, decimals, numbered lists and de-identification holes."""

from __future__ import annotations

import re

# Never the end of a sentence, whatever follows.
_TITLES = frozenset({
    "dr", "drs", "mr", "mrs", "ms", "prof", "st", "vs", "cf", "fig", "figs", "approx", "ca", "resp", "dept",
    "ext", "tel", "ref", "e.g", "i.e", "viz", "eg", "ie", "ant", "post", "inf", "sup",
})  # fmt: skip
# The end of a sentence only when a capital letter follows ("at 3 p.m. The tube ...").
_SOFT = frozenset({
    "a.m", "p.m", "am", "pm", "etc", "al", "jr", "sr", "m.d", "r.n", "p.a", "rt", "lt", "max", "min", "temp",
    "hx", "dx", "tx", "pt", "incl", "sm", "lg", "eff", "bilat", "poss", "prob", "susp",
})  # fmt: skip
# In a text all in capitals these go on when a word before them leads to a noun: "NO RT. EFFUSION".
_SIDES = frozenset({"rt", "lt", "bilat", "sm", "lg", "poss", "prob"})
_LEADS_TO_A_NOUN = frozenset({
    "no", "not", "without", "a", "an", "is", "are", "of", "in", "at", "with", "and", "or", "new", "old",
    "trace", "tiny", "small", "mild", "minimal", "slight", "moderate", "large", "severe", "marked", "patchy",
    "blunted", "stable", "unchanged", "persistent", "residual", "resolved", "resolving", "improved",
    "improving", "increased", "increasing", "decreased", "decreasing", "worsening", "possible", "probable",
    "likely", "rt", "lt",
})  # fmt: skip
_BLOCK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*•·–]|\(?\d{1,2}[.)])[ \t]+\S)")
_END = re.compile(r"[.!?][\"'”’)\]*]? +")
_BULLET = re.compile(r"^(?:(?:[-*•·–]|\(?\d{1,2}[.)]) +)+(?=\S)")
_NUMBER = re.compile(r"\d{1,2}[.)]\s+(?=[^\W\d_])")
# Items whose mark is not a number, a stop and a space: "#1 Clear", "1.Clear", "1- Clear", "1: Clear".
_MAYBE_LOOSE = re.compile(r"[#\d](?:[.)][^\W\d_]| ?[-:][ \t]|(?<=#)[ ]?\d)")
_LOOSE_ITEM = re.compile(
    r"(?:^|(?<=\n)|(?<=[.!?;]\s))[ \t]*"
    r"(?:#[ ]?\d{1,2}[.):]?[ \t]+|\(?\d{1,2}[.)]|\d{1,2}[ ]?[-:][ \t]+)+(?=[^\W\d_])"
)
_LETTERED_ITEM = re.compile(r"(?:^|(?<=\n)|(?<=[.!?;]\s))[ \t]*\(?([a-h])[.)][ \t]+(?=[^\W\d_])")
_ITEM_MARK = "\n- "
_LONGEST = 1 + max(map(len, _TITLES | _SOFT))
_BEFORE_A_QUERY = ("", " ", "(", "-", "/", ",", ":")
_ANSWER = re.compile(r"(?:no|none|nil|negative|absent|not seen)(?=[.;,]|$)", re.IGNORECASE)
_LOOSE_MARKS = frozenset({" .", " !", " ?"})
_ONLY_MARKS = re.compile(r"[\W_]*$")


def split_sentences(text: str) -> list[str]:
    r"""Split report text into sentences, list numbers and bullets removed, white space collapsed.

    Args:
        text: Any report text; line breaks inside a sentence are white space, an empty line ends a sentence.

    Returns:
        The sentences in order, each with its own closing mark if it had one; none is empty.

    >>> split_sentences("Discussed with Dr. Lee at 2.5 hours. 1. No effusion 2. Heart size normal.")
    ['Discussed with Dr. Lee at 2.5 hours.', 'No effusion', 'Heart size normal.']
    >>> split_sentences("Comparison XXXX. heart is normal . lungs are clear")
    ['Comparison XXXX.', 'heart is normal.', 'lungs are clear']
    >>> split_sentences("1.No effusion\n2.A 1.5 cm nodule")
    ['No effusion', 'A 1.5 cm nodule']
    """
    text = _with_plain_items(text)
    blocks = _BLOCK.split(text) if "\n" in text else (text,)
    found: list[str] = []
    for block in blocks:
        for piece in _pieces(one_spaced(block)):
            numbered = ("." in piece[:-1] or ")" in piece) and _numbers(piece)
            for sentence in _split_numbers(piece, numbered) if numbered else (piece,):
                tidy = _tidy(sentence)
                if tidy:
                    found.append(tidy)
    return found


def one_spaced(text: str) -> str:
    r"""All white space as single spaces, none at the ends; most text that was read before is so already.

    >>> one_spaced(" clear\n lungs ")
    'clear lungs'
    """
    if text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]:
        return text  # white space other than " " is not printable
    return " ".join(text.split())


def is_shorthand(word: str) -> bool:
    """Whether a stop behind this word closes no sentence, at least when a small letter follows.

    >>> is_shorthand("approx"), is_shorthand("Rt"), is_shorthand("clear")
    (True, True, False)
    """
    lower = word.lower()
    return lower in _TITLES or lower in _SOFT


def stop_closes(before: str, following: str) -> bool:
    """Whether the full stop that ends `before` closes a sentence when `following` comes next.

    >>> stop_closes("NO RT.", "E"), stop_closes("OPACITY ON THE RT.", "H")
    (False, True)
    """
    return _ends_sentence(before, following)


def _with_plain_items(text: str) -> str:
    """Write every way of marking an item of a list as one."""
    if ("1" in text or "#" in text) and _MAYBE_LOOSE.search(text):  # a list begins with 1
        text = _LOOSE_ITEM.sub(_ITEM_MARK, text)
    if ("b." in text or "b)" in text) and {"a", "b"} <= set(_LETTERED_ITEM.findall(text)):
        text = _LETTERED_ITEM.sub(_ITEM_MARK, text)
    return text


def _pieces(text: str) -> list[str]:
    """Cut at every closing mark, then join again where the mark closed no sentence."""
    pieces: list[str] = []
    start = begun = 0
    for mark in _END.finditer(text):
        stop, end = mark.span()
        if text[stop] == "?" and _ANSWER.match(text, end):
            begun = end  # "Pneumothorax? None."
            continue
        # Most sentences end with a word that is too long for an abbreviation.
        is_long = stop >= _LONGEST and text[stop - _LONGEST : stop].isalpha() and text.startswith(". ", stop)
        if is_long or end == len(text) or _ends_sentence(text[begun:end].rstrip(" "), text[end]):
            pieces.append(text[start:end].rstrip(" "))
            start = end
        begun = end
    return [*pieces, text[start:]] if start < len(text) or not pieces else pieces


def _ends_sentence(piece: str, following: str) -> bool:
    if piece[-1] != ".":
        return piece[-1] != "?" or not _asks_ahead(piece, following)
    word = piece.rpartition(" ")[2][:-1].lstrip("(")
    if len(word) >= _LONGEST or not word:
        return True
    if len(word) == 1 and word.isalpha() and word.isupper() and following.isupper():
        return False  # an initial
    if word.isdigit() and len(word) <= 2:
        return False  # "1." may be a list number; `_split_numbers` decides
    lower = word.lower()
    if lower in _TITLES or (lower == "no" and following.isdigit()):
        return False
    if lower in _SIDES and word.isupper() and following.isupper():
        before = piece[:-1].rpartition(" ")[0].rstrip(".").rpartition(" ")[2].lower()
        return before not in _LEADS_TO_A_NOUN and bool(before)
    return lower not in _SOFT or following.isupper()


def _asks_ahead(piece: str, following: str) -> bool:
    """Whether a question mark stands before what it doubts: "cuffing ? viral", "? early consolidation"."""
    return following.isalpha() and piece[-2:-1] in _BEFORE_A_QUERY


def _numbers(piece: str) -> list[tuple[int, int]]:
    """(start, end) of the numbers of items, "2. " or "(2) "; a search that begins with a digit is fast."""
    found = []
    for match in _NUMBER.finditer(piece):
        start = match.start() - (piece[match.start() - 1 : match.start()] == "(")
        if start == 0 or piece[start - 1].isspace():
            found.append((start, match.end()))
    return found


def _split_numbers(piece: str, numbers: list[tuple[int, int]]) -> list[str]:
    """Split "No effusion 2. Heart normal" at the number, and "Grade 2. Stable" behind it."""
    out, start, expected = [], 0, 0
    for begin, end in numbers:
        written = piece[begin:end]
        number = int(written.strip("(). \t"))
        if not piece[start:begin].strip() or number == expected:
            out.append(piece[start:begin])
            expected = number + 1
        elif ")" not in written:
            out.append(piece[start:end])
        else:
            continue
        start = end
    return [*out, piece[start:]]


def _tidy(sentence: str) -> str:
    sentence = sentence.strip()
    if not sentence or sentence[0].isalpha():
        return sentence[:-2] + sentence[-1] if sentence[-2:] in _LOOSE_MARKS else sentence
    sentence = _BULLET.sub("", sentence)
    if sentence[-2:] in _LOOSE_MARKS:
        sentence = sentence[:-2] + sentence[-1]
    return "" if _ONLY_MARKS.match(sentence) and "_" not in sentence else sentence
