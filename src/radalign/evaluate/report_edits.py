"""Does a system notice that one fact of a real report was turned round? Rule-made edits against the image.

    report ── sentences ── edits (side, severity, negation, size, device, change) ──> before, after
      sentence   the sentence as written scores higher for the study's image than the edited one
      report     the same for the whole report with that one sentence edited

A text encoder may simply like one wording better ("no effusion" is the commoner sentence), so the same
question is put to an image of another patient; what the study's own image adds is the difference. Where the
edit is about how a finding is (side, severity, size, change) and not whether it is there, that patient has it
too: otherwise a system that hears presence alone would seem to hear, or to turn round, a degree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radalign.data.report_text import report_text
from radalign.data.settings import TextSettings
from radalign.evaluate.bootstrap import Resamples
from radalign.evaluate.comparison import Name, Number, compare
from radalign.evaluate.edits.sentence import KINDS, Edit, edits_of
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.group_scores import Group, Scores
from radalign.evaluate.results import Result
from radalign.evaluate.sensitivity import ALL, CHANCE, CardSettings, by_factor, card, counts, wins
from radalign.reports.assertions import assert_report
from radalign.reports.sentences import split_sentences
from radalign.study import Study

TASKS = ("sentence", "report")
FEW = 20
OF_A_FINDING = ("side", "severity", "size", "change")  # kinds that take for granted that the finding is there
RULE = 3
"""Of judging: 2 made scores that differ by rounding a tie, 3 asks others with the same finding."""
OTHERS, ADDED = "{}, another patient's image", "{}, own image minus another's"


@dataclass(frozen=True)
class EditedStudy:
    """A study, the edits its report allows, and another patient's study to ask the same of.

    Args:
        study_id: The study.
        patient_id: Its patient.
        edits: At least one.
        stranger_ids: Per edit, a study of another patient.
        matched: Per edit, whether that patient has the finding that the edit is about.
        reports: The report as it is, then with each edit alone.
    """

    study_id: str
    patient_id: str
    edits: tuple[Edit, ...]
    stranger_ids: tuple[str, ...]
    matched: tuple[bool, ...]
    reports: tuple[str, ...]

    @property
    def group(self) -> Group:
        """What a system has to score: per edit sentence before, after; then the reports."""
        sentences = tuple(text for edit in self.edits for text in (edit.before, edit.after))
        return Group((self.study_id, *self.strangers), sentences + self.reports)

    @property
    def strangers(self) -> tuple[str, ...]:
        """The other studies, each once."""
        return tuple(dict.fromkeys(self.stranger_ids))


def edited_studies(studies: Sequence[Study], settings: TextSettings, seed: int = 0) -> list[EditedStudy]:
    """The studies whose reports can be edited, each edit with a study of another patient.

    Args:
        studies: With images and reports.
        settings: Which text of a report the system reads.
        seed: Of the choice of other patients.

    Raises:
        EvaluationError: If no report can be edited, or there is only one patient.
    """
    found = [(study, *_edits(study, settings)) for study in studies]
    usable = [(study, edits, reports) for study, edits, reports in found if edits]
    if not usable or len({study.patient_id for study, _, _ in usable}) < 2:
        raise EvaluationError(
            f"The reports of {len(usable)} of {len(studies)} studies can be edited, and two patients are "
            "needed; take a larger split."
        )
    order = np.random.default_rng(seed).permutation(len(usable)).tolist()
    turn = [usable[n] for n in order]
    having = _having(study for study, _, _ in turn)
    made = {}
    for place, (study, edits, reports) in enumerate(turn):
        others = [s for s, _, _ in (*turn[place + 1 :], *turn[:place]) if s.patient_id != study.patient_id]
        asked = [_stranger(edit, others, having) for edit in edits]
        ids, matched = tuple(i for i, _ in asked), tuple(has for _, has in asked)
        made[study.id] = EditedStudy(study.id, study.patient_id, edits, ids, matched, reports)
    return [made[study.id] for study, _, _ in usable]


def evaluate_edits(
    studies: Sequence[EditedStudy], named: Mapping[str, Sequence[Scores]],
    settings: CardSettings | None = None,
) -> Result:  # fmt: skip
    """How often the report as written wins, by kind of edit, with intervals by patient.

    Args:
        studies: From `edited_studies`.
        named: System to its scores per study, as `EditedStudy.group` lays them out.
        settings: Similarity, resamples and seed.
    """
    settings = settings or CardSettings()
    edits = [edit for study in studies for edit in study.edits]
    kinds, findings = [e.kind for e in edits], [e.finding for e in edits]
    numbers: dict[tuple[str, str], dict[Name, Number]] = {}
    for name, scores in named.items():
        for task in TASKS:
            own, other = _won(studies, scores, task)
            numbers[name, task] = by_factor(kinds, findings, own, last=ALL)
            numbers[name, OTHERS.format(task)] = by_factor(kinds, findings, other, last=ALL)
            numbers[name, ADDED.format(task)] = by_factor(kinds, findings, own - other, 0.0, ALL)
    resamples = Resamples([s.patient_id for s in studies for _ in s.edits], settings.resamples, settings.seed)
    measures, gaps = compare(numbers, resamples)
    facts = {
        "studies": len(studies), "patients": resamples.patients, "similarity": settings.similarity,
        "resamples": settings.resamples, "edits": counts(kinds), "rule": RULE,
    }  # fmt: skip
    shown = [m for m in measures if m.task in TASKS or m.task in {OTHERS.format(t) for t in TASKS}]
    notes = (*_notes(counts(kinds)), *_unmatched(studies))
    return Result(
        "report-edits", "strict", measures, gaps, facts, notes=notes, curves={"sensitivity": card(shown)}
    )


def _edits(study: Study, settings: TextSettings) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """The edits of a study's report, and the report as it is and with each of them."""
    sentences = split_sentences(report_text(study.report, settings))
    edits: list[Edit] = []
    reports = [" ".join(sentences)]
    for n, sentence in enumerate(sentences):
        for edit in edits_of(sentence):
            edits.append(edit)
            reports.append(" ".join([*sentences[:n], edit.after, *sentences[n + 1 :]]))
    return tuple(edits), tuple(reports)


def _having(studies: Iterable[Study]) -> dict[str, set[str]]:
    """Finding to the studies whose reports say that it is there."""
    found: dict[str, set[str]] = {}
    for study in studies:
        for name, assertion in assert_report(study.report).items():
            if assertion.status == "present":
                found.setdefault(name, set()).add(study.id)
    return found


def _stranger(edit: Edit, others: Sequence[Study], having: Mapping[str, set[str]]) -> tuple[str, bool]:
    """The next other study, if possible with the finding that the edit describes; whether it has that."""
    alike = having.get(edit.finding, set())
    if edit.kind in OF_A_FINDING:
        match = next((study.id for study in others if study.id in alike), None)
        if match is not None:
            return match, True
    return others[0].id, others[0].id in alike


def _won(
    studies: Sequence[EditedStudy], scores: Sequence[Scores], task: str
) -> tuple[np.ndarray, np.ndarray]:
    """Per edit, whether the text as written won: for the own image, and for the other patient's."""
    rows = []
    for study, found in zip(studies, scores, strict=True):
        count = len(study.edits)
        if task == "sentence":
            written, edited = found[:, : 2 * count : 2], found[:, 1 : 2 * count : 2]
        else:
            written, edited = found[:, 2 * count : 2 * count + 1], found[:, 2 * count + 1 :]
        won = wins(np.broadcast_to(written, edited.shape), edited)  # [1 + strangers, edits]
        asked = [1 + study.strangers.index(other) for other in study.stranger_ids]
        rows.append(np.stack([won[0], won[asked, np.arange(count)]]))  # [2 images, edits]
    both = np.concatenate(rows, axis=1)
    return both[0], both[1]


def _unmatched(studies: Sequence[EditedStudy]) -> tuple[str, ...]:
    """A sentence about edits that had to ask a patient without the finding."""
    pairs = [p for s in studies for p in zip(s.edits, s.matched, strict=True)]
    lone = [edit.kind for edit, matched in pairs if edit.kind in OF_A_FINDING and not matched]
    if not lone:
        return ()
    each = ", ".join(f"{kind} {n}" for kind, n in counts(lone).items())
    return (f"No other patient has the finding of some edits, so anybody's image is asked: {each}.",)


def _notes(found: Mapping[str, int]) -> tuple[str, ...]:
    each = ", ".join(f"{kind} {n}" for kind, n in found.items())
    none = [kind for kind in KINDS if kind not in found]
    notes = [f"Edits per kind: {each}; chance is {100 * CHANCE:.0f} %."]
    if none:
        notes.append(f"No sentence allowed an edit of the kind {', '.join(none)}.")
    few = [kind for kind, n in found.items() if n < FEW]
    if few:
        notes.append(f"Fewer than {FEW} edits of the kind {', '.join(few)}: those numbers say little.")
    notes.append(
        "What counts is how far the own image stands above another patient's: a preference for a wording "
        "raises both."
    )
    return tuple(notes)
