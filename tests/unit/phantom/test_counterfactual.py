"""A counterfactual changes one thing: in the case, in the pixels, and in the sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radalign.data.phantom.counterfactual import FACTORS, counterfactual, probes, write_probe
from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.files import SimulationError
from radalign.data.phantom.simulate import Settings, case_of, study_of
from radalign.data.phantom.truth import Placed
from radalign.images.read import read_image

PAIRS = [(factor, name) for factor, names in FACTORS.items() for name in names]


def differences(pair):
    """The fields in which the two versions' findings differ."""
    one = {p.name: p for p in pair.actual.case.placed}
    two = {p.name: p for p in pair.other.case.placed}
    assert {n: p for n, p in one.items() if n != pair.name} == {
        n: p for n, p in two.items() if n != pair.name
    }
    if not (pair.name in one and pair.name in two):
        return {"presence"}
    fields = Placed.__dataclass_fields__
    return {f for f in fields if getattr(one[pair.name], f) != getattr(two[pair.name], f)}


@pytest.mark.parametrize(("factor", "name"), PAIRS)
def test_only_the_factor_changes_in_the_case(factor, name):
    allowed = {
        "side": {"side", "location"}, "severity": {"extent", "size_mm"}, "size": {"extent", "size_mm"},
        "negation": {"presence"}, "device": {"presence"}, "change": {"change"},
    }[factor]  # fmt: skip
    for patient in range(6):
        pair = counterfactual(patient_cases(9, patient)[0], factor, name)
        one, two = pair.actual.case, pair.other.case
        assert differences(pair)
        assert differences(pair) <= allowed
        assert replace(one, placed=(), prior=None) == replace(two, placed=(), prior=None)


@pytest.mark.parametrize(("factor", "name"), PAIRS)
def test_the_two_sentences_differ_and_are_said_of_the_right_version(factor, name):
    pair = counterfactual(patient_cases(9, 3)[0], factor, name)
    assert pair.actual.sentence != pair.other.sentence
    p = pair.actual.case.find(name)
    if factor == "side":
        assert p.side in pair.actual.sentence.lower() or p.location == "lingula"
        assert pair.other.case.find(name).side != p.side
    if factor in {"negation", "device"}:
        assert pair.other.sentence.startswith("No ")
    if factor == "size":
        assert f"{p.size_mm:.0f} mm" in pair.actual.sentence
    if factor == "change":
        assert {v.case.find(name).change for v in (pair.actual, pair.other)} == {"worse", "better"}


@pytest.mark.parametrize("factor", FACTORS)
def test_the_pixels_of_the_two_versions_differ_in_part(healthy, factor):
    pair = counterfactual(healthy, factor)
    one, two = pair.actual.images(64), pair.other.images(64)
    assert set(one) == set(two)
    different = np.mean([np.abs(one[p] - two[p]) > 0.02 for p in one])
    if factor == "change":
        assert different == 0  # the same picture now; the priors differ
        one, two = pair.actual.prior_images(64), pair.other.prior_images(64)
        different = np.mean([np.abs(one[p] - two[p]) > 0.02 for p in one])
    assert 0 < different < 0.6


def test_the_changed_side_is_seen(healthy):
    for number in range(3):
        pair = counterfactual(healthy, "side", "Effusion", number)
        difference = pair.actual.images(64)["PA"] - pair.other.images(64)["PA"]
        left_is_brighter = difference[:, 32:].mean() > difference[:, :32].mean()
        assert left_is_brighter == (pair.actual.case.find("Effusion").side == "left")


def test_what_was_less_before_has_grown_worse(healthy):
    pair = counterfactual(healthy, "change", "Effusion")
    worse, better = pair.actual, pair.other
    assert "increased" in worse.sentence
    assert "decreased" in better.sentence
    assert worse.prior_images(64)["PA"].mean() < better.prior_images(64)["PA"].mean()


def test_a_study_of_a_manifest_serves_as_well_as_its_case():
    settings = Settings(seed=5, priors=1.0)
    case = patient_cases(5, 2, settings.priors, settings.laterals)[1]
    study = study_of(case, settings)
    assert case_of(study) == case
    assert counterfactual(study, "side") == counterfactual(case, "side")


def test_findings_that_the_other_version_would_hide_are_left_out_of_both(healthy):
    crowded = healthy.with_placed((
        Placed("Effusion", "left", extent=0.9), Placed("Nodule", "right", "lower lobe", 0.5, 12.0)
    ))  # fmt: skip
    pair = counterfactual(crowded, "side", "Effusion")
    assert all(v.case.find("Nodule") is None for v in (pair.actual, pair.other))


def test_probes_cover_the_findings_of_a_factor_and_repeat():
    first, again = (list(probes("severity", 12, seed=2)) for _ in range(2))
    assert first == again
    assert {pair.name for pair in first} == set(FACTORS["severity"])


def test_probes_are_written_as_studies_that_can_be_read(tmp_path, healthy):
    one, two = write_probe(counterfactual(healthy, "change", "Edema"), tmp_path, 64)
    assert [len(studies) for studies in (one, two)] == [2, 2]
    for prior, current in (one, two):
        assert current.prior_study_id == prior.id
        assert current.report.body
        assert read_image(tmp_path / current.frontal.path).shape == (64, 64)
    assert len({s.id for s in (*one, *two)}) == 4


def test_what_cannot_be_asked_is_refused_with_a_sentence(healthy):
    with pytest.raises(SimulationError, match="choose one of side, severity"):
        counterfactual(healthy, "weather")
    with pytest.raises(SimulationError, match="does not apply"):
        counterfactual(healthy, "side", "Cardiomegaly")
    from radalign.study import Study

    with pytest.raises(SimulationError, match="not simulated"):
        counterfactual(Study("a", "b"), "side")
