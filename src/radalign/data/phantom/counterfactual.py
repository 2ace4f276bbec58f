"""The same patient with exactly one thing changed, and the two sentences that tell the versions apart.

    Case + factor ──> Counterfactual(actual, other): each a Case and the sentence that is true of it alone

    side        left against right                      size      a small against a large nodule
    severity    small against large                     device    there against not there
    negation    a disease against none                  change    worse against better since the prior

Anatomy, acquisition and noise are the same in both versions: whatever a score does, the factor did it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from radalign.data.phantom.case import Case
from radalign.data.phantom.course import conflict, draw_acquisition, draw_finding, patient_cases
from radalign.data.phantom.files import SimulationError, png_bytes, write_whole
from radalign.data.phantom.grid import Array
from radalign.data.phantom.render import render
from radalign.data.phantom.simulate import LICENCE, case_of
from radalign.data.phantom.truth import DEVICES, DISEASES, SIDED, Placed, labels_of
from radalign.data.phantom.wording import denial, statement
from radalign.study import Report, Study, View

FACTORS = {
    "side": SIDED,
    "severity": tuple(name for name in DISEASES if name != "Nodule"),
    "size": ("Nodule",),
    "negation": DISEASES,
    "device": DEVICES,
    "change": tuple(name for name in DISEASES if name != "Cardiomegaly"),
}
"""Factor to the findings that it applies to."""
_OTHER_SIDE = {"left": "right", "right": "left", "lingula": "middle lobe", "middle lobe": "lingula"}
_LESS, _MIDDLE, _MORE = 0.15, 0.5, 0.85


@dataclass(frozen=True)
class Version:
    """One of two versions of a study.

    Args:
        case: What to render; its `prior` is set for the factor `change`.
        sentence: True of this version and false of the other.
    """

    case: Case
    sentence: str

    def images(self, size_px: int = 256) -> dict[str, Array]:
        """The current views: position to float32 [size_px, size_px], 0..1."""
        return render(self.case, size_px)

    def prior_images(self, size_px: int = 256) -> dict[str, Array]:
        """The prior's views; empty without a prior."""
        return render(self.case.prior, size_px) if self.case.prior else {}


@dataclass(frozen=True)
class Counterfactual:
    """Two versions of one study that differ in one factor.

    Args:
        factor: One of `FACTORS`.
        name: The finding that is changed.
        actual: The one version.
        other: The other version.
    """

    factor: str
    name: str
    actual: Version
    other: Version


def counterfactual(study: Case | Study, change: str, name: str = "", number: int = 0) -> Counterfactual:
    """Two versions of a study that differ in one factor.

    Args:
        study: A case, or a simulated study of a manifest.
        change: The factor; one of `FACTORS`.
        name: The finding to change; one that the study lacks is placed first. By default the study's first
            finding that the factor applies to, else the first it could apply to.
        number: Which wording; the same for both sentences.

    Raises:
        SimulationError: If the factor is unknown or does not apply to the finding.

    >>> pair = counterfactual(patient_cases(0, 1)[0], "negation", "Effusion")
    >>> pair.actual.sentence, pair.other.sentence
    ('Moderate left pleural effusion.', 'No pleural effusion.')
    """
    case = study if isinstance(study, Case) else case_of(study)
    p = _subject(case, change, name)
    one, two, sentences = _versions(case, change, p, number)
    kept = tuple(q for q in case.present if q.name != p.name)
    kept = tuple(replace(q, change="") for q in kept if not any(conflict(q, v) for v in (one, two)))
    if change == "change":
        actual, other = _with_prior(case, kept, one), _with_prior(case, kept, two)
    else:
        alone = replace(case, prior=None)
        actual = alone.with_placed((*kept, one))
        other = alone.with_placed(kept if change in {"negation", "device"} else (*kept, two))
    return Counterfactual(change, p.name, Version(actual, sentences[0]), Version(other, sentences[1]))


def probes(factor: str, count: int, seed: int = 0, start: int = 0) -> Iterator[Counterfactual]:
    """Counterfactuals of many patients, the factor's findings in turn; the same for the same seed.

    Args:
        factor: One of `FACTORS`.
        count: How many.
        seed: The patients' seed; choose one that no training set used.
        start: Number of the first patient.
    """
    names = FACTORS.get(factor, ("",))
    for n in range(start, start + count):
        case = patient_cases(seed, n, prior_share=0.0)[0]
        yield counterfactual(case, factor, names[n % len(names)], n // len(names))


def write_probe(pair: Counterfactual, out: Path, size_px: int = 256) -> tuple[list[Study], list[Study]]:
    """Write a counterfactual's images as PNG and name them as studies, for systems that read files.

    Args:
        pair: What to write.
        out: Folder; the studies' paths are relative to it.
        size_px: Side of the square images, pixels.

    Returns:
        The studies of the actual and of the other version, the prior (if any) before the current one; the
        current one's impression is the version's sentence.
    """
    return _studies(pair, "a", pair.actual, out, size_px), _studies(pair, "b", pair.other, out, size_px)


def _subject(case: Case, factor: str, name: str) -> Placed:
    """The finding to change: the study's own, or one drawn for this patient."""
    if factor not in FACTORS:
        raise SimulationError(f"There is no factor {factor!r}; choose one of {', '.join(FACTORS)}.")
    usable = [p for p in case.present if p.name in FACTORS[factor] and _suits(factor, p)]
    if name and name not in FACTORS[factor]:
        known = ", ".join(FACTORS[factor])
        raise SimulationError(f"The factor {factor!r} does not apply to {name!r}; choose one of {known}.")
    own = next((p for p in usable if not name or p.name == name), None)
    if own is not None:
        return replace(own, change="")
    name = name or FACTORS[factor][0]
    rng = case.rng("findings", 2, (*DISEASES, *DEVICES).index(name))
    drawn = draw_finding(name, rng)
    while not _suits(factor, drawn):
        drawn = draw_finding(name, rng)
    return drawn


def _suits(factor: str, p: Placed) -> bool:
    return factor != "side" or p.side in {"left", "right"}


def _versions(case: Case, factor: str, p: Placed, number: int) -> tuple[Placed, Placed, tuple[str, str]]:
    """The finding in the two versions, and the two sentences."""
    if factor in {"negation", "device"}:
        return p, p, (statement(p, number), denial(p.name, number))
    if factor == "change":
        now = p.with_extent(_MIDDLE)
        one, two = replace(now, change="worse"), replace(now, change="better")
    elif factor == "side":
        one, two = p, replace(p, side=_OTHER_SIDE[p.side], location=_OTHER_SIDE.get(p.location, p.location))
    else:
        one, two = (p.with_extent(_LESS), p.with_extent(_MORE))[:: 1 if p.extent < _MIDDLE else -1]
    return one, two, (statement(one, number), statement(two, number))


def _with_prior(case: Case, kept: tuple[Placed, ...], p: Placed) -> Case:
    """The case now, and before with less of the finding (it grew worse) or more (it became better)."""
    before = p.with_extent(_LESS if p.change == "worse" else _MORE)
    earlier = case.prior
    if earlier is None:
        earlier = replace(case, visit=case.visit + 1)
        earlier = replace(earlier, acquisition=draw_acquisition(earlier, lateral_share=1.0))
    return replace(case, placed=(*kept, p), prior=earlier.with_placed((*kept, before)))


def _studies(pair: Counterfactual, letter: str, version: Version, out: Path, size_px: int) -> list[Study]:
    key = f"{version.case.study_id}-{pair.factor}-{pair.name.replace(' ', '-')}-{letter}".lower()
    cases = [c for c in (version.case.prior, version.case) if c is not None]
    studies: list[Study] = []
    for case in cases:
        study_id = key if case is version.case else f"{key}-prior"
        views = []
        for position, image in render(case, size_px).items():
            path = Path("images") / f"{study_id}-{position.lower()}.png"
            write_whole(out / path, png_bytes(case, position, image))
            views.append(View(str(path), position))
        sentence = version.sentence if case is version.case else ""
        studies.append(Study(
            study_id, case.patient_id, tuple(views), Report(impression=sentence), labels_of(case.placed),
            prior_study_id=studies[-1].id if studies else "", source="radalign phantom", licence=LICENCE,
            truth=tuple(p.finding for p in case.placed), extra={"factor": pair.factor, "finding": pair.name},
        ))  # fmt: skip
    return studies
