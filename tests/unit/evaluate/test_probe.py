"""Linear probes equal scikit-learn's, and the probe evaluation picks penalties on validation only."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings
from radalign.evaluate.probe import fit_classes, fit_labels, some_patients
from radalign.evaluate.probing import Parts, ProbeSettings, evaluate_probe

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(200, 6)) * [1, 5, 0.1, 1, 1, 1] + 3


@pytest.mark.parametrize("penalty", [0.5, 20.0])
def test_classes_equal_scikit_learn(penalty):
    classes = (Z[:, 0] + RANDOM.normal(size=200) > 3).astype(int) + (Z[:, 1] > 6)
    x = StandardScaler().fit_transform(Z)
    reference = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000).fit(x, classes)
    ours = fit_classes(Z, classes, 3, penalty).logits(Z)
    probabilities = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
    assert probabilities == pytest.approx(reference.predict_proba(x), abs=1e-5)


def test_labels_equal_one_scikit_learn_fit_per_label_over_its_known_studies():
    labels = np.stack([Z[:, 0] > 3, Z[:, 3] + Z[:, 4] > 6], axis=1).astype(int)
    labels[::7, 0] = -1
    ours = fit_labels(Z, labels, penalty=2.0).logits(Z)
    x = StandardScaler().fit_transform(Z)
    for c in range(2):
        known = labels[:, c] >= 0
        reference = LogisticRegression(C=0.5, tol=1e-10, max_iter=5000).fit(x[known], labels[known, c])
        assert ours[:, c] == pytest.approx(reference.decision_function(x), abs=1e-4)


def test_a_constant_dimension_is_harmless():
    z = np.c_[Z, np.ones(200)]
    assert np.isfinite(fit_classes(z, (Z[:, 0] > 3).astype(int), 2).logits(z)).all()


def test_shares_are_whole_patients_and_lie_within_each_other():
    patients = [f"p{i // 3}" for i in range(300)]
    small, large = some_patients(patients, 0.1, 5), some_patients(patients, 0.5, 5)
    assert len(small) == 30
    assert set(small) <= set(large)
    assert len({patients[i] for i in small}) == 10
    assert some_patients(patients, 0.1, 6).tolist() != small.tolist()


def part(name, n, signal, informative=True):
    random = np.random.default_rng(len(name))
    truth = random.random((n, 2)) < 0.4
    z = random.normal(size=(n, 5)).astype(np.float32)
    if informative:
        z[:, :2] += signal * truth
    ids = tuple(f"{name}{i}" for i in range(n))
    labels = tuple({"A": int(a), "B": int(b)} for a, b in truth)
    return StudyEmbeddings(z, None, ids, ids, labels)


def parts(informative=True):
    return Parts(
        *(part(name, n, 2.5, informative) for name, n in (("train", 300), ("val", 80), ("testing", 200)))
    )


def test_an_informative_embedding_wins_and_more_labels_help():
    settings = ProbeSettings(("A", "B"), shares=(0.03, 1.0), resamples=100)
    found = evaluate_probe({"good": parts(), "noise": parts(informative=False)}, settings)
    few, all_ = (
        found["good", "linear probe, 3 %", "mean AUC"],
        found["good", "linear probe, 100 %", "mean AUC"],
    )
    assert all_.low > 0.9
    assert few.value < all_.value
    noise = found["noise", "linear probe, 100 %", "mean AUC"]
    assert noise.low < 0.5 < noise.high
    assert found["good", "linear probe, 3 %", "SD of mean AUC"].value > 0
    assert found["good", "linear probe, 100 %", "SD of mean AUC"].value == 0
    gap = next(g for g in found.gaps if g.task == "linear probe, 100 %")
    assert gap.low > 0.3


def test_a_shared_patient_is_refused():
    given = parts()
    with pytest.raises(EvaluationError, match="two splits"):
        evaluate_probe({"leaky": Parts(given.train, given.validate, given.train)}, ProbeSettings(("A",)))


def test_labels_must_have_both_answers():
    with pytest.raises(EvaluationError, match="both present and absent"):
        evaluate_probe({"any": parts()}, ProbeSettings(("C",), shares=(1.0,)))
