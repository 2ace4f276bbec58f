"""One sentence and one kind of edit: the edited sentence, if it asserts what it should and nothing else.

    sentence ── rule of the kind ──> candidate ── assertions of both ──> Edit, or None

Kinds: side, negation, severity, size, change, device. Everything that the assertions of `reports` can read is
checked: of a side, severity or size edit the assertions stay the same and none is absent; of a negation or
device edit one status turns; of a change edit one change turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from radalign.evaluate.edits.devices import removed_or_placed
from radalign.evaluate.edits.negation import turned
from radalign.evaluate.edits.swaps import other_change, other_severity, other_side, twice_the_size
from radalign.evaluate.edits.words import pattern
from radalign.reports.assertions import Assertion, assert_sentence
from radalign.reports.lexicon import default_lexicon

RULES: Mapping[str, Callable[[str], str]] = {
    "side": other_side,
    "severity": other_severity,
    "negation": turned,
    "size": twice_the_size,
    "device": removed_or_placed,
    "change": other_change,
}
KINDS = tuple(RULES)
DEVICES = "Support Devices"
_OPPOSITE = {("present", "absent"), ("absent", "present"), ("better", "worse"), ("worse", "better")}


@dataclass(frozen=True)
class Edit:
    """A sentence and what became of it.

    Args:
        kind: One of `KINDS`.
        finding: What the turned fact is about.
        before: The sentence as it was written.
        after: The same with one fact turned round.
    """

    kind: str
    finding: str
    before: str
    after: str


@lru_cache(maxsize=1 << 14)
def edit_sentence(sentence: str, kind: str) -> Edit | None:
    """The edit of one kind, None when the sentence has nothing of that kind that can be turned alone.

    >>> edit_sentence("Small left pleural effusion.", "side").after
    'Small right pleural effusion.'
    >>> edit_sentence("No left pleural effusion.", "side") is None
    True
    >>> edit_sentence("The endotracheal tube is in place.", "device").after
    'The endotracheal tube has been removed.'
    """
    after = RULES[kind](sentence)
    if not after or after == sentence:
        return None
    found = _turned_finding(kind, _read(sentence), _read(after), sentence)
    return Edit(kind, found, sentence, after) if found else None


def edits_of(sentence: str) -> list[Edit]:
    """Every kind of edit that the sentence allows.

    >>> [(e.kind, e.after) for e in edits_of("Large left pleural effusion.")]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('side', 'Large right pleural effusion.'), ('severity', 'Small left pleural effusion.'),
     ('negation', 'No left pleural effusion.')]
    """
    found = (edit_sentence(sentence, kind) for kind in KINDS)
    return [edit for edit in found if edit is not None]


def _read(sentence: str) -> dict[str, Assertion]:
    return {assertion.finding: assertion for assertion in assert_sentence(sentence)}


def _turned_finding(
    kind: str, old: Mapping[str, Assertion], new: Mapping[str, Assertion], before: str
) -> str:
    """The finding whose fact turned, "" unless it is the only one and what the kind is about."""
    if not old or old.keys() != new.keys() or "No Finding" in old:
        return ""
    if kind in {"negation", "device"}:
        return _only_one(old, new, "status", devices=kind == "device")
    if kind == "change":
        same = all(old[name].status == new[name].status for name in old)
        return _only_one(old, new, "change") if same else ""
    if old != new or any(a.status == "absent" for a in old.values()):
        return ""
    if any(is_device(name) for name in old) and (kind == "size" or _passes_an_organ(kind, before)):
        return ""  # a tube's distance to the carina is a place and no size
    return next(iter(old))


def _passes_an_organ(kind: str, sentence: str) -> bool:
    return kind == "side" and bool(pattern("side", "never_of_devices", prefix=True).search(sentence))


def _only_one(
    old: Mapping[str, Assertion], new: Mapping[str, Assertion], what: str, devices: bool | None = None
) -> str:
    moved = [name for name in old if getattr(old[name], what) != getattr(new[name], what)]
    if len(moved) != 1 or (devices is not None and is_device(moved[0]) != devices):
        return ""
    pair = getattr(old[moved[0]], what), getattr(new[moved[0]], what)
    return moved[0] if pair in _OPPOSITE else ""


def is_device(finding: str) -> bool:
    """Whether a finding of the lexicon is a device.

    >>> is_device("Pacemaker"), is_device("Nodule")
    (True, False)
    """
    return finding == DEVICES or default_lexicon().parents.get(finding) == DEVICES
