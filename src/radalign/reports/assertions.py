"""What a report asserts of each finding: present, absent or unsure; new, better, worse or the same.

    "No effusion, but a new small nodule."
        Assertion("Pleural Effusion", "absent"), Assertion("Nodule", "present", "new")

Words come from the lexicon, reach from `scopes`. The conventions, which `radalign report score` measures:
a finding that has resolved is absent and better; "no new effusion" is absent; "blunted costophrenic angle"
is an effusion of which one is unsure; "evaluate for pneumonia" and "history of pneumonia" assert nothing;
"likely" and "unlikely" are unsure; "no acute cardiopulmonary process" is the finding `No Finding`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from radalign.reports.lexicon import Event, Lexicon, default_lexicon, match, words_of
from radalign.reports.sentences import split_sentences
from radalign.reports.statements import Pattern, Statement, pattern_of, read_pattern
from radalign.study import Report

STATUSES = ("present", "absent", "unsure")
CHANGES = ("new", "better", "worse", "same")
LABELS = {"present": 1, "absent": 0, "unsure": -1}
_RANK = {"present": 3, "unsure": 2, "absent": 1, "": 0}
# "4 cm above the carina" is read once for all distances; bytes are translated ten times as fast as `str`.
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
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


Found = tuple[Assertion, ...]
_assertion = lru_cache(maxsize=4096)(Assertion)


def assert_sentence(sentence: str, lexicon: Lexicon | None = None) -> Found:
    """The assertions of one sentence, one per finding, in the order of the words.

    >>> assert_sentence("FINDINGS: No pneumothorax.")
    (Assertion(finding='Pneumothorax', status='absent', change=''),)
    >>> [tuple(a) for a in assert_sentence("The effusion has increased; the heart is normal.")]
    [('Pleural Effusion', 'present', 'worse'), ('Cardiomegaly', 'absent', '')]
    """
    if lexicon is not None:
        return _read(sentence, lexicon)
    plain = sentence.encode("utf-8", "surrogatepass").translate(_DIGITS)
    return _remembered(plain.decode("utf-8", "surrogatepass"))


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
def _remembered(sentence: str) -> Found:
    return _remembered_events(tuple(_events(sentence, default_lexicon())))


@lru_cache(maxsize=1 << 15)
def _remembered_events(events: tuple[Event, ...]) -> Found:
    """Few events make many sentences: places, sizes and other words of no phrase are gone by now."""
    return _found(events, default_lexicon(), _remembered_pattern)


@lru_cache(maxsize=1 << 15)
def _remembered_pattern(pattern: Pattern) -> tuple[Statement, ...]:
    """Fewer patterns still: the names of the findings are gone too."""
    return read_pattern(pattern, default_lexicon().rules)


def forget() -> None:
    """Empty the memories of sentences, events and patterns, for a measurement."""
    for remembered in (_remembered, _remembered_events, _remembered_pattern):
        remembered.cache_clear()


def _read(sentence: str, lexicon: Lexicon) -> Found:
    return _found(_events(sentence, lexicon), lexicon, lambda pattern: read_pattern(pattern, lexicon.rules))


def _events(sentence: str, lexicon: Lexicon) -> Iterable[Event]:
    """What the lexicon knows of a sentence; the full stop is a word, so that a phrase may end with it."""
    return match([*words_of(sentence), "."], lexicon.tree)


def _found(
    events: Iterable[Event], lexicon: Lexicon, read: Callable[[Pattern], tuple[Statement, ...]]
) -> Found:
    pattern, names = pattern_of(events)
    implies = lexicon.implies
    found: list[Assertion] = []
    for finding, status, change in read(pattern):
        if isinstance(finding, int):
            name = names[finding]
            if name in lexicon.removes:
                found += [_assertion(lexicon.removes[name], "absent")] if status == "present" else []
                continue
            found += [_assertion(each, status, change) for each in implies.get(name, (name,))]
        else:
            found.append(_assertion(finding, status, change))
    said = {a.finding for a in found}
    if "No Finding" in said and any(
        a.status == "present" and a.finding != "Disease" and _is_pathology(a.finding, lexicon) for a in found
    ):
        found = [a for a in found if a.finding != "No Finding"]  # "apart from a hernia, a normal study"
    if len(said) == len(found) and "Disease" not in said:
        return tuple(found)
    return tuple(_merge(found).values())


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
