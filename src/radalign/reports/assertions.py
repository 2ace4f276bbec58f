"""What a report asserts of each finding: present, absent or unsure; new, better, worse or the same.

    "No effusion, but a new small nodule."
        Assertion("Pleural Effusion", "absent"), Assertion("Nodule", "present", "new")

Words come from the lexicon, reach from `scopes`. The conventions, which `radalign report score` measures:
a finding that has resolved is absent and better; "no new effusion" is absent; "blunted costophrenic angle"
is an effusion of which one is unsure; "evaluate for pneumonia" and "history of pneumonia" assert nothing;
"likely" and "unlikely" are unsure; "no acute cardiopulmonary process" is the finding `No Finding`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from radalign.reports.lexicon import Event, Lexicon, default_lexicon, match, words_of
from radalign.reports.scopes import (
    JOINTS,
    backward,
    clauses,
    either_way,
    forward,
    with_exclusions,
    without_brackets,
)
from radalign.reports.sentences import split_sentences
from radalign.study import Report

STATUSES = ("present", "absent", "unsure")
CHANGES = ("new", "better", "worse", "same")
LABELS = {"present": 1, "absent": 0, "unsure": -1}
_RANK = {"present": 3, "unsure": 2, "absent": 1, "": 0}
_DIGITS = str.maketrans("123456789", "000000000")  # "4 cm above the carina" is read once for all distances
_CUTS = frozenset("T:R()XYL")  # a sentence with none of these is one clause
_NOT_PATHOLOGY = frozenset({"No Finding", "Support Devices", "Low Lung Volumes"})


class Assertion(NamedTuple):
    """One finding as a sentence or a report asserts it.

    Args:
        finding: A name of findings.toml or devices.toml.
        status: `present`, `absent` or `unsure`.
        change: `new`, `better`, `worse`, `same`, or "" when nothing is said.
    """

    finding: str
    status: str
    change: str = ""


def assert_sentence(sentence: str, lexicon: Lexicon | None = None) -> tuple[Assertion, ...]:
    """The assertions of one sentence, one per finding, in the order of the words.

    >>> assert_sentence("FINDINGS: No pneumothorax.")
    (Assertion(finding='Pneumothorax', status='absent', change=''),)
    >>> [tuple(a) for a in assert_sentence("The effusion has increased; the heart is normal.")]
    [('Pleural Effusion', 'present', 'worse'), ('Cardiomegaly', 'absent', '')]
    """
    return _remembered(sentence.translate(_DIGITS)) if lexicon is None else _read(sentence, lexicon)


def assert_report(report: Report | str, lexicon: Lexicon | None = None) -> dict[str, Assertion]:
    """The assertions of a report's findings and impression, merged: present over unsure over absent.

    `No Finding` is present when the report says so, or calls heart and lungs normal, and no pathology is
    present or unsure; devices are no pathology.

    >>> {n: a.status for n, a in assert_report("No effusion. Possible pneumonia.").items()}
    {'Pleural Effusion': 'absent', 'Pneumonia': 'unsure'}
    """
    text = report.body if isinstance(report, Report) else report
    merged = _merge(a for sentence in split_sentences(text) for a in assert_sentence(sentence, lexicon))
    return _with_no_finding(merged, lexicon or default_lexicon())


def labels_of(report: Report | str, lexicon: Lexicon | None = None) -> dict[str, int]:
    """A report's findings as a study's `labels`: 1 present, 0 absent, -1 unsure; parents included.

    >>> labels_of("No consolidation. 5 mm nodule in the left apex.")
    {'Consolidation': 0, 'Nodule': 1, 'Lung Lesion': 1}
    """
    lexicon = lexicon or default_lexicon()
    found = with_parents(assert_report(report, lexicon), lexicon)
    return {name: LABELS[assertion.status] for name, assertion in found.items()}


def with_parents(found: Mapping[str, Assertion], lexicon: Lexicon) -> dict[str, Assertion]:
    """Add what present and unsure findings also count as: a nodule is a lung lesion, no nodule says less."""
    out = dict(found)
    for name, assertion in found.items():
        parent, status = lexicon.parents.get(name), assertion.status
        while parent and status != "absent":
            if parent not in out or _RANK[out[parent].status] < _RANK[status]:
                out[parent] = Assertion(parent, status)
            parent = lexicon.parents.get(parent)
    return out


@lru_cache(maxsize=1 << 15)
def _remembered(sentence: str) -> tuple[Assertion, ...]:
    return _remembered_events(tuple(match(words_of(sentence), default_lexicon().tree)))


def _read(sentence: str, lexicon: Lexicon) -> tuple[Assertion, ...]:
    events = match(words_of(sentence), lexicon.tree)
    return read_events(tuple(events), lexicon)


@lru_cache(maxsize=1 << 15)
def _remembered_events(events: tuple[Event, ...]) -> tuple[Assertion, ...]:
    """Few events make many sentences: places, sizes and other words of no phrase are gone by now."""
    return read_events(events, default_lexicon())


def forget() -> None:
    """Empty the memories of sentences and events, for a measurement."""
    _remembered.cache_clear()
    _remembered_events.cache_clear()


def read_events(events: tuple[Event, ...], lexicon: Lexicon) -> tuple[Assertion, ...]:
    """The assertions of one sentence's events."""
    left = list(events)
    while left and left[-1][0] == "T":
        left.pop()
    kinds = {kind for kind, _ in left}
    if not kinds & {"F", "A"}:
        return ()
    if "" in kinds:
        left = [event for event in left if event[0]]
    parts = [left] if kinds.isdisjoint(_CUTS) else _clauses(left, kinds)
    found = [a for clause in parts for a in _read_clause(clause, lexicon)]
    return (
        tuple(_merge(found).values())
        if len(found) > 1 or (found and found[0].finding == "Disease")
        else tuple(found)
    )


def _clauses(events: list[Event], kinds: set[str]) -> list[list[Event]]:
    aside: list[list[Event]] = []
    if "(" in kinds or ")" in kinds:
        events = without_brackets(events, aside)
    pieces = [events, *aside]
    if kinds & {"X", "Y", "L"}:
        pieces = [with_exclusions(piece) for piece in pieces]
    return [clause for piece in pieces for clause in clauses(piece)]


def _read_clause(clause: list[Event], lexicon: Lexicon) -> list[Assertion]:
    status: dict[int, str] = {}
    change: dict[int, str] = {}
    attributes: dict[int, list[int]] = {}
    same: list[int] = []
    has_alternatives = False
    for i, (kind, says) in enumerate(clause):
        if kind in "NPn":
            reached = _reach(clause, i, kind, "NPn")
            hedged = i > 0 and clause[i - 1][0] in "Uu" and kind != "P"
            for j in reached:
                status[j] = "unsure" if hedged else "absent"
                change.setdefault(j, says)
        elif kind in "UVu?":
            for j in _reach(clause, i, kind, "UVu"):
                status.setdefault(j, "unsure")
        elif kind == "I":
            status.update(dict.fromkeys(forward(clause, i), "ignore"))
        elif kind == "S":
            reached = forward(clause, i)
            same += reached
            change.update(dict.fromkeys(reached, "same"))
        elif kind == "C":
            for j in either_way(clause, i):
                change[j] = change.get(j) or says
        elif kind == "Q":
            for j in either_way(clause, i):
                attributes.setdefault(j, []).append(i)
            if says == "borderline" and i + 1 < len(clause) and clause[i + 1][0] == "F":
                status.setdefault(i + 1, "unsure")
        elif kind == "|":
            has_alternatives = True
    for j in same:
        status.setdefault(j, "present")  # "no change in effusion or edema" doubts neither
    if has_alternatives:
        _doubt_alternatives(clause, status)
    return _assertions(clause, status, change, attributes, lexicon)


def _reach(clause: list[Event], cue: int, kind: str, kinds: str) -> list[int]:
    if kind == "?":
        return forward(clause, cue) or backward(clause, cue)
    if kind == "P" and cue and clause[cue - 1][0] in JOINTS:
        return []  # "effusion on the left, none on the right" negates nothing
    if kind == kinds[0]:
        return forward(clause, cue) or (_last_item(clause, cue) if kind == "U" else _after_colon(clause, cue))
    if kind == kinds[1]:
        return backward(clause, cue) or (forward(clause, cue) if cue == 0 else [])
    return either_way(clause, cue)


def _last_item(clause: list[Event], cue: int) -> list[int]:
    """What stands right before a doubt that ends its clause: "opacity, atelectasis likely"."""
    if clause[cue][1] != "behind" or cue != len(clause) - 1 or not cue or clause[cue - 1][0] not in "FA":
        return []
    return [j for j in backward(clause, cue) if (",", "") not in clause[j:cue]]


def _after_colon(clause: list[Event], cue: int) -> list[int]:
    """Negate what stands before the colon: "Effusion: no."."""
    ends = cue == len(clause) - 1
    return backward(clause, cue) if ends and cue and clause[cue - 1] == ("B", ":") else []


def _doubt_alternatives(clause: list[Event], status: dict[int, str]) -> None:
    """Leave both unsure where nothing is said before "atelectasis or pneumonia"."""
    for i, (kind, says) in enumerate(clause):
        if kind == "|" and says and i and clause[i - 1][0] == "F":
            status.setdefault(i - 1, "unsure")  # versus whatever follows
    places = [i for i, (kind, _) in enumerate(clause) if kind == "F"]
    for left, right in pairwise(places):
        between = {kind for kind, _ in clause[left + 1 : right]}
        if clause[left] == clause[right]:
            continue  # "tortuosity and/or ectasia" are one finding
        if "|" in between and not between & set("BEKNTPVWZ"):
            status.setdefault(left, "unsure")
            status.setdefault(right, "unsure")


def _assertions(
    clause: list[Event],
    status: Mapping[int, str],
    change: Mapping[int, str],
    attributes: Mapping[int, list[int]],
    lexicon: Lexicon,
) -> list[Assertion]:
    out: list[Assertion] = []
    implies = lexicon.implies
    for i, (kind, says) in enumerate(clause):
        if kind == "F":
            state, moved = status.get(i, "present"), change.get(i, "")
            if state != "ignore" and not (says == "Disease" and _of_bones(clause, i)):
                kept = moved if state != "absent" or moved == "better" else ""
                for name in implies.get(says, (says,)):
                    out.append(Assertion(name, state, kept))  # noqa: PERF401 (an inner list costs more)
        elif kind == "A" and i in attributes and status.get(i) != "ignore":
            for attribute in attributes[i]:
                word = clause[attribute][1]
                rules = lexicon.rules[says].get(word)
                if rules:
                    out.extend(_by_rule(rules, word, status.get(attribute, ""), change.get(i, "")))
    return out


def _of_bones(clause: list[Event], disease: int) -> bool:
    """Whether "no acute abnormality" is only said of bones."""
    return ("A", "bones") in clause[: disease + 2]


def _by_rule(rules: Mapping[str, str], attribute: str, cue: str, moved: str) -> list[Assertion]:
    """A structure's attribute, turned round by a negation and softened by a doubt."""
    if attribute == "normal":
        return [] if cue in {"absent", "ignore"} else [Assertion(n, cue or s) for n, s in rules.items()]
    if cue == "ignore":
        return []
    return [Assertion(n, cue or s, "" if cue == "absent" else moved) for n, s in rules.items()]


def _merge(assertions: Iterable[Assertion]) -> dict[str, Assertion]:
    merged: dict[str, Assertion] = {}
    for new in assertions:
        old = merged.get(new.finding)
        if (
            old is None
            or _RANK[new.status] > _RANK[old.status]
            or (new.status == old.status and new.change and not old.change)
        ):
            merged[new.finding] = new
    disease = merged.pop("Disease", None)
    if disease is not None and disease.status == "absent" and "No Finding" not in merged:
        merged["No Finding"] = Assertion("No Finding", "present")
    return merged


def _with_no_finding(merged: dict[str, Assertion], lexicon: Lexicon) -> dict[str, Assertion]:
    """`No Finding` only without present or unsure pathology; normal heart and lungs are enough for it."""
    if any(a.status != "absent" and _is_pathology(n, lexicon) for n, a in merged.items()):
        merged.pop("No Finding", None)
    elif "Cardiomegaly" in merged and ("Lung Opacity" in merged or "Consolidation" in merged):
        merged.setdefault("No Finding", Assertion("No Finding", "present"))
    return merged


def _is_pathology(name: str, lexicon: Lexicon) -> bool:
    return name not in _NOT_PATHOLOGY and lexicon.parents.get(name) != "Support Devices"
