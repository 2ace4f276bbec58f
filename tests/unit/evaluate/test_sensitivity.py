"""The sensitivity card: hand-worked shares, a system that sees, one that only reads, one that is blind."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from radalign.data.phantom.counterfactual import FACTORS
from radalign.data.phantom.simulate import Settings, simulate
from radalign.evaluate.card_figure import card_plot
from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.group_scores import Group, group_scores
from radalign.evaluate.probe_images import Pair, rendered_pairs
from radalign.evaluate.sensitivity import (
    EVERY,
    IMAGE,
    SENTENCE,
    CardSettings,
    evaluate_sensitivity,
    right_share,
)
from radalign.study import Manifest, Study, View

FEW = CardSettings(resamples=50)


def pair(n: int, factor: str = "side", patient: str = "") -> Pair:
    return Pair(factor, "Effusion", patient or f"p{n}", (f"a{n}", f"b{n}"), ("left", "right"))


def test_shares_counted_by_hand():
    scores = np.array([
        [[0.9, 0.1], [0.2, 0.8]],  # both right
        [[0.9, 0.8], [0.9, 0.8]],  # always the first sentence; the images look the same
        [[0.5, 0.5], [0.4, 0.6]],  # a tie, then right
        [[0.1, 0.9], [0.9, 0.1]],  # both wrong
    ])  # fmt: skip
    assert right_share(scores, axis=1).tolist() == [1.0, 0.5, 0.75, 0.0]
    assert right_share(scores, axis=0).tolist() == [1.0, 0.5, 1.0, 0.0]


def test_the_shares_equal_a_loop():
    scores = np.random.default_rng(0).integers(0, 4, (50, 2, 2)) / 4
    for axis in (0, 1):
        found = right_share(scores, axis)
        for n, s in enumerate(scores):
            asked = [(s[0, 0], s[0, 1]), (s[1, 1], s[1, 0])]
            if axis == 0:
                asked = [(s[0, 0], s[1, 0]), (s[1, 1], s[0, 1])]
            won = [1.0 if right > wrong else 0.5 if right == wrong else 0.0 for right, wrong in asked]
            assert found[n] == np.mean(won)


def test_the_card_by_factor_with_intervals_by_patient():
    pairs = [pair(n, "side" if n < 6 else "negation", f"p{n // 2}") for n in range(12)]
    right, wrong = np.eye(2), 1 - np.eye(2)
    scores = [right if n in (0, 1, 2, 6, 7, 8, 9, 10, 11) else wrong for n in range(12)]
    found = evaluate_sensitivity(pairs, {"fake": scores}, FEW)
    side = found["fake", SENTENCE, "side"]
    assert (side.value, side.chance, side.n, side.patients) == (0.5, 0.5, 6, 6)
    assert side.low < 0.5 < side.high
    assert found["fake", SENTENCE, "negation"].value == 1.0
    assert found["fake", IMAGE, EVERY].value == 0.75
    assert found.settings["counts"] == {"side": 6, "negation": 6}


def test_a_fixed_preference_and_blindness_score_one_half_exactly():
    pairs = [pair(n) for n in range(8)]
    likes_left = [np.array([[0.9, 0.1], [0.9, 0.1]])] * 8
    rounding = np.random.default_rng(0).uniform(-1e-6, 1e-6, (8, 2, 2))  # one image in two batches
    blind = list(0.3 + rounding)
    found = evaluate_sensitivity(pairs, {"likes left": likes_left, "blind": blind}, FEW, blind=["blind"])
    for name in ("likes left", "blind"):
        assert found[name, SENTENCE, "side"].value == found[name, IMAGE, "side"].value == 0.5
    assert any("blind takes no prior image" in note for note in found.notes)


def test_nothing_to_probe_is_refused():
    with pytest.raises(EvaluationError, match="nothing to probe"):
        evaluate_sensitivity([], {"fake": []})


class Brightness:
    """A fake system: an image is as bright as it is, a sentence as its number of words."""

    def embed_studies(self, studies, manifest=None, batch_size=32, progress=None):
        paths = [manifest.image_path(study.frontal) for study in studies]
        return np.array([[np.asarray(Image.open(p)).mean() / 255, 1.0] for p in paths], np.float32)

    def embed_texts(self, texts, batch_size=128):
        return np.array([[1.0, len(t.split()) / 10] for t in texts], np.float32)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("sim"), 3, Settings(size_px=64, priors=0.0, laterals=0.0))


def test_pairs_are_rendered_for_the_studies_first_and_fresh_patients_then(simulated):
    with rendered_pairs(list(simulated), 4, ("severity", "change"), size_px=64) as (pairs, manifest):
        assert [p.factor for p in pairs] == ["severity"] * 4 + ["change"] * 4
        own = {study.patient_id for study in simulated}
        assert [p.patient_id in own for p in pairs] == [True, True, True, False] * 2
        for p in pairs:
            views = [manifest[i].frontal for i in p.ids]
            assert all(manifest.image_path(view).is_file() for view in views)
            assert [manifest[i].report.impression for i in p.ids] == list(p.sentences)
            assert p.sentences[0] != p.sentences[1]
            priors = [manifest.prior(manifest[i]) for i in p.ids]
            assert all((prior is not None) == (p.factor == "change") for prior in priors)
        scores = group_scores(Brightness(), manifest, [Group(p.ids, p.sentences) for p in pairs])
        folder = manifest.root
    assert not folder.exists()
    assert {s.shape for s in scores} == {(2, 2)}
    severity = evaluate_sensitivity(pairs, {"fake": scores}, FEW)["fake", IMAGE, "severity"]
    assert severity.n == 4


def test_real_studies_have_no_counterfactual_images():
    real = [Study("s", "p", (View("x.png", "PA"),))]
    with pytest.raises(EvaluationError, match="--task report-edits"), rendered_pairs(real, 2, ("side",)):
        raise AssertionError("not reached")


def test_group_scores_equal_single_products(tmp_path):
    for n in range(3):
        Image.fromarray(np.full((4, 4), 40 * n, np.uint8)).save(tmp_path / f"{n}.png")
    manifest = Manifest([Study(f"s{n}", f"p{n}", (View(f"{n}.png", "PA"),)) for n in range(3)], tmp_path)
    groups = [Group(("s2", "s0"), ("a b", "a b c")), Group(("s1",), ("a b c", "a"))]
    found = group_scores(Brightness(), manifest, groups)
    for group, matrix in zip(groups, found, strict=True):
        for i, study_id in enumerate(group.ids):
            for t, text in enumerate(group.texts):
                want = 40 * int(study_id[1]) / 255 + len(text.split()) / 10
                assert matrix[i, t] == pytest.approx(want, abs=1e-6)


def test_the_figure_has_a_panel_per_question(tmp_path):
    pairs = [pair(n, factor) for factor in FACTORS for n in range(3)]
    scores = [np.eye(2)] * len(pairs)
    found = evaluate_sensitivity(pairs, {"a": scores, "b": scores}, FEW)
    with Image.open(card_plot(found.curves["sensitivity"], tmp_path / "card.png")) as figure:
        assert figure.size[0] > 1000
