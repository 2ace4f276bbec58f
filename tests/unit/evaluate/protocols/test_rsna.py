"""RSNA: the published ten-fold procedure against scikit-learn, and strict mode's validation threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.folds import patient_folds, stratified_folds
from radalign.evaluate.protocols import rsna
from radalign.evaluate.protocols.protocol import Options
from radalign.evaluate.provenance import sha256_of

PROMPTS = {"There is pneumonia": 0.0, "There is no pneumonia": 90.0}


def plain_f1(truth, guess):
    hits, wrong, missed = (truth & guess).sum(), (~truth & guess).sum(), (truth & ~guess).sum()
    return 2 * hits / (2 * hits + wrong + missed) if hits else 0.0


def published(scores, present):
    """ALTA's procedure, written with scikit-learn and plain loops."""
    accuracies, f1s = [], []
    for train, test in StratifiedKFold(10, shuffle=True, random_state=0).split(scores, present):
        best, chosen = -1.0, None
        for step in range(201):
            f1 = plain_f1(present[train], scores[train] > step * 0.005)
            if f1 > best:
                best, chosen = f1, step * 0.005
        accuracies.append(accuracy_score(present[test], scores[test] > chosen))
        f1s.append(plain_f1(present[test], scores[test] > chosen))
    return np.mean(accuracies), np.mean(f1s)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_ten_fold_procedure_equals_the_published_one(seed):
    random = np.random.default_rng(seed)
    present = random.random(150) < 0.36
    scores = np.clip(0.4 + 0.15 * present + random.normal(size=150) * 0.1, 0.12, 0.88)
    accuracy, f1 = published(scores, present)
    assert rsna.ten_fold(scores, present) == pytest.approx({"accuracy": accuracy, "F1": f1})


@pytest.mark.parametrize(("folds", "seed"), [(10, 0), (3, 5)])
def test_folds_equal_scikit_learns(folds, seed):
    labels = np.random.default_rng(2).choice(["b", "a", "c"], 97)
    want = np.empty(97, dtype=int)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, held) in enumerate(splitter.split(labels, labels)):
        want[held] = fold
    assert (stratified_folds(labels, folds, seed) == want).all()


def test_patient_folds_keep_patients_together():
    patients = np.random.default_rng(0).integers(0, 20, 100).tolist()
    found = patient_folds(patients, 5, seed=1)
    assert all(
        len({f for f, p in zip(found, patients, strict=True) if p == patient}) == 1 for patient in patients
    )
    assert set(found) == set(range(5))


def lists(folder, name, cases, write_image):
    lines = []
    for i, (angle, truth) in enumerate(cases):
        path = f"{name}/{i} x.dcm"
        write_image(folder / path, angle)
        lines.append(f"{path} {truth} ")
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_paper_and_strict_modes(tmp_path, angles, write_image):
    random = np.random.default_rng(0)
    truth = np.arange(40) % 2
    angle = np.where(truth == 1, 30, 60) + random.integers(-25, 26, 40)
    lists(tmp_path, "test", list(zip(angle.tolist(), truth.tolist(), strict=True)), write_image)
    # On the validation list the sick lie below 20 degrees, the well above 40: the best threshold is at 30.
    lists(tmp_path, "val", [(10, 1), (20, 1), (40, 0), (80, 0)], write_image)
    paper = rsna.run({"fake": angles(PROMPTS)}, tmp_path, Options(mode="paper", resamples=20))
    strict = rsna.run({"fake": angles(PROMPTS)}, tmp_path, Options(mode="strict", resamples=20))
    radians = np.deg2rad(angle)
    scores = 1 / (1 + np.exp(np.sin(radians) - np.cos(radians)))
    assert paper["fake", rsna.TASK, "AUC"].value == pytest.approx(roc_auc_score(truth, scores))
    assert strict["fake", rsna.TASK, "AUC"].value == paper["fake", rsna.TASK, "AUC"].value
    assert paper["fake", rsna.TASK, "F1"].value == pytest.approx(published(scores, truth == 1)[1])
    assert paper["fake", rsna.TASK, "F1"].low is None
    assert "optimistic" in paper.notes[0]
    between = [1 / (1 + np.exp(np.sin(a) - np.cos(a))) for a in np.deg2rad([20, 40])]
    guess = scores > np.mean(between)
    assert strict["fake", rsna.TASK, "accuracy"].value == pytest.approx((guess == (truth == 1)).mean())
    assert strict["fake", rsna.TASK, "F1"].low is not None


def test_a_line_without_a_label_is_named(tmp_path, angles):
    (tmp_path / "test.txt").write_text("a.dcm 1\nb.dcm\n")
    with pytest.raises(EvaluationError, match=r"'b\.dcm'"):
        rsna.run({"fake": angles(PROMPTS)}, tmp_path, Options(mode="paper"))
    (tmp_path / "test.txt").unlink()
    with pytest.raises(EvaluationError, match="holds none of"):
        rsna.run({"fake": angles(PROMPTS)}, tmp_path, Options(mode="paper"))


@pytest.mark.parametrize("mode", ["paper", "strict"])
@pytest.mark.parametrize(("truth", "word"), [(0, "negative"), (1, "positive")])
def test_a_list_with_one_answer_is_refused(tmp_path, angles, write_image, mode, truth, word):
    lists(tmp_path, "test", [(10, truth), (80, truth)], write_image)
    lists(tmp_path, "val", [(10, 1), (80, 0)], write_image)
    with pytest.raises(EvaluationError, match=rf"All 2 images of .*test\.txt are {word}"):
        rsna.run({"fake": angles(PROMPTS)}, tmp_path, Options(mode=mode, resamples=5))


def test_strict_mode_refuses_a_validation_list_that_is_the_test_list(tmp_path, angles, write_image):
    lists(tmp_path, "test", [(10, 1), (80, 0)], write_image)
    (tmp_path / "val.txt").write_text((tmp_path / "test.txt").read_text())
    with pytest.raises(EvaluationError, match="both in what picks"):
        rsna.run({"fake": angles(PROMPTS)}, tmp_path, Options(resamples=5))


OWN = """name = "mine"
source = "here"
pooling = "mean_of_logits"
[[finding]]
name = "Pneumonia"
present = ["ill"]
absent = ["well", "healthy"]
"""


def test_other_prompts_decide_the_numbers_and_are_recorded(tmp_path, angles, write_image):
    lists(tmp_path, "test", [(10, 1), (20, 1), (70, 0), (80, 0)], write_image)
    lists(tmp_path, "val", [(15, 1), (75, 0)], write_image)
    (tmp_path / "mine.toml").write_text(OWN)
    system = angles({**PROMPTS, "ill": 90.0, "well": 0.0, "healthy": 0.0})
    packaged = rsna.run({"fake": system}, tmp_path, Options(resamples=5))
    mine = rsna.run({"fake": system}, tmp_path, Options(resamples=5, prompts=str(tmp_path / "mine.toml")))
    assert (packaged["fake", rsna.TASK, "AUC"].value, mine["fake", rsna.TASK, "AUC"].value) == (1.0, 0.0)
    assert packaged.settings["prompts"] == "rsna-pneumonia"
    assert (mine.settings["prompts"], mine.settings["pooling"]) == ("mine", "mean_of_logits")
    assert mine.settings["prompts_sha256"] == sha256_of(OWN) != packaged.settings["prompts_sha256"]
    assert 0 < packaged.settings["thresholds"]["fake"] < 1
    (tmp_path / "mine.toml").write_text(OWN.replace("Pneumonia", "Edema"))
    with pytest.raises(EvaluationError, match="no finding `pneumonia`"):
        rsna.pneumonia_prompts(str(tmp_path / "mine.toml"))


def test_the_local_similarity_takes_the_place_of_the_cosine(tmp_path, angles, write_image, monkeypatch):
    lists(tmp_path, "test", [(10, 1), (20, 1), (70, 0), (80, 0)], write_image)
    lists(tmp_path, "val", [(15, 1), (75, 0)], write_image)
    asked = []

    def reversed_scores(system, given, manifest, progress, texts):
        asked.append(tuple(texts))
        present = (given.image[:, 0] < 0.5).astype(np.float32)  # says of the well that they are ill
        return replace(given, local=np.stack([present, 1 - present], axis=1))

    monkeypatch.setattr(rsna, "with_local", reversed_scores)
    found = rsna.run({"f": angles(PROMPTS)}, tmp_path, Options(resamples=5, similarity="local"))
    assert found["f", rsna.TASK, "AUC"].value == 0.0
    assert asked == [("There is pneumonia", "There is no pneumonia")] * 2  # test and validation
    assert found.settings["similarity"] == "local"
