"""Zero-shot scores from angles known by hand, findings that go by several names, and reversed prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radalign.evaluate.embeddings import EvaluationError, StudyEmbeddings
from radalign.evaluate.findings import (
    Prompted,
    finding_scores,
    finding_truth,
    pair_cosines,
    prompt_texts,
    prompted,
)
from radalign.evaluate.pooling import Pooling, class_scores
from radalign.evaluate.prompt_sets import PromptError, load_prompts, prompt_set_names
from radalign.evaluate.zero_shot import ZeroShotSettings, evaluate_zero_shot

MANY = ZeroShotSettings(resamples=50)


def at(*degrees):
    angle = np.deg2rad(np.array(degrees, dtype=float))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def studies(degrees, labels):
    ids = tuple(f"s{i}" for i in range(len(degrees)))
    return StudyEmbeddings(at(*degrees), at(*degrees), ids, ids, tuple(labels))


@pytest.mark.parametrize("pooling", list(Pooling))
def test_pooling_equals_a_loop(pooling):
    random = np.random.default_rng(0)
    images, classes = random.normal(size=(4, 3)), [random.normal(size=(m, 3)) for m in (1, 3)]
    got = class_scores(images, classes, pooling)
    for n in range(4):
        z = images[n] / np.linalg.norm(images[n])
        for c, prompts in enumerate(classes):
            each = [p / np.linalg.norm(p) for p in prompts]
            if pooling == "mean_then_normalise":
                middle = sum(prompts) / len(prompts)
                want = z @ (middle / np.linalg.norm(middle))
            elif pooling == "normalise_mean_normalise":
                middle = sum(each) / len(each)
                want = z @ (middle / np.linalg.norm(middle))
            else:
                cosines = [z @ p for p in each]
                want = max(cosines) if pooling == "max_of_logits" else sum(cosines) / len(cosines)
            assert got[n, c] == pytest.approx(want)


def test_a_class_without_a_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one sentence"):
        class_scores(np.ones((1, 2)), [np.ones((0, 2))], "max_of_logits")


class SeesWords:
    """A fake system: a sentence with "no" or "normal" points up, any other to the right."""

    def embed_texts(self, texts, batch_size=128, normalise=True):
        return at(*(90 if {"no", "normal"} & set(t.lower().split()) else 0 for t in texts))


def seen(degrees, labels, tuning=None):
    prompts = load_prompts("rsna-pneumonia")
    return prompts, prompted(SeesWords(), studies(degrees, labels), prompts, tuning)


def test_scores_are_cosine_to_present_minus_cosine_to_absent():
    _, given = seen([0, 45, 90], [{}] * 3)
    assert finding_scores(given, "pneumonia", Pooling.MAX_OF_LOGITS) == pytest.approx([1, 0, -1], abs=1e-6)


def test_auc_counts_only_known_studies():
    labels = [{"Pneumonia": 1}, {"Pneumonia": 1}, {"Pneumonia": 0}, {"Pneumonia": 0}, {"Pneumonia": -1}, {}]
    prompts, given = seen([0, 60, 45, 90, 0, 90], labels)
    found = evaluate_zero_shot({"fake": given}, prompts, MANY)
    auc = next(m for m in found.measures if m.metric == "AUC")
    assert (auc.value, auc.n, auc.group) == (0.75, 4, "pneumonia")
    assert found["fake", "zero-shot", "mean AUC"].value == 0.75
    assert found["fake", "zero-shot", "mean AUPRC"].chance == 0.5


def test_reversed_labels_are_pointed_out():
    prompts, given = seen([0, 10, 80, 90], [{"Pneumonia": 0}] * 2 + [{"Pneumonia": 1}] * 2)
    notes = evaluate_zero_shot({"fake": given}, prompts, MANY).notes
    assert any("may be reversed" in note and "0.00" in note for note in notes)


def test_the_threshold_comes_from_the_tuning_studies_only():
    tuning = studies([0, 20, 30, 90], [{"Pneumonia": 1}] * 2 + [{"Pneumonia": 0}] * 2)
    labels = [{"Pneumonia": 1}, {"Pneumonia": 1}, {"Pneumonia": 0}, {"Pneumonia": 0}]
    prompts, given = seen([10, 40, 70, 80], labels, tuning)
    found = {
        m.metric: m.value for m in evaluate_zero_shot({"fake": given}, prompts, MANY).measures if m.group
    }
    # Between 20 and 30 degrees on the tuning studies; so 40 degrees, though present, is called absent.
    assert found["accuracy"] == 0.75
    assert found["F1"] == pytest.approx(2 / 3)
    _, untuned = seen([10, 40, 70, 80], labels)
    assert "F1" not in {m.metric for m in evaluate_zero_shot({"fake": untuned}, prompts, MANY).measures}


TWO = """name = "two"
source = "here"
pooling = "mean_of_logits"
[[finding]]
name = "edema"
labels = ["Edema"]
present = ["edema"]
absent = ["no edema"]
[[finding]]
name = "mass"
labels = ["Mass"]
present = ["mass"]
absent = ["no mass"]
"""


def test_what_was_chosen_is_recorded_and_a_finding_without_threshold_is_named(tmp_path):
    (tmp_path / "two.toml").write_text(TWO)
    prompts = load_prompts(str(tmp_path / "two.toml"))
    both = [{"Edema": 1, "Mass": 1}] * 2 + [{"Edema": 0, "Mass": 0}] * 2
    tested = studies([10, 40, 70, 80], both)
    tuning = studies([0, 20, 30, 90], [{"Edema": 1, "Mass": 1}] * 2 + [{"Edema": 0, "Mass": 1}] * 2)
    asked = {name: prompted(SeesWords(), tested, prompts, tuning) for name in ("a", "b")}
    found = evaluate_zero_shot(asked, prompts, MANY)
    middle = np.mean([np.cos(a) - np.sin(a) for a in np.deg2rad([20, 30])])
    assert found.settings["thresholds"]["a"] == {"edema": pytest.approx(middle, abs=1e-6)}
    assert found.settings["temperatures"]["b"].keys() == {"edema"}
    assert found.settings["temperatures"]["b"]["edema"] > 0
    without = [note for note in found.notes if "no threshold" in note]
    assert len(without) == 1
    assert without[0].startswith("The validation studies do not show both present and absent of mass")
    full = studies([0, 20, 30, 90], both)
    unlike = evaluate_zero_shot(asked | {"b": prompted(SeesWords(), tested, prompts, full)}, prompts, MANY)
    assert [n.split(" do not")[0] for n in unlike.notes] == ["a: The validation studies"]
    untuned = evaluate_zero_shot({"a": prompted(SeesWords(), tested, prompts)}, prompts, MANY)
    assert (untuned.notes, untuned.settings["thresholds"]) == ((), {})


def test_findings_without_enough_cases_are_named_and_left_out():
    prompts, given = seen([0, 90], [{"Pneumonia": 1}, {"Pneumonia": 1}])
    with pytest.raises(EvaluationError, match="present and 2 absent"):
        evaluate_zero_shot({"fake": given}, prompts, MANY)


def test_truth_by_any_of_several_names():
    rows = [{"A": 0, "B": 1}, {"A": 0}, {"A": 0, "B": -1}, {"C": 1}]
    assert finding_truth(rows, ["A", "B"]).tolist() == [1, 0, -1, -1]


def test_every_packaged_prompt_set_is_complete_and_says_its_source():
    for name in prompt_set_names():
        prompts = load_prompts(name)
        assert prompts.name == name
        assert prompts.source
        assert [bool(p) for p in (prompts.findings, prompts.classes, prompts.templates)].count(True) == 1
        for finding in prompts.findings:
            assert not set(finding.present) & set(finding.absent)
    assert [f.name for f in load_prompts("chest-findings").findings] == [
        "normal", "cardiomegaly", "effusion", "atelectasis", "airspace disease", "emphysema", "congestion",
    ]  # fmt: skip


def test_gloria_has_489_prompts_in_the_published_order():
    classes = load_prompts("gloria-classes").classes
    assert sum(map(len, classes.values())) == 489
    assert classes["Atelectasis"][0] == "subsegmental atelectasis at the mid lung zone"
    assert classes["Atelectasis"][-1] == "minimal residual atelectasis at the right lower lobe"
    assert classes["Pleural Effusion"][:3] == (
        "left bilateral pleural effusion",
        "left subpulmonic pleural effusion",
        "left bilateral pleural effusion",
    )
    assert classes["Consolidation"][5] == "bilateral consolidation at the right uppper lobe"


@pytest.mark.parametrize(
    "text",
    ["name = ", "name = 'x'", "name='x'\nsource='y'\npooling='sum'",
     "name='x'\nsource='y'\npooling='max_of_logits'\n[[finding]]\nname='f'\npresent=[]\nabsent=['a']"],
)  # fmt: skip
def test_an_incomplete_prompt_file_is_refused(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PromptError):
        load_prompts(tmp_path / "mine.toml")


def test_prompted_holds_one_row_per_sentence():
    prompts = load_prompts("chest-findings")
    given = prompted(SeesWords(), studies([0], [{}]), prompts)
    assert isinstance(given, Prompted)
    assert all(len(given.present[f.name]) == len(f.present) for f in prompts.findings)


@pytest.mark.parametrize("pooling", ["mean_then_normalise", "max_of_logits"])
def test_local_scores_of_prompts_equal_a_loop_and_both_is_the_mean(pooling):
    prompts = load_prompts("chest-findings")
    texts = prompt_texts(prompts)
    local = np.random.default_rng(0).normal(size=(3, len(texts))).astype(np.float32)
    looked = replace(studies([0, 45, 90], [{}] * 3), local=local)
    given = {s: prompted(SeesWords(), looked, prompts, similarity=s) for s in ("global", "local", "both")}
    for finding in prompts.findings:
        pairs = {s: pair_cosines(g, finding.name, Pooling(pooling)) for s, g in given.items()}
        pool = max if pooling == "max_of_logits" else lambda row: sum(row) / len(row)
        for n in range(3):
            for side, sentences in enumerate((finding.present, finding.absent)):
                want = pool([local[n, texts.index(t)] for t in sentences])
                assert pairs["local"][n, side] == pytest.approx(want, abs=1e-6)
        assert pairs["both"] == pytest.approx((pairs["global"] + pairs["local"]) / 2)


def test_a_local_zero_shot_needs_local_scores():
    prompts = load_prompts("rsna-pneumonia")
    given = prompted(SeesWords(), studies([0], [{}]), prompts, similarity="local")
    with pytest.raises(EvaluationError, match="was not computed"):
        pair_cosines(given, "pneumonia", Pooling.MAX_OF_LOGITS)
