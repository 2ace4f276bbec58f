"""A data set's own split: what its words mean, who is missing from it, and where it contradicts itself.

word ──> train, validate, test; any other is counted
study without a split ──> its patient's split, counted
study or patient in two splits ──> an error that lists them: a split by patient is a decision of the user's
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.source import SourceError
from radalign.study import Study

UNKNOWN_WORD = "split is not train, validate or test, passed over"
TWO_SPLITS = "rows of one study are in two splits"
FILLED = "study without a split takes its patient's"
WITHOUT = "no split, though others have one"
_LISTED = 10
_WORDS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "valid": "validate",
    "val": "validate", "dev": "validate", "validate": "validate", "validation": "validate",
}  # fmt: skip
_BLANK = frozenset({"", "-1", "nan", "none", "null", "n/a"})
_MEND = "Give --split 70/10/20 to split by patient anew, or --split none"


def split_name(word: str, example: str, of: str, flow: ExclusionFlow) -> str:
    """What a data set's word for a split means; "" when it is blank, or unknown, which is noted.

    Args:
        word: In any case.
        example: What a reader sees of the row.
        of: The path of the image or the id of the study.
        flow: Counts unknown words.

    >>> [split_name(word, "a.png", "a.png", ExclusionFlow("test")) for word in ("Val", "", "holdout")]
    ['validate', '', '']
    """
    name = _WORDS.get(word.lower(), "")
    if not name and word.lower() not in _BLANK:
        flow.note(UNKNOWN_WORD, example=f"{example}: {word!r}", of=of)
    return name


def one_split(names: Iterable[str], study_id: str, flow: ExclusionFlow) -> str:
    """The split of a study whose images each name one: the first; two different ones are noted.

    >>> one_split(["", "train", "train"], "s", ExclusionFlow("test"))
    'train'
    """
    found = list(dict.fromkeys(name for name in names if name))
    if len(found) > 1:
        flow.note(TWO_SPLITS, studies=1, example=f"{study_id}: {' and '.join(found)}", of=study_id)
    return found[0] if found else ""


def keep_own_split(studies: list[Study], flow: ExclusionFlow) -> list[Study]:
    """The studies with the split they came with; a study without one takes its patient's.

    Args:
        studies: What is kept.
        flow: Counts studies that take their patient's split, and those that stay without.

    Raises:
        SourceError: If a study or a patient is in two splits.
    """
    kept = {study.id for study in studies}
    split_of: dict[str, dict[str, None]] = {}
    for study in studies:
        if study.split:
            split_of.setdefault(study.patient_id, {})[study.split] = None
    parted = flow.noted.get(TWO_SPLITS)
    faults = [f"study {case.example}" for case in parted.cases if case.of in kept] if parted else []
    faults += [f"patient {name}: {' and '.join(found)}" for name, found in split_of.items() if len(found) > 1]
    if faults:
        more = f"; and {len(faults) - _LISTED:,} more" if len(faults) > _LISTED else ""
        raise SourceError(
            f"The set's own split has {len(faults):,} studies or patients in two parts: "
            f"{'; '.join(faults[:_LISTED])}{more}. {_MEND}."
        )
    return [_filled(study, next(iter(split_of.get(study.patient_id, ())), ""), flow) for study in studies]


def refuse_unknown_words(flow: ExclusionFlow) -> None:
    """Refuse to draw a split where the set has one that is not understood.

    Raises:
        SourceError: If unknown words were noted.
    """
    unknown = flow.noted.get(UNKNOWN_WORD)
    if unknown:
        raise SourceError(
            f"The set's own split is not in the words train, validate and test (such as "
            f"{'; '.join(unknown.examples)}). {_MEND}, or write those words."
        )


def _filled(study: Study, split: str, flow: ExclusionFlow) -> Study:
    if study.split:
        return study
    flow.note(FILLED if split else WITHOUT, len(study.views), 1, study.id, of=study.id)
    return replace(study, split=split)
