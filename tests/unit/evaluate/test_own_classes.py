"""Findings scored by the classes that a system learned: against a softmax by hand, and with a real classifier."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.own_classes import class_pair, classes_of
from radalign.evaluate.plan import make_plan
from radalign.evaluate.provenance import Stopwatch
from radalign.evaluate.run import TASKS
from radalign.leaderboard.judge import judge
from radalign.leaderboard.plan import Judging
from radalign.leaderboard.plan import TestSet as Subset
from radalign.systems.base import create
from tests.few_labels import APART, CALM, CLASSES, CLIP, labelled_manifest

NAMES = ("a", "b", "c", "d")
ONE_CLASS = """
name = "one"
source = "this test"
pooling = "mean_of_logits"

[[finding]]
name = "heart"
labels = ["cardiomegaly"]
present = ["The heart is enlarged."]
absent = ["The heart is normal."]

[[finding]]
name = "nodule"
labels = ["Nodule"]
present = ["There is a nodule."]
absent = ["There is no nodule."]
"""


@given(
    st.lists(st.lists(st.floats(-60, 60), min_size=4, max_size=4), min_size=1, max_size=5),
    st.sets(st.sampled_from(NAMES), min_size=1, max_size=3),
)
def test_the_difference_is_the_log_odds_of_the_softmax(logits, labels):
    pair = class_pair(np.array(logits), NAMES, sorted(labels))
    for row, (own, other) in zip(logits, pair, strict=True):
        total = math.fsum(math.exp(z) for z in row)
        chance = math.fsum(math.exp(z) for z, name in zip(row, NAMES, strict=True) if name in labels) / total
        rest = (
            math.fsum(math.exp(z) for z, name in zip(row, NAMES, strict=True) if name not in labels) / total
        )
        assert own - other == pytest.approx(math.log(chance) - math.log(rest), abs=1e-6)


@pytest.fixture
def learned(tmp_path):
    """Tip-Adapter with votes that outweigh its sentences, its studies, and prompts for one of its classes."""
    manifest = labelled_manifest(tmp_path / "data", 4, 2, 4)
    system = create("tip-adapter", [*CLIP, *CALM, "model.alpha=1000"])
    train = manifest.where(split="train")
    system.adopt_classes(CLASSES, len(train) - 1)  # one study shows two classes
    system.warm_start(train)
    (tmp_path / "one.toml").write_text(ONE_CLASS)
    return system.eval(), manifest, str(tmp_path / "one.toml")


def zero_shot(systems, manifest, prompts, **asked):
    plan = make_plan(
        "r",
        manifest.root,
        "strict",
        "test",
        None,
        None,
        task="zero-shot",
        prompts=prompts,
        resamples=20,
        **asked,
    )
    return TASKS["zero-shot"](plan, systems, manifest.where(split="test"), manifest, Stopwatch(), None)


def test_a_cache_is_heard_when_its_classes_are_asked_for(learned):
    system, manifest, prompts = learned
    by_sentence = zero_shot({"tip": system}, manifest, prompts)
    by_class = zero_shot({"tip": system}, manifest, prompts, own_classes=True)
    studies = list(manifest.where(split="test"))
    truth = [study.labels.get("cardiomegaly", 0) for study in studies]
    logits = system.classify_studies(studies, manifest)
    heart = CLASSES.index("cardiomegaly")
    odds = [z[heart] - np.logaddexp.reduce(np.delete(z, heart)) for z in logits.astype(float)]
    auc = next(m for m in by_class.measures if m.metric == "AUC" and m.group == "heart")
    assert auc.value == pytest.approx(roc_auc_score(truth, odds))
    assert auc.value != next(
        m.value for m in by_sentence.measures if m.metric == "AUC" and m.group == "heart"
    )
    assert "tip scores by classes of its own: heart; by sentences: nodule." in by_class.notes
    assert not any("scores by classes" in note for note in by_sentence.notes)


def test_who_learned_no_class_is_asked_by_sentences_or_refused(learned):
    system, manifest, prompts = learned
    plain = create("clip-full", [*CLIP, *CALM]).eval()
    assert classes_of(plain) == ()
    alone = {m.key: m.value for m in zero_shot({"plain": plain}, manifest, prompts).measures}
    beside = zero_shot({"plain": plain, "tip": system}, manifest, prompts, own_classes=True)
    assert {m.key: m.value for m in beside.measures if m.system == "plain"} == alone
    with pytest.raises(EvaluationError, match="plain learned no classes; leave --own-classes out"):
        zero_shot({"plain": plain}, manifest, prompts, own_classes=True)
    with pytest.raises(EvaluationError, match="'retrieval' ignores --own-classes"):
        make_plan("r", manifest.root, "strict", "test", None, None, task="retrieval", own_classes=True)


def test_a_board_pairs_what_was_asked_by_classes_with_what_was_asked_by_sentences(learned):
    system, manifest, prompts = learned
    rules = Judging(prompts=prompts, resamples=20)
    tests = [Subset(name="all")]
    sentences, _ = judge(system, "tip", manifest, rules, tests, ["zero-shot"])
    classes, _ = judge(
        system, "tip", manifest, rules.model_copy(update={"own_classes": True}), tests, ["zero-shot"]
    )
    key = ("zero-shot", "mean AUC", "")
    assert classes.patients[key] == sentences.patients[key]
    assert (classes.samples[key] != sentences.samples[key]).any()


def test_medklips_decoder_ranks_by_its_margins(tmp_path):
    manifest = labelled_manifest(tmp_path / "data", 1, 2, 6)
    (tmp_path / "one.toml").write_text(ONE_CLASS.replace('"cardiomegaly"', '"cardiomegaly", "Cardiomegaly"'))
    system = create("medklip", [*APART, *CALM, "model.decoder_width=16", "model.decoder_heads=2"]).eval()
    asked = zero_shot({"k": system}, manifest, str(tmp_path / "one.toml"), own_classes=True)
    studies = list(manifest.where(split="test"))
    margins = system.classify_studies(studies, manifest)[:, system.own_classes.index("Cardiomegaly")]
    truth = [study.labels.get("cardiomegaly", 0) for study in studies]
    auc = next(m for m in asked.measures if m.metric == "AUC" and m.group == "heart")
    assert auc.value == pytest.approx(roc_auc_score(truth, margins))
    assert any(note.startswith("k scores by classes of its own: heart") for note in asked.notes)
