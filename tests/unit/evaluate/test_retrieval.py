"""Study-level retrieval on embeddings small enough to rank by hand, and its statistics on larger ones."""

from __future__ import annotations

import numpy as np
import pytest

from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings
from radalign.evaluate.results import Result
from radalign.evaluate.retrieval import RetrievalSettings, evaluate_retrieval
from radalign.evaluate.tables import markdown

FEW = RetrievalSettings(recall_ks=(1, 2), precision_ks=(1, 2), resamples=50)


def unit(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def four_studies():
    """Angles 0, 20, 45 and 90 degrees for images; the texts of the middle two are swapped."""
    angle = np.deg2rad([0, 20, 45, 90])
    image = unit(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    labels = ({"Edema": 1}, {"Edema": 1, "Mass": 0}, {"Mass": 1}, {"Edema": 0})
    texts = ("wet", "Wet ", "mass", "clear")
    return StudyEmbeddings(
        image, image[[0, 2, 1, 3]], ("a", "b", "c", "d"), ("p", "p", "q", "r"), labels, texts
    )


def test_the_numbers_are_those_counted_by_hand():
    found = evaluate_retrieval({"mine": four_studies()}, FEW)
    # image to text: a finds its text first; b's text is at 45 degrees, behind c's at 20.
    i2t = {m: found["mine", "image to text", m].value for m in ("R@1", "R@2", "MRR", "median rank")}
    # b: c's text (0 off), a's (20), own (25): rank 3. c: b's text (0 off), own (25): rank 2.
    assert i2t == pytest.approx(
        {"R@1": 0.5, "R@2": 0.75, "MRR": (1 + 1 / 3 + 1 / 2 + 1) / 4, "median rank": 1.5}
    )
    # a and b have the same words: a finds a's text at once; b's best of {a at 20, own at 25} is second.
    assert found["mine", "image to text", "same text@1"].value == pytest.approx(0.5)
    assert found["mine", "image to text", "same text@2"].value == 1.0
    # P@2 over the labels: a -> texts of a (right), c (wrong); b -> c (wrong), a (right); c -> b, c (right).
    assert found["mine", "image to text", "P@2"].value == pytest.approx(0.5)
    assert found["mine", "image to text", "P@2"].n == 3  # d carries no chosen label
    # Their gains at rank 1, 2 over the best possible (a, b: two right texts; c: one): ideal 1 + 1 / log2(3).
    second = 1 / np.log2(3)
    want = (1 / (1 + second) + second / (1 + second) + second) / 3
    assert found["mine", "image to text", "nDCG@2"].value == pytest.approx(want)
    # image to image hides the own patient: a and b have no right answer left, nor has c or d.
    assert np.isnan(found["mine", "image to image", "P@1"].value)


def test_the_own_report_can_be_hidden_from_precision():
    shown = evaluate_retrieval({"mine": four_studies()}, FEW)
    hidden = evaluate_retrieval(
        {"mine": four_studies()}, RetrievalSettings((1, 2), (1, 2), resamples=50, exclude_own_report=True)
    )
    assert shown["mine", "image to text", "P@1"].value == pytest.approx(1 / 3)  # a, by its own report
    assert hidden["mine", "image to text", "P@1"].value == 0.0
    assert hidden["mine", "image to text", "P@1"].n == 2  # c had only its own
    assert hidden["mine", "image to text", "R@1"].value == shown["mine", "image to text", "R@1"].value


def clouds(noise, seed=0, n=300):
    random = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    centre = np.eye(3).repeat(4, axis=1)[kind] + random.normal(size=(n, 12)) * 0.6
    image, text = (unit(centre + random.normal(size=(n, 12)) * noise) for _ in range(2))
    labels = tuple({"ABC"[k]: 1} for k in kind)
    ids = tuple(f"s{i}" for i in range(n))
    return StudyEmbeddings(image, text, ids, tuple(f"p{i // 2}" for i in range(n)), labels)


def test_a_better_system_wins_beyond_the_paired_interval_and_chance_is_chance():
    good, noise_only = clouds(0.1), clouds(0.1)
    random = np.random.default_rng(5)
    blind = StudyEmbeddings(
        unit(random.normal(size=(300, 12))), unit(random.normal(size=(300, 12))),
        noise_only.study_ids, noise_only.patient_ids, noise_only.labels,
    )  # fmt: skip
    found = evaluate_retrieval({"good": good, "blind": blind}, RetrievalSettings(resamples=200))
    for task in ("image to text", "text to image"):
        for metric in ("R@10", "MRR", "P@10", "mAP", "macro P@5"):
            best, other = found["good", task, metric], found["blind", task, metric]
            assert best.low > other.high
            assert other.value == pytest.approx(other.chance, abs=0.06)
        gap = next(g for g in found.gaps if (g.task, g.metric) == (task, "R@10"))
        assert gap.value == pytest.approx(
            found["good", task, "R@10"].value - found["blind", task, "R@10"].value
        )
        assert gap.low > 0
        assert gap.p < 0.01
    assert found["good", "image to text", "P@10"].patients == 150


def test_the_result_survives_its_file_and_prints(tmp_path):
    found = evaluate_retrieval({"mine": four_studies(), "again": four_studies()}, FEW)
    found.write(tmp_path / "deep" / "result.json")
    again = Result.read(tmp_path / "deep" / "result.json")
    assert again.to_json() == found.to_json()
    page = markdown(found)
    assert "| mine | 50.0 (" in page
    assert "| chance | 25.0 | 50.0 |" in page
    assert "mine − again" in page


def test_systems_must_have_seen_the_same_studies():
    other = four_studies()
    other = StudyEmbeddings(other.image, other.text, ("a", "b", "c", "e"), other.patient_ids, other.labels)
    with pytest.raises(EvaluationError, match="other studies"):
        evaluate_retrieval({"one": four_studies(), "two": other})
    with pytest.raises(EvaluationError, match="no system"):
        evaluate_retrieval({})
    with pytest.raises(EvaluationError, match="one row of each"):
        StudyEmbeddings(other.image, other.text[:2], other.study_ids, other.patient_ids, other.labels)


def test_macro_chance_leaves_out_the_labels_that_the_value_leaves_out():
    image = unit([[1, 0], [1, 0.1], [0, 1], [0.5, 1]])
    labels = ({"Edema": 1}, {"Edema": 1}, {"Mass": 1}, {"Nodule": 0})  # nobody else has a mass
    given = StudyEmbeddings(
        image, image, ("a", "b", "c", "d"), ("p", "q", "r", "s"), labels, ("", "", "", "")
    )
    found = evaluate_retrieval({"mine": given}, FEW)
    macro = found["mine", "image to image", "macro P@1"]
    assert macro.value == 1.0
    assert macro.chance == pytest.approx(1 / 3)


def test_an_unknown_label_is_refused_with_a_suggestion():
    with pytest.raises(EvaluationError, match="No study has the label 'Edma'; did you mean 'Edema'"):
        evaluate_retrieval({"mine": four_studies()}, RetrievalSettings(labels=("Edma",)))
