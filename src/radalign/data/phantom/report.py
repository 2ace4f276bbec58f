"""The report of a case: sections written from its truth, in the varied hand of several readers.

    Case ──> findings (devices, heart, lungs, pleura, bones in some order) ─┐
         ──> impression (what matters, at times numbered) ──────────────────┼─> Report
         ──> indication, comparison ────────────────────────────────────────┘

Every present finding is stated once at least, with its side; nothing absent is ever stated as present.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np

from radalign.data.phantom.case import Case
from radalign.data.phantom.truth import DEVICES, DISEASES, Placed
from radalign.data.phantom.wording import (
    abbreviate,
    enumerate_words,
    fill,
    phrase,
    phrases,
    pick,
    slots,
)  # fmt: skip
from radalign.study import Report

_LUNG = ("Consolidation", "Atelectasis", "Edema", "Nodule")
_PLEURA = ("Effusion", "Pneumothorax")
_WEIGHT = (
    "Pneumothorax", "Nodule", "Consolidation", "Edema", "Effusion", "Cardiomegaly", "Atelectasis",
    "Endotracheal tube", "Central line", "Pacemaker", "Enteric tube",
)  # fmt: skip
_ORDERS = (
    ("devices", "heart", "lungs", "pleura", "bones"),
    ("heart", "lungs", "pleura", "bones", "devices"),
    ("lungs", "pleura", "heart", "bones", "devices"),
    ("lungs", "pleura", "devices", "heart", "bones"),
    ("devices", "lungs", "pleura", "heart", "bones"),
)
_HEDGED_SMALL, _HEDGED, _PAIRED, _ABBREVIATED, _NUMBERED = 0.35, 0.06, 0.45, 0.15, 0.3
_IMPRESSION_ONLY, _FINDINGS_ONLY, _OTHER_SIDE = 0.08, 0.04, 0.2


def write_report(case: Case) -> Report:
    """The report of a case; the same case always gets the same words."""
    rng = case.rng("words")
    findings, impression = _findings(case, rng), _impression(case, rng)
    form = rng.random()
    if form < _IMPRESSION_ONLY:
        findings, impression = [], [*findings, *impression[:1]] if not case.placed else findings
    elif form < _IMPRESSION_ONLY + _FINDINGS_ONLY:
        impression = []
    if len(impression) > 1 and rng.random() < _NUMBERED:
        impression = [f"{n}. {sentence}" for n, sentence in enumerate(impression, 1)]
    texts = [" ".join(findings), " ".join(impression)]
    if rng.random() < _ABBREVIATED:
        texts = [abbreviate(text) for text in texts]
    return Report(
        findings=texts[0],
        impression=texts[1],
        indication=_indication(case, rng),
        comparison=_comparison(case, rng),
    )


def _findings(case: Case, rng: np.random.Generator) -> list[str]:
    parts = {
        "devices": [_sentence(p, rng) for p in case.placed if p.name in DEVICES],
        "heart": _heart(case, rng),
        "lungs": _lungs(case, rng),
        "pleura": _pleura(case, rng),
        "bones": _bones(case, rng),
    }
    parts = _paired(case, parts, rng)
    order = _ORDERS[int(rng.integers(len(_ORDERS)))]
    return [sentence for part in order for sentence in parts[part]]


def _sentence(p: Placed, rng: np.random.Generator) -> str:
    """A finding as found, as changed since the prior, or with a hedge."""
    if p.change:
        return phrase(p, p.change, rng)
    doubt = _HEDGED_SMALL if p.severity == "small" else _HEDGED
    hedged = p.name in DISEASES and rng.random() < doubt
    return phrase(p, "hedged" if hedged else "present", rng)


def _heart(case: Case, rng: np.random.Generator) -> list[str]:
    found = case.find("Cardiomegaly")
    said = [_sentence(found, rng)] if found else []
    if not (found and found.is_present) and (not found or rng.random() < 0.5):
        said.append(pick(rng, phrases()["normal"]["heart"]))
    if rng.random() < 0.6:
        said.append(pick(rng, phrases()["normal"]["mediastinum"]))
    return said + _variants(case, rng, ("tortuous aorta", "sternotomy wires"))


def _lungs(case: Case, rng: np.random.Generator) -> list[str]:
    found = [p for p in case.placed if p.name in _LUNG]
    said = [_sentence(p, rng) for p in found]
    present = [p for p in found if p.is_present]
    in_lung = bool(present) or _has(case, "Pneumothorax")
    if not in_lung and rng.random() < 0.75:
        said.append(pick(rng, phrases()["normal"]["lungs"]))
    elif present and rng.random() < 0.25:
        said.append(pick(rng, phrases()["normal"]["otherwise"]))
    said += _other_side(present, "Consolidation", rng)
    absent = [name for name in ("Consolidation", "Edema", "Nodule") if not _has(case, name)]
    kept = [name for name in absent if rng.random() < 0.4]
    return said + _negative(kept, rng) + _variants(case, rng, ("granuloma",))


def _pleura(case: Case, rng: np.random.Generator) -> list[str]:
    found = [p for p in case.placed if p.name in _PLEURA]
    said = [_sentence(p, rng) for p in found]
    for name in _PLEURA:
        said += _other_side([p for p in found if p.is_present], name, rng)
    absent = [name for name in _PLEURA if not _has(case, name)]
    kept = [name for name in absent if rng.random() < 0.8]
    rng.shuffle(kept)
    return said + _negative(kept, rng)


def _bones(case: Case, rng: np.random.Generator) -> list[str]:
    said = _variants(case, rng, ("scoliosis", "degenerative spine"))
    if not said and rng.random() < 0.45:
        said.append(pick(rng, phrases()["normal"]["bones"]))
    return said


def _has(case: Case, name: str) -> bool:
    return any(p.name == name for p in case.present)


def _other_side(found: Iterable[Placed], name: str, rng: np.random.Generator) -> list[str]:
    one_sided = [p for p in found if p.name == name and p.side in {"left", "right"}]
    if not one_sided or rng.random() >= _OTHER_SIDE:
        return []
    return [phrase(one_sided[0], "absent_other_side", rng)]


def _negative(names: list[str], rng: np.random.Generator) -> list[str]:
    if not names:
        return []
    words = [pick(rng, phrases()[name]["absent"]) for name in names]
    template = pick(rng, phrases()["negative"]["one" if len(words) == 1 else "many"])
    return [fill(template, {"list": enumerate_words(words)})]


def _variants(case: Case, rng: np.random.Generator, names: tuple[str, ...]) -> list[str]:
    return [
        pick(rng, phrases()["variant"][n])
        for n in names
        if n in case.anatomy.variants and rng.random() < 0.85
    ]


def _paired(case: Case, parts: dict[str, list[str]], rng: np.random.Generator) -> dict[str, list[str]]:
    """At times two findings in one sentence, in place of the lungs' and the pleura's own sentences."""
    joined = _pair(case, rng)
    if joined is None or rng.random() >= _PAIRED:
        return parts
    names, sentence = joined
    rest = case.with_placed(tuple(p for p in case.placed if p.name not in names))
    shown = {"heart": [_sentence(p, rng) for p in rest.placed if p.name == "Cardiomegaly"],
             "lungs": [_sentence(p, rng) for p in rest.placed if p.name in _LUNG],
             "pleura": [_sentence(p, rng) for p in rest.placed if p.name in _PLEURA]}  # fmt: skip
    absent = [name for name in _PLEURA if not _has(case, name)]
    return parts | shown | {"lungs": [sentence, *shown["lungs"], *_negative(absent, rng)]}


def _pair(case: Case, rng: np.random.Generator) -> tuple[set[str], str] | None:
    """Two findings that are read together, in one sentence; only those without a history."""
    for key, options in phrases()["pairs"].items():
        one, two = (case.find(name) for name in key.split("+"))
        if one is None or two is None or one.change or two.change:
            continue
        if key == "Effusion+Atelectasis" and one.side != two.side:
            continue
        words = slots(one, rng) | slots(two, rng, "2")
        return {one.name, two.name}, fill(pick(rng, options), words)
    return None


def _impression(case: Case, rng: np.random.Generator) -> list[str]:
    usual = phrases()["normal"]
    ranked = sorted(case.placed, key=lambda p: _WEIGHT.index(p.name))
    main = [p for p in ranked if p.name in DISEASES or p.change in {"new", "resolved"}][
        : int(rng.integers(2, 5))
    ]
    said = [phrase(p, p.change or "short", rng) for p in main]
    changed = any(p.change not in {"", "stable"} for p in case.placed)
    if not any(p.name in DISEASES for p in case.present):
        said.append(pick(rng, usual["devices_only" if case.present else "impression"]))
    if case.prior is not None and not changed and rng.random() < 0.6:
        said.append(pick(rng, usual["unchanged"]))
    return said


def _indication(case: Case, rng: np.random.Generator) -> str:
    table = phrases()["indication"]
    names = [p.name for p in case.present]
    key = names[int(rng.integers(len(names)))] if names else "normal"
    key = "device" if key in DEVICES else key
    if case.prior is not None and rng.random() < 0.5:
        key = "follow_up"
    female = case.anatomy.sex == "F"
    age = case.anatomy.age_years + case.days // 365
    who = {"age": str(age), "person": "woman" if female else "man", "p": "F" if female else "M"}
    return fill(pick(rng, table["patient"]) + pick(rng, table[key]), who)


def _comparison(case: Case, rng: np.random.Generator) -> str:
    table = phrases()["comparison"]
    if case.prior is None:
        return pick(rng, table["none"])
    when = date.fromisoformat(case.prior.date)
    shape = pick(rng, ["%m/%d/%Y", "%Y-%m-%d", "%d %B %Y"])
    return fill(pick(rng, table["prior"]), {"date": when.strftime(shape), "days": str(case.days)})
