"""The words that assertions are made of: findings, structures and cues, read from TOML into one phrase tree.

    findings.toml, devices.toml   what can be asserted        anatomy.toml   "heart" + "enlarged" ->
    Cardiomegaly cues.toml                     "no", "possible", "new", "but", ...

`match` turns a sentence into events: (kind, what it says), in the order of the sentence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from radalign.reports.sentences import is_shorthand

Event = tuple[str, Any]

_FILES = ("findings.toml", "devices.toml", "anatomy.toml", "cues.toml")
_WORD_MARKS = ",;:()?/&."
# Bytes -> the same for small letters and marks, a space for all else: cutting at spaces is much faster than a
# regular expression.
_LETTERS_AND_MARKS = bytes(
    c if c < 128 and (chr(c).islower() or chr(c) in _WORD_MARKS) else 32 for c in range(256)
)
_LETTERS_AND_SPACE = b" abcdefghijklmnopqrstuvwxyz"
_DECIMAL_STOP = re.compile(r"\.(?=\d)")
_INNER_STOP = re.compile(r"\b([A-Za-z]+)\.(?=\s+[^\s]|[,;:)])")
# "X?" doubts what it follows, "? X" what comes next; "#" is a fracture unless it numbers something.
_QUERY = re.compile(r"(?:(?<=[\s(/,;:-])|^)\?\s*(?=[^\W\d_]|#)|\?(?=[^\W\d_])")
_FRACTURE_SIGN = re.compile(r"#s?(?!\s?\d+\b)")
_LATIN = re.compile(r"\b(?:i\.\s?e|e\.\s?g)\b\.?", re.IGNORECASE)
_OWN_MARKS = re.compile(r"\[(?:removed|unsure)\]")  # of clean.py
_IRREGULAR = {
    "pneumothoraces": "pneumothorax", "atelectases": "atelectasis", "apices": "apex", "bullae": "bulla",
    "metastases": "metastasis", "oedema": "edema", "tumour": "tumor", "tumours": "tumor",
    "haemothorax": "hemothorax", "sulci": "sulcus", "granulomata": "granuloma", "vertebrae": "vertebra",
    "emboli": "embolus", "masses": "mass", "bronchiectases": "bronchiectasis", "hila": "hilum",
    "haemopneumothorax": "hemopneumothorax", "oedematous": "edematous", "visualised": "visualized",
    "calibre": "caliber", "has": "has", "is": "is", "was": "was", "does": "does", "catheters": "catheter",
    "processes": "process", "aneurysms": "aneurysm", "this": "this", "gases": "gas", "plus": "plus",
    "his": "his", "less": "less", "versus": "versus", "vs": "vs", "as": "as", "goes": "go",
    "biopsies": "biopsy", "thus": "thus", "its": "its", "yes": "yes", "us": "us", "pancreas": "pancreas",
    "whereas": "whereas", "gas": "gas", "demineralised": "demineralized",
    "demineralisation": "demineralization",
    "favoured": "favored", "favours": "favor", "favour": "favor", "mineralisation": "mineralization",
}  # fmt: skip
_KEPT_ENDINGS = ("ss", "us", "is")
# cues.toml: [table] key -> kind of event
_KINDS = {
    ("negation", "before"): "N", ("negation", "before_resolved"): "N", ("negation", "after"): "P",
    ("negation", "after_resolved"): "P", ("negation", "before_removed"): "N",
    ("negation", "after_removed"): "P", ("unsure", "before"): "U", ("unsure", "after"): "V",
    ("unsure", "behind"): "U", ("terminators", "turns"): "T",
    ("ignore", "before"): "I", ("terminators", "words"): "T", ("same", "before"): "S",
    ("structure", "exists"): "E", ("structure", "verb"): "B", ("structure", "neutral"): "K",
    ("structure", "with"): "W", ("structure", "starts"): "M", ("structure", "linking"): "Z",
    ("structure", "relative"): "R", ("structure", "definite"): "M",
    ("structure", "either"): "|", ("exclusion", "done"): "X", ("exclusion", "verb"): "Y",
    ("exclusion", "cannot"): "L",
}  # fmt: skip
_SAYS = {
    "turns": "turn",
    "behind": "behind",
    "definite": "the",
}  # what some keys add to the kind of their events
_BOTH_WAYS = {
    frozenset(pair): way
    for way, pairs in {"n": ("NP", "nN", "nP"), "u": ("UV", "uU", "uV")}.items()
    for pair in pairs
}
_MARKS = {
    ",": ",",
    ";": "T",
    ".": "T",
    "(": "(",
    ")": ")",
    ":": ":",
    "and": "&",
    "&": "&",
    "or": "|",
    "versus": "|",
    "vs": "|",
    "?": "?",
}
_AGAINST_EACH_OTHER = frozenset({"versus", "vs"})


@dataclass(frozen=True)
class Lexicon:
    """All phrases as one tree over singular words.

    Args:
        tree: word -> subtree, or the event of the phrase that ends there when none goes on; the key "" of a
            subtree is the event of the phrase that ends before its words.
        rules: structure -> attribute -> finding -> status.
        parents: finding -> what it also counts as.
        implies: finding -> the findings that stand for it.
        removes: finding -> the device that is gone when it is present ("extubation").
        names: The findings.
        doubts: The hedges before and behind a finding, as written.
    """

    tree: Mapping[str, Any]
    rules: Mapping[str, Mapping[str, Mapping[str, str]]]
    parents: Mapping[str, str]
    implies: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    removes: Mapping[str, str] = field(default_factory=dict)


def words_of(text: str) -> list[str]:
    """Lower-case singular words and marks of a sentence; numbers say nothing here.

    >>> words_of("No air-space opacities; 2.5 cm.")
    ['no', 'air', 'space', 'opacity', ';', 'cm', '.']
    >>> words_of("Rt. effusion isn't seen")
    ['rt', 'effusion', 'is', 'not', 'seen']
    """
    if "." not in text[:-1] and "?" not in text and "#" not in text and "[" not in text:
        words: list[str] = []
        for token in text.split():
            words += _TOKENS[token]
        return words
    text = _signs_as_words(text)
    has_stop = "." in text[:-1]
    if has_stop:
        text = _INNER_STOP.sub(_without_stop, text)
    if "[" in text:
        text = _OWN_MARKS.sub(" ", text)
    if has_stop:
        text = _DECIMAL_STOP.sub(" ", text)
    return _plain_words(text)


def _plain_words(text: str) -> list[str]:
    if "'" in text or "’" in text:
        text = _written_out(text)
    data = text.lower().encode("utf-8", "surrogatepass").translate(_LETTERS_AND_MARKS)
    plain = data.decode("ascii")
    for mark in set(data.translate(None, _LETTERS_AND_SPACE).decode("ascii")):
        plain = plain.replace(mark, f" {mark} ")
    return list(map(_SINGULAR.__getitem__, plain.split()))


def _signs_as_words(text: str) -> str:
    """Write "?edema" as "query edema", "rib #" as "rib fracture"; "i.e." and "e.g." say nothing."""
    if "." in text[:-1]:
        text = _LATIN.sub(" ", text)
    if "?" in text:
        text = _QUERY.sub(" query ", text)
    return _FRACTURE_SIGN.sub(" fracture ", text) if "#" in text else text


def _without_stop(match: re.Match[str]) -> str:
    return match[1] if is_shorthand(match[1]) else match[0]


def _written_out(text: str) -> str:
    """Contractions as two words: "isn't" is "is not"."""
    text = text.lower().replace("’", "'").replace("can't", "cannot").replace("won't", "will not")
    return text.replace("n't", " not")


class _Singulars(dict[str, str]):
    """Word -> singular, remembered (few words make all reports; it is emptied when it grows large)."""

    def __missing__(self, word: str) -> str:
        single = word
        if len(word) > 3 and word.endswith("s") and not word.endswith(_KEPT_ENDINGS):
            single = word[:-3] + "y" if word.endswith("ies") else word[:-1]
        if len(self) > 50_000:
            self.clear()
            self.update(_IRREGULAR)
        self[word] = single
        return single


_SINGULAR = _Singulars(_IRREGULAR)


class _Tokens(dict[str, tuple[str, ...]]):
    """What stands between white space -> its words, remembered like `_Singulars`.

    Stops within a sentence, "?", "#" and brackets are read with their neighbours, so none is in here.
    """

    def __missing__(self, token: str) -> tuple[str, ...]:
        words = tuple(_plain_words(token))
        if len(self) > 50_000:
            self.clear()
        self[token] = words
        return words


_TOKENS = _Tokens()


def match(words: list[str], tree: Mapping[str, Any]) -> list[Event]:
    """The events of a sentence; the longest phrase wins, words of no phrase vanish.

    >>> match(words_of("there is no pleural effusion"), default_lexicon().tree)
    [('E', ''), ('N', ''), ('F', 'Pleural Effusion')]
    """
    events: list[Event] = []
    position, count, root = 0, len(words), tree.get
    while position < count:
        node = root(words[position])
        position += 1
        if node is None:
            continue
        if type(node) is tuple:
            events.append(node)
            continue
        found, end, step = node.get(""), position, position
        while step < count:
            node = node.get(words[step])
            if node is None:
                break
            step += 1
            if type(node) is tuple:
                found, end = node, step
                break
            if "" in node:
                found, end = node[""], step
        if found is not None:
            events.append(found)
            position = end
    return events


@cache
def default_lexicon() -> Lexicon:
    """The packaged lexicon, read once."""
    folder = resources.files("radalign.reports")
    return read_lexicon(folder.joinpath(name).read_text(encoding="utf-8") for name in _FILES)


def read_lexicon(texts: Iterable[str]) -> Lexicon:
    r"""Build a lexicon from TOML texts; a later text overrides an earlier one table by table.

    Raises:
        ValueError: If a phrase means two things that exclude each other.

    >>> lexicon = read_lexicon(['[finding."Nodule"]\nphrases = ["nodule"]', '[negation]\nbefore = ["no"]'])
    >>> match(words_of("No nodules"), lexicon.tree)
    [('N', ''), ('F', 'Nodule')]
    """
    data: dict[str, dict[str, Any]] = {}
    for text in texts:
        for table, content in tomllib.loads(text).items():
            data.setdefault(table, {}).update(content)
    findings, anatomy = data.get("finding", {}), data.get("anatomy", {})
    tree: dict[str, Any] = {}
    for mark, kind in _MARKS.items():
        tree[mark] = {"": (kind, mark if mark in _AGAINST_EACH_OTHER else "")}
    for phrase, event in _phrases(data):
        for way in _ways(phrase):
            _plant(tree, way, event)
    return Lexicon(
        tree=_compact(tree),
        rules={key: {k: v for k, v in entry.items() if k != "phrases"} for key, entry in anatomy.items()},
        parents={name: entry["parent"] for name, entry in findings.items() if "parent" in entry},
        implies={name: tuple(entry["implies"]) for name, entry in findings.items() if "implies" in entry},
        doubts=tuple(way for ps in data.get("unsure", {}).values() for p in ps for way in _ways(p)),
        names=tuple(name for name in findings if name and not findings[name].keys() & {"implies", "removes"}),
        removes={name: entry["removes"] for name, entry in findings.items() if "removes" in entry},
    )


def _phrases(data: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, Event]]:
    for (table, key), kind in _KINDS.items():
        says = "better" if key.endswith("_resolved") else _SAYS.get(key, "")
        yield from ((phrase, (kind, says)) for phrase in data.get(table, {}).get(key, ()))
    for change, phrases in data.get("change", {}).items():
        yield from ((phrase, ("C", change)) for phrase in phrases)
    for attribute, phrases in data.get("attribute", {}).items():
        yield from ((phrase, ("Q", attribute)) for phrase in phrases)
    for key, entry in data.get("anatomy", {}).items():
        yield from ((phrase, ("A", key)) for phrase in entry["phrases"])
    for name, entry in data.get("finding", {}).items():
        yield from ((phrase, ("F", name) if name else ("", "")) for phrase in entry["phrases"])


def _ways(phrase: str) -> Iterable[str]:
    """Every way of reading "on|in the|_ prior study", where _ is no word.

    >>> list(_ways("on|in _|the film"))
    ['on film', 'on the film', 'in film', 'in the film']
    """
    if "|" not in phrase:
        return (phrase,)
    choices = [word.split("|") for word in phrase.split()]
    return (" ".join(word for word in chosen if word != "_") for chosen in product(*choices))


def _compact(tree: dict[str, Any]) -> dict[str, Any]:
    """A subtree of nothing but an event as that event: most phrases are the start of no other."""
    small: dict[str, Any] = {}
    for word, node in tree.items():
        if isinstance(node, dict):
            node = node[""] if node.keys() == {""} else _compact(node)
        small[word] = node
    return small


def _plant(tree: dict[str, Any], phrase: str, event: Event) -> None:
    node = tree
    for word in words_of(phrase):
        node = node.setdefault(word, {})
    old = node.get("")
    if old is None or old == event:
        node[""] = event
        return
    kind = old[0] if old[0] == event[0] else _BOTH_WAYS.get(frozenset((old[0], event[0])))
    if kind is None or (kind == old[0] and kind in "FACQ"):
        raise ValueError(
            f"The phrase {phrase!r} means both {old} and {event}; keep it in one place of the lexicon."
        )
    node[""] = (kind, old[1] or event[1])
