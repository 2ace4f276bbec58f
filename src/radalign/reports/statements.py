"""What one sentence states of its findings, read from the pattern of its events.

The pattern is the events with a number in place of each finding's name: "no edema or effusion" and "no mass
or nodule" have one pattern, and are read once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from radalign.reports.lexicon import Event
from radalign.reports.scopes import (
    JOINTS,
    backward,
    clauses,
    either_way,
    forward,
    with_exclusions,
    without_brackets,
)

Pattern = tuple[Event, ...]
"""The events of a sentence; a finding is ("F", its number)."""
Statement = tuple[str | int, str, str]
"""(finding or its number, status, change)."""
Rules = Mapping[str, Mapping[str, Mapping[str, str]]]

_CUES = frozenset("NPnUVu?ISCQ|")
_MIXED = "mixed"
_STILL = "_still"
_CUTS = frozenset("T:R()XYL")  # a sentence with none of these is one clause


def pattern_of(events: Iterable[Event]) -> tuple[Pattern, list[str]]:
    """The pattern of a sentence, and the names of its findings by number; "Disease" keeps its name.

    >>> pattern_of([("N", ""), ("F", "Edema"), ("|", ""), ("F", "Mass"), ("T", "")])
    ((('N', ''), ('F', 0), ('|', ''), ('F', 1)), ['Edema', 'Mass'])
    """
    names: list[str] = []
    pattern: list[Event] = []
    for event in events:
        kind, says = event
        if kind == "F" and says != "Disease":
            if says not in names:
                names.append(says)
            pattern.append(("F", names.index(says)))
        elif kind:
            pattern.append(event)
    while pattern and pattern[-1][0] == "T":
        pattern.pop()
    return tuple(pattern), names


def read_pattern(pattern: Pattern, rules: Rules) -> tuple[Statement, ...]:
    """What a sentence of this pattern states, in its order; a finding may be stated twice.

    Args:
        pattern: From `pattern_of`.
        rules: Structure -> attribute -> finding -> status.

    >>> read_pattern((("N", ""), ("F", 0), ("|", ""), ("F", 1)), {})
    ((0, 'absent', ''), (1, 'absent', ''))
    """
    kinds = {kind for kind, _ in pattern}
    if kinds.isdisjoint("FA"):
        return ()
    events = list(pattern)
    parts = [events] if kinds.isdisjoint(_CUTS) else _clauses(events, kinds)
    return tuple([statement for clause in parts for statement in _read_clause(clause, rules)])


def _clauses(events: list[Event], kinds: set[str]) -> list[list[Event]]:
    aside: list[list[Event]] = []
    if "(" in kinds or ")" in kinds:
        events = without_brackets(events, aside)
    pieces = [events, *aside]
    if kinds & {"X", "Y", "L"}:
        pieces = [with_exclusions(piece) for piece in pieces]
    return [clause for piece in pieces for clause in clauses(piece)]


def _read_clause(clause: list[Event], rules: Rules) -> list[Statement]:
    status: dict[int, str] = {}
    change: dict[int, str] = {}
    attributes: dict[int, list[int]] = {}
    same: list[int] = []
    has_alternatives = False
    for i, (kind, says) in enumerate(clause):
        if kind not in _CUES:
            continue
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
                opposite = {change.get(j), says} == {
                    "better",
                    "worse",
                }  # "less on the right, more on the left"
                change[j] = _MIXED if opposite else change.get(j) or says
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
    return _stated(clause, status, change, attributes, rules)


def _reach(clause: list[Event], cue: int, kind: str, kinds: str) -> list[int]:
    if kind == "?":
        return backward(clause, cue) or forward(clause, cue)
    if kind == "u" and _closes_item(clause, cue):
        return [cue - 1]
    if kind == "P" and cue and clause[cue - 1][0] in JOINTS and clause[cue][1] != "better":
        return []  # "effusion on the left, none on the right" negates nothing
    if kind == "U" and _closes_item(clause, cue):
        return [cue - 1]
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


def _closes_item(clause: list[Event], cue: int) -> bool:
    """Whether a doubt ends an item: "granuloma likely, hernia"."""
    follows = cue + 1 < len(clause) and clause[cue + 1][0] == ","
    return follows and clause[cue][1] == "behind" and cue > 0 and clause[cue - 1][0] == "F"


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


def _stated(
    clause: list[Event],
    status: Mapping[int, str],
    change: Mapping[int, str],
    attributes: Mapping[int, list[int]],
    rules: Rules,
) -> list[Statement]:
    out: list[Statement] = []
    for i, (kind, says) in enumerate(clause):
        if kind == "F":
            state, moved = status.get(i, "present"), change.get(i, "").replace(_MIXED, "")
            if state != "ignore" and not (says == "Disease" and _of_bones(clause, i)):
                out.append((says, state, moved if state != "absent" or moved == "better" else ""))
        elif kind == "A" and i not in attributes and ("P", "better") in clause[i:]:
            of_a_finding = any(k == "F" for k, _ in clause[:i])  # "the edema of the last study has resolved"
            if not of_a_finding and status.get(i) == "absent":  # "the costophrenic angle has cleared"
                out.extend(_by_rule(rules[says].get("normal", {}), "normal", "", ""))
        elif kind == "A" and i in attributes and status.get(i) != "ignore":
            for attribute in attributes[i]:
                moved = change.get(i) or change.get(attribute, "")
                gone = moved == "better" and status.get(i) == "absent"  # "the widening has resolved"
                cue = "absent" if gone else status.get(attribute, "")
                out.extend(_attributed(rules[says], clause[attribute][1], cue, moved.replace(_MIXED, "")))
        elif kind == "A" and status.get(i) not in {"absent", "ignore"} and change.get(i) == "worse":
            for key, moved in (("larger", "worse"), ("increased", "")):  # "the heart is bigger"
                out.extend((n, status.get(i) or s, moved) for n, s in rules[says].get(key, {}).items())
    return out


def _attributed(
    rules: Mapping[str, Mapping[str, str]], attribute: str, cue: str, moved: str
) -> list[Statement]:
    """What an attribute says of its structure; "remains enlarged" is `abnormal_still`."""
    word = attribute.removesuffix(_STILL)
    return _by_rule(rules.get(word, {}), word, cue, moved if word == attribute else "same")


def _of_bones(clause: list[Event], disease: int) -> bool:
    """Whether "no acute abnormality" is only said of bones."""
    return ("A", "bones") in clause[: disease + 2]


def _by_rule(rule: Mapping[str, str], attribute: str, cue: str, moved: str) -> list[Statement]:
    """A structure's attribute, turned round by a negation and softened by a doubt."""
    if cue == "ignore" or (attribute == "normal" and cue == "absent"):
        return []
    return [
        (n, cue or s, moved if (cue or s) != "absent" or moved == "better" else "") for n, s in rule.items()
    ]
