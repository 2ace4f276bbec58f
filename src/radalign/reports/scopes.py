"""How far the words around a finding reach: forward, backward, over lists, up to the next statement.

Events are those of `lexicon.match`, one clause at a time. Kinds: F finding, A structure, Q attribute; N, U,
I, S (negation, doubt, ignore, "no change in") reach forward; P, V reach back; n, u, C reach either way;
B verb, K neutral predicate ("is seen"), E "there is", W "with", Z "consistent with", M a word that opens a
statement; X "excluded", Y "exclude", L "cannot"; , & | joints; ( ) brackets.
"""

from __future__ import annotations

from radalign.reports.lexicon import Event

JOINTS = frozenset(",&|")
TARGETS = frozenset("FAQ")
_OPENERS = frozenset("MEWNUZnIS")
_PREDICATES = frozenset("BEKPNVCQnuUS")
# Kinds that say something of a finding; what has none of them only describes it.
_STATES = frozenset("NPnUVuCIQSXYL?E")
_CUES_BEFORE_COLON = frozenset("NPnUuC")
_ENDS_LIST = {"C": "BKWZPVU"}  # in "new infiltrate suspicious for pneumonia" one of them is new
_STOPS_BACK = frozenset("EBKTPVNISZ")


def clauses(events: list[Event]) -> list[list[Event]]:
    """Cut at terminators; a colon after a bare finding or structure is its verb ("Pneumothorax: none").

    >>> [len(c) for c in clauses([("F", "Edema"), ("T", ""), ("N", ""), ("F", "Mass")])]
    [1, 2]
    """
    out: list[list[Event]] = [[]]
    kept = _without_relatives(events, out)
    for position, event in enumerate(kept):
        kind = event[0]
        if kind == "T":
            if event[1] != "turn" or not _only_changes(kept, position + 1):
                out.append(_subject(out[-1], kept, position + 1) if event[1] == "turn" else [])
        elif kind == ":":
            if len(out[-1]) == 1 and out[-1][0][0] in _CUES_BEFORE_COLON:
                continue  # "Absent: effusion, pneumothorax"
            if out[-1] and all(k in "FAM,&|" for k, _ in out[-1]):
                out[-1].append(("B", ":"))
            else:
                out.append([])
        elif kind:
            out[-1].append(event)
    return [clause for clause in out if clause]


def _subject(before: list[Event], events: list[Event], start: int) -> list[Event]:
    """The structure that an attribute behind "but" is said of: "the lungs are hyperinflated but clear"."""
    said = [events[j][0] for j in range(start, len(events))]
    end = next((j for j, kind in enumerate(said) if kind in "T:"), len(said))
    only = "Q" in said[:end] and set(said[:end]) <= set("BQUuNCM,")
    return [e for e in before if e[0] == "A"][:1] if only else []


def _only_changes(events: list[Event], start: int) -> bool:
    """Whether only a change is said up to the next terminator: "(the heart is enlarged) but stable"."""
    changes = False
    for kind, _ in events[start:]:
        if kind in "T:":
            break
        if kind in "FAQNPnUVuISE":
            return False
        changes = changes or kind == "C"
    return changes


def without_brackets(events: list[Event], aside: list[list[Event]]) -> list[Event]:
    """Set aside what states something of its own in brackets: "opacity (likely edema) is unchanged".

    Else only the brackets go: "effusion (small) has resolved", "no effusion (or pneumothorax)".
    """
    kept: list[Event] = []
    position = 0
    while position < len(events):
        if events[position][0] != "(":
            kept.append(events[position])
            position += 1
            continue
        end = next((j for j in range(position + 1, len(events)) if events[j][0] in "()"), position)
        inside = events[position + 1 : end]
        kinds = {kind for kind, _ in inside}
        if end == position or events[end][0] == "(":
            kept.append(("T", ""))  # a bracket that is never closed
            end = position
        elif kinds & TARGETS and kinds & _STATES and inside[0][0] not in JOINTS:
            aside.append(inside)
        else:
            kept += [event for event in inside if event[0] not in "T:"]
        position = end + 1
    return [("T", "") if event[0] == ")" else event for event in kept]


def with_exclusions(events: list[Event]) -> list[Event]:
    """Make "excluded" a negation, or a doubt behind "cannot" or "not"; "exclude" alone says nothing.

    >>> with_exclusions([("F", "Edema"), ("L", ""), ("X", "")])
    [('F', 'Edema'), ('V', '')]
    >>> with_exclusions([("F", "Edema"), ("X", "")])
    [('F', 'Edema'), ('P', '')]
    """
    out: list[Event] = []
    for event in events:
        if event[0] not in "XY":
            out.append(event)
            continue
        denial = _denial(out)
        if denial >= 0:
            del out[denial]
            out.append(("V" if event[0] == "X" else "U", ""))
        elif event[0] == "X":
            out.append(("P", ""))
        elif not out or out[-1][0] in ",T:":
            out.append(("I", ""))  # "Asthmatic, exclude pneumothorax" asks
    return [event for event in out if event[0] != "L"]


def _denial(before: list[Event]) -> int:
    """Where "cannot" or "not" stands in the predicate that ends here, -1 if nowhere."""
    for j in range(len(before) - 1, -1, -1):
        if before[j][0] in "NL":
            return j
        if before[j][0] in "FA,&|TER":
            return -1
    return -1


def _without_relatives(events: list[Event], aside: list[list[Event]]) -> list[Event]:
    """What is left when ", which may be edema," is set aside as a clause; "which has resolved" stays.

    Between commas, one that says nothing of today goes with its commas: ", which was seen then,".
    """
    kept: list[Event] = []
    position = 0
    while position < len(events):
        kind = events[position][0]
        end = position
        if kind == "R":
            end = next((j for j in range(position + 1, len(events)) if events[j][0] in ",T"), len(events))
        inside = events[position + 1 : end]
        if any(k in "FA" for k, _ in inside):
            aside.insert(0, inside)
            position = end
        elif kind == "R" and end < len(events) and kept and kept[-1][0] == "," == events[end][0]:
            if _STATES.isdisjoint(k for k, _ in inside):
                kept.pop()
                position = end + 1
            else:
                position += 1
        elif kind != "R":
            kept.append(events[position])
            position += 1
        else:
            position += 1
    return kept


def forward(clause: list[Event], cue: int) -> list[int]:
    """Indices of the findings, structures and attributes that a cue before them reaches.

    "No effusion, consolidation or edema" reaches all three; "No effusion, small nodule" only the first.
    """
    reached: list[int] = []
    last_or: int | None = None
    for j in range(cue + 1, len(clause)):
        kind = clause[j][0]
        if kind in TARGETS:
            reached.append(j)
        elif (
            kind in "EN"
            or (kind == "W" and clause[cue][0] == "I")  # "status post thoracentesis with less effusion"
            or (reached and kind in _ENDS_LIST.get(clause[cue][0], "BKWZPV"))
            or (kind == "&" and _ends_item(clause, cue, j))
        ):
            break
        elif kind in ",&" and clause[cue][0] != "I":
            last_or = _last_or(clause, cue) if last_or is None else last_or
            if j >= last_or and opens_statement(clause, j + 1):
                break
    return reached


def _ends_item(clause: list[Event], cue: int, joint: int) -> bool:
    """Whether a negation was one item of a list of what there is: "there is edema, no effusion, and ..."."""
    if clause[joint - 1][0] != "," or cue < 2 or clause[cue - 1][0] != "," or clause[cue][0] != "N":
        return False
    denied = [kind for kind, _ in clause[cue:joint] if kind in TARGETS]
    return len(denied) == 1 and {"E", "F"} <= {kind for kind, _ in clause[:cue]}


def _last_or(clause: list[Event], cue: int) -> int:
    """The last "or" of the list that the cue opens, -1 if none."""
    last = -1
    for j in range(cue + 1, len(clause)):
        kind = clause[j][0]
        if kind == "|":
            last = j
        elif kind in "EBKNWZ" or (kind == "C" and clause[j - 1][0] == ","):
            break
    return last


def opens_statement(clause: list[Event], start: int) -> bool:
    """Whether what follows a comma or "and" is a statement of its own rather than the next item of a list."""
    definite = start < len(clause) and clause[start] == ("M", "the") and clause[start - 1][0] == "&"
    for j in range(start, len(clause)):
        kind = clause[j][0]
        if kind in JOINTS:
            if j == start:
                continue
            return False
        if kind == "M" and definite:
            continue  # "removal of the drain and the catheter", unless a predicate follows
        if kind in _OPENERS or kind == "C":
            return True
        if kind in "BQPV" and j > start:
            return True
    return False


def backward(clause: list[Event], cue: int) -> list[int]:
    """Indices of the findings and structures that a cue behind them reaches: the subject of its predicate.

    "Effusion and edema have resolved" reaches both; "There is an effusion, and the edema has resolved" one.
    """
    reached: list[int] = []
    own = "BKUMCunWQ" if clause[cue][0] in "PV" else "BKUMCunWQ,&"  # "mild and improving" is one predicate
    if clause[cue][0] == "Q":
        own += "N"  # "is neither tortuous nor dilated"
    j = cue - 1
    while j >= 0 and clause[j][0] in own:
        j -= 1
    while j >= 0:
        kind = clause[j][0]
        if kind in "FA":
            reached.append(j)
        elif clause[cue][0] in "CQ" and kind in "NZ" and any(k in "FA" for k, _ in clause[:j]):
            reached = reached if kind == "Z" else []  # "effusion without pneumothorax, unchanged"
        elif kind in _STOPS_BACK or (kind in JOINTS and _is_full(clause, j)):
            break
        j -= 1
    return reached


def _is_full(clause: list[Event], joint: int) -> bool:
    """Whether the words before a joint are already a statement."""
    return any(clause[m][0] in _PREDICATES for m in range(joint))


def either_way(clause: list[Event], cue: int) -> list[int]:
    """Forward when a finding follows at once ("stable effusion"), else backward ("effusion, stable")."""
    after_verb = cue > 0 and clause[cue - 1][0] in "BK" and any(k in "FA" for k, _ in clause[:cue])
    j = cue + 1
    skipped = "MCQnu&|" if clause[cue][0] == "Q" else "MCUQnu&|"
    while j < len(clause) and clause[j][0] in skipped:
        if clause[j][0] in "&|" and (j + 1 >= len(clause) or clause[j + 1][0] not in "CU"):
            break
        j += 1
    # "Edema is again demonstrated in both lungs": the lungs are only the place of what stands right before.
    only_place = clause[cue][0] == "C" and cue > 0 and clause[cue - 1][0] == "F"
    if j < len(clause) and clause[j][0] in ("F" if only_place else "FA") and not after_verb:
        return forward(clause, cue)
    return backward(clause, cue) or ([] if after_verb else forward(clause, cue))
