"""MS-CXR-T: pairs are read with their priors, probed by patient, and asked in words where priors are seen."""

from __future__ import annotations

import numpy as np
import pytest

from radalign.evaluate.change import CHANGES, cross_validated, pair_features
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols import ms_cxr_t
from radalign.evaluate.protocols.protocol import Options
from radalign.evaluate.tables import markdown
from tests.unit.evaluate.protocols.conftest import Angles

HEAD = "dicom_id,previous_dicom_id,study_id,subject_id,pleural_effusion_progression,edema_progression"
SHIFT = {"improving": -25, "stable": 0, "worsening": 25}


class Constant(Angles):
    """Sees every image alike."""

    def embed_studies(self, studies, manifest=None, batch_size=32, progress=None):
        return np.ones((len(list(studies)), 2), np.float32)


@pytest.fixture
def folder(tmp_path, write_image):
    """36 pairs of 18 patients: the angle moves by the change; edema is annotated for half of them."""
    random = np.random.default_rng(0)
    lines = [HEAD]
    for i in range(36):
        patient, change = f"100000{i // 2:02d}", CHANGES[i % 3]
        before = int(45 + random.integers(-5, 6))
        for name, angle in ((f"old{i}", before), (f"new{i}", before + SHIFT[change])):
            write_image(tmp_path / "files" / "p10" / f"p{patient}" / f"s{i}" / f"{name}.jpg", angle)
        lines.append(f"new{i},old{i},s{i},{patient},{change},{change if i % 2 else ''}")
    (tmp_path / "MS_CXR_T_temporal_image_classification_v1.0.0.csv").write_text("\n".join(lines))
    return tmp_path


def test_pairs_carry_their_priors(folder):
    manifest, pairs = ms_cxr_t.read(folder)
    assert {f: len(p.studies) for f, p in pairs.items()} == {"pleural_effusion": 36, "edema": 18}
    assert pairs["edema"].changes.tolist()[:3] == [1, 0, 2]
    first = pairs["pleural_effusion"].studies[0]
    assert manifest.prior(first).views[0].id == "old0"


def test_a_table_without_progressions_is_refused(folder):
    table = folder / "MS_CXR_T_temporal_image_classification_v1.0.0.csv"
    table.write_text(table.read_text().replace("_progression", "_change"))
    with pytest.raises(EvaluationError, match="says of no pair how it changed"):
        ms_cxr_t.read(folder)


@pytest.mark.parametrize("mode", ["paper", "strict"])
def test_the_probe_reads_the_change(folder, angles, fast_recipe, mode):
    system = angles({})
    system.recipe = fast_recipe
    found = ms_cxr_t.run({"fake": system}, folder, Options(mode=mode, resamples=30))
    by = {(m.task, m.metric, m.group): m for m in found.measures}
    effusion = by["change, probe", "macro accuracy", "pleural_effusion"]
    assert effusion.value > 0.9
    assert (effusion.low is None) == (mode == "paper")
    macro = by["change, probe", "macro accuracy", ""]
    assert macro.value == pytest.approx(
        np.mean([effusion.value, by["change, probe", "macro accuracy", "edema"].value])
    )
    assert macro.chance == pytest.approx(1 / 3)
    assert by["change, probe", "SD of macro accuracy", "edema"].n == 5
    assert not any(task == "change, zero-shot" for task, _, _ in by)


def test_findings_are_paired_and_their_mean_has_deviation_interval_and_difference(
    folder, angles, fast_recipe
):
    both = {"sees": angles({}), "constant": Constant({})}
    for system in both.values():
        system.recipe = fast_recipe
    found = ms_cxr_t.run(both, folder, Options(resamples=50))
    by = {(m.system, m.metric, m.group): m for m in found.measures}
    groups = ("pleural_effusion", "edema", "")
    assert [g.group for g in found.gaps] == list(groups)
    for g in found.gaps:
        one, two = (by[s, "macro accuracy", g.group] for s in both)
        assert g.value == pytest.approx(one.value - two.value)
        assert g.low > 0
    macro = by["sees", "macro accuracy", ""]
    assert (macro.n, macro.patients) == (54, 18)
    assert macro.low <= macro.value <= macro.high
    assert by["sees", "SD of macro accuracy", ""].n == 5
    page = markdown(found, details=False)
    value, deviation = 100 * macro.value, 100 * by["sees", "SD of macro accuracy", ""].value
    assert f"| sees | {value:.1f} ± {deviation:.1f} (" in page
    assert "SD of" not in page
    assert "| systems | task | metric | group | difference" in page
    paper = ms_cxr_t.run(both, folder, Options("paper", resamples=5))
    assert paper.gaps == ()
    assert all(m.low is None for m in paper.measures)


def test_a_system_with_prior_slots_is_asked_in_words(folder, angles, temporal_recipe):
    texts = {
        "has improved": 20.0,
        "decrease": 20.0,
        "unchanged": 45.0,
        "No change": 45.0,
        "worsened": 70.0,
        "increase": 70.0,
    }
    lookup = {
        sentence: angle
        for finding in ("pleural effusion", "edema")
        for sentences in ms_cxr_t_sentences(finding)
        for sentence in sentences
        for words, angle in texts.items()
        if words in sentence
    }
    system = angles(lookup)
    system.recipe = temporal_recipe
    found = ms_cxr_t.run({"fake": system}, folder, Options(resamples=10))
    asked = {m.group: m.value for m in found.measures if m.task == "change, zero-shot"}
    assert found.settings["prompts_sha256"] == load_prompts("change-sentences").sha256
    assert asked["pleural_effusion"] == 1.0  # 20 +- 5, 45 +- 5, 70 +- 5 degrees


def ms_cxr_t_sentences(finding):
    from radalign.evaluate.change import change_sentences

    return change_sentences(finding).values()


def test_cross_validation_by_patient_never_learns_from_the_held_patient():
    # Every patient has an own dimension that says the answer; only within a patient can it be used.
    patients = [f"p{i // 4}" for i in range(60)]
    changes = np.random.default_rng(1).integers(0, 3, 15).repeat(4)
    z = np.eye(15).repeat(4, axis=0)
    split = cross_validated(z, changes, patients, seed=0, by_patient=False, penalty=0.01)
    whole = cross_validated(z, changes, patients, seed=0, by_patient=True, penalty=0.01)
    assert (split == changes).mean() > 0.9
    assert (whole == changes).mean() < 0.7


def test_studies_without_a_prior_are_refused(folder, angles, fast_recipe):
    manifest, pairs = ms_cxr_t.read(folder)
    system = angles({})
    system.recipe = fast_recipe
    prior = manifest.prior(pairs["edema"].studies[0])
    with pytest.raises(EvaluationError, match="no prior"):
        pair_features(system, [prior], manifest)


def test_an_unknown_change_is_named(folder):
    table = next(folder.glob("*.csv"))
    table.write_text(
        table.read_text().replace("new1,old1,s1,10000000,stable,stable", "new1,old1,s1,10000000,same,stable")
    )
    with pytest.raises(EvaluationError, match="'same' of new1"):
        ms_cxr_t.read(folder)
