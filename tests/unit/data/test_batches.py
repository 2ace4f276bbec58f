"""Batches at the door, slots, text, agreement, order and the loader."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from radalign.data.agreement import agreement, agreement_key, jaccard, normalise
from radalign.data.batches import BatchError, Embeddings, ImageBatch, StudyBatch, TextBatch
from radalign.data.dataset import DataError, StudyDataset
from radalign.data.loader import StudyLoader, ahead
from radalign.data.order import epoch_batches, share_of
from radalign.data.pixel_cache import PixelCache
from radalign.data.report_text import report_text
from radalign.data.settings import DataSettings, SoftTargetSettings, TextSettings
from radalign.data.slots import choose_views, slot_candidates
from radalign.study import Manifest, Report, Study, View
from tests.training_toy import ToySystem, toy_manifest, toy_recipe

IMAGES = torch.zeros(2, 2, 4, 4, dtype=torch.uint8)
BOTH = torch.ones(2, 2, dtype=torch.bool)
TEXTS = TextBatch(torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.bool))


# -- at the door ----------------------------------------


@pytest.mark.parametrize(
    ("images", "mask", "sentence"),
    [
        (IMAGES[0], BOTH, r"\[B, V, H, W\]"),
        (IMAGES.int(), BOTH, "uint8"),
        (IMAGES, BOTH.int(), "view_mask must be bool"),
        (IMAGES, BOTH[:1], "view_mask must be bool"),
        (IMAGES.float() + 7, BOTH, "lie in 0..1; got 7 to 7"),
        (IMAGES.float() * float("nan"), BOTH, "lie in 0..1"),
        (IMAGES, torch.tensor([[True, False], [False, False]]), r"Studies \[1\] of the batch have no view"),
    ],
)
def test_a_wrong_image_batch_is_refused(images, mask, sentence):
    with pytest.raises(BatchError, match=sentence):
        ImageBatch(images, mask)


def test_the_pixels_of_a_missing_view_are_ignored():
    images = torch.zeros(1, 2, 2, 2)
    images[0, 1] = 9000
    assert ImageBatch(images, torch.tensor([[True, False]])).slots == 2


def test_wrong_texts_agreements_and_embeddings_are_refused():
    with pytest.raises(BatchError, match=r"Texts \[1\] of the batch have no token"):
        TextBatch(torch.ones(2, 2, dtype=torch.int64), torch.tensor([[True, True], [False, False]]))
    with pytest.raises(BatchError, match=r"int64"):
        TextBatch(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool))
    images = ImageBatch(IMAGES, BOTH)
    with pytest.raises(BatchError, match=r"diagonal"):
        StudyBatch(images, TEXTS, torch.zeros(2, 2))
    with pytest.raises(BatchError, match=r"0..1"):
        StudyBatch(images, TEXTS, torch.eye(2) + torch.tensor([[0.0, 1.5], [0.0, 0.0]]))
    with pytest.raises(BatchError, match=r"2 studies but 1 study ids"):
        StudyBatch(images, TEXTS, study_ids=("a",))
    with pytest.raises(BatchError, match=r"global_"):
        Embeddings(torch.ones(3))
    with pytest.raises(BatchError, match=r"mask"):
        Embeddings(torch.ones(1, 2), mask=torch.ones(1, 2, dtype=torch.bool))


def test_a_batch_moves_as_a_whole():
    batch = StudyBatch(ImageBatch(IMAGES, BOTH), TEXTS, torch.eye(2), ("a", "b"), torch.zeros(2, 1)).to(
        "meta"
    )
    parts = (batch.images.images, batch.images.view_mask, batch.texts.input_ids, batch.same, batch.labels)
    assert {part.device.type for part in parts} == {"meta"}
    assert batch.study_ids == ("a", "b")


# -- slots ----------------------------------------

FOUR = DataSettings(slots=("current_frontal", "current_lateral", "prior_frontal", "prior_lateral"))


def paths(candidates):
    return [[view.path for view in slot] for slot in candidates]


def test_slots_take_current_and_prior_views_by_position():
    prior = Study("old", "p", (View("of", "AP"),))
    study = Study("new", "p", (View("l", "LL"), View("f1", "PA"), View("f2", "PA")), prior_study_id="old")
    manifest = Manifest([prior, study])
    assert paths(slot_candidates(study, manifest, FOUR)) == [["f1", "f2"], ["l"], ["of"], []]
    assert paths(slot_candidates(prior, manifest, FOUR)) == [["of"], [], [], []]


def test_a_view_without_position_stands_in_for_a_missing_frontal_only():
    alone, beside = Study("a", "p", (View("x"),)), Study("b", "q", (View("x"), View("f", "PA")))
    assert paths(slot_candidates(alone, Manifest([alone]), DataSettings())) == [["x"], []]
    assert paths(slot_candidates(beside, Manifest([beside]), DataSettings())) == [["f"], []]
    skip = DataSettings(unknown_view="skip")
    assert paths(slot_candidates(alone, Manifest([alone]), skip)) == [[], []]


def test_evaluation_takes_the_first_view_and_training_any():
    slot = tuple(View(str(i), "PA") for i in range(3))
    assert choose_views((slot, ()))[0].path == "0"
    seen = {choose_views((slot, ()), np.random.default_rng(i))[0].path for i in range(30)}
    assert seen == {"0", "1", "2"}


# -- text ----------------------------------------

REPORT = Report(findings="One. Two. Three. Four.", impression="Five.")


def test_shuffling_keeps_every_sentence_and_evaluation_keeps_the_order():
    assert report_text(REPORT, TextSettings()) == "One. Two. Three. Four. Five."
    texts = {report_text(REPORT, TextSettings(), np.random.default_rng(i)) for i in range(20)}
    assert len(texts) > 10
    assert {tuple(sorted(text.split())) for text in texts} == {tuple(sorted(REPORT.body.split()))}


def test_sampling_keeps_the_wanted_share_in_order():
    cut = TextSettings(shuffle=False, sample_probability=1, sample_share=(0.4, 0.4))
    for i in range(20):
        words = report_text(REPORT, cut, np.random.default_rng(i)).split()
        places = [REPORT.body.split().index(word) for word in words]
        assert len(words) == 2
        assert places == sorted(places)


def test_sampling_cuts_the_wanted_share_of_reports():
    cut = TextSettings(sample_probability=0.3)
    short = sum(len(report_text(REPORT, cut, np.random.default_rng(i)).split()) < 5 for i in range(400))
    assert 80 <= short <= 160


def test_a_section_that_is_missing_falls_back_to_the_body():
    assert report_text(Report(text="Only this."), TextSettings(section="impression")) == "Only this."
    drawn = {
        report_text(REPORT, TextSettings(section="any", shuffle=False), np.random.default_rng(i))
        for i in range(20)
    }
    assert drawn == {REPORT.body, REPORT.findings, REPORT.impression}


# -- agreement ----------------------------------------


@given(st.lists(st.frozensets(st.integers(0, 6), max_size=5), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_jaccard_is_that_of_python_sets(keys):
    oracle = [[len(a & b) / len(a | b) if a | b else 0.0 for b in keys] for a in keys]
    assert torch.allclose(jaccard(keys), torch.tensor(oracle))


def test_normalising_forgets_case_marks_and_deidentification():
    assert normalise("No XXXX acute\n disease.") == normalise("no ACUTE disease") == "no acute disease"


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [("identical", 0.0), ("sentences", 0.3), ("labels", 0.3)],
)
def test_each_rule_decides_as_it_says(rule, wanted):
    a = Study("a", "p", report=Report(text="Lungs clear. Heart normal."), labels={"Edema": 1, "Mass": 0})
    b = Study("b", "q", report=Report(text="Heart normal. LUNGS CLEAR. Bones intact."), labels={"Edema": 1})
    how = SoftTargetSettings(rule=rule, weight=0.3, threshold=0.6)
    same = agreement([agreement_key(study, how) for study in (a, b)], how)
    assert same.tolist() == [[1.0, pytest.approx(wanted)], [pytest.approx(wanted), 1.0]]


def test_identical_reports_agree_and_empty_keys_agree_with_nothing():
    how = SoftTargetSettings(rule="identical", weight=0.5)
    keys = [
        agreement_key(Study(str(i), "p", report=Report(text=t)), how)
        for i, t in enumerate(["A b.", "a B", ""])
    ]
    assert agreement([*keys, keys[-1]], how).tolist() == [
        [1, 0.5, 0, 0],
        [0.5, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
    ]
    assert agreement(keys, SoftTargetSettings()) is None


# -- order ----------------------------------------


@given(st.integers(1, 60), st.integers(1, 17), st.integers(0, 99), st.integers(0, 9), st.booleans())
@settings(max_examples=80, deadline=None)
def test_an_epoch_shows_no_study_twice_and_only_full_batches(count, size, seed, epoch, by_length):
    lengths = [i * 7 % 31 for i in range(count)] if by_length else None
    batches = epoch_batches(count, size, seed, epoch, lengths)
    shown = [number for batch in batches for number in batch]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(range(count))
    assert {len(batch) for batch in batches} == {min(size, count)}
    assert len(batches) == max(1, count // size)


def test_what_one_epoch_leaves_out_another_shows():
    seen = Counter(n for epoch in range(12) for batch in epoch_batches(10, 4, 0, epoch) for n in batch)
    assert set(seen) == set(range(10))


def test_grouping_by_length_puts_similar_reports_together():
    lengths = [i % 50 * 10 for i in range(400)]

    def spread(batches):
        return np.mean([np.std([lengths[n] for n in batch]) for batch in batches])

    assert spread(epoch_batches(400, 16, 0, 0, lengths)) < 0.3 * spread(epoch_batches(400, 16, 0, 0))


def test_processes_share_a_batch_without_overlap():
    assert [share_of([5, 6, 7, 8, 9], rank, 2) for rank in (0, 1)] == [[5, 6], [7, 8]]
    with pytest.raises(ValueError, match=r"cannot feed 2 processes"):
        share_of([1], 0, 2)


# -- data set and loader ----------------------------------------


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    manifest = toy_manifest(folder / "images", 20)
    recipe = toy_recipe(data={"augment": {"probability": 0.8}, "soft_targets": {"rule": "identical"}})
    cache = PixelCache.build(folder / "pixels", manifest, recipe.data)
    return StudyDataset(manifest.studies, manifest, cache, recipe.data, ToySystem(recipe).tokenize)


def equal(a: StudyBatch, b: StudyBatch) -> bool:
    return (
        a.study_ids == b.study_ids
        and torch.equal(a.images.images, b.images.images)
        and torch.equal(a.texts.input_ids, b.texts.input_ids)
        and torch.equal(a.same, b.same)
    )


def test_evaluation_batches_hold_the_cached_pixels_unchanged(dataset):
    batch = dataset.batch([3, 4])
    assert batch.images.view_mask.tolist() == [[True, False], [True, True]]
    paths = [dataset.manifest.image_path(dataset.entries[4].study.views[i]) for i in (0, 1)]
    assert torch.equal(batch.images.images[1], torch.from_numpy(dataset.cache.read(paths)))
    assert not batch.images.images[0, 1].any()


def test_a_batch_is_the_same_however_it_is_loaded(dataset):
    plain = list(StudyLoader(dataset, 6, seed=3).epoch(2))
    threads = list(StudyLoader(dataset, 6, seed=3, workers=3).epoch(2))
    later = list(StudyLoader(dataset, 6, seed=3).epoch(2, start=1))
    assert len(plain) == len(StudyLoader(dataset, 6)) == 3
    assert all(map(equal, plain, threads))
    assert all(map(equal, plain[1:], later))
    assert not equal(plain[0], next(StudyLoader(dataset, 6, seed=3).epoch(3)))
    assert not equal(plain[0], next(StudyLoader(dataset, 6, seed=4).epoch(2)))


def test_a_study_looks_alike_in_any_batch_of_its_epoch(dataset):
    one = next(StudyLoader(dataset, 20, seed=1).epoch(0))
    few = next(StudyLoader(dataset, 5, seed=1).epoch(0))
    place = one.study_ids.index(few.study_ids[0])
    assert torch.equal(one.images.images[place], few.images.images[0])


def test_two_processes_together_load_what_one_would(dataset):
    whole = list(StudyLoader(dataset, 8, seed=5).epoch(0))
    parts = [list(StudyLoader(dataset, 4, seed=5, rank=rank, world=2).epoch(0)) for rank in (0, 1)]
    for one, first, second in zip(whole, *parts, strict=True):
        assert one.study_ids == first.study_ids + second.study_ids
        assert torch.equal(one.images.images, torch.cat([first.images.images, second.images.images]))
        assert torch.equal(one.same, first.same)
        assert torch.equal(one.same, second.same)


def test_in_order_gives_every_study_once(dataset):
    batches = list(StudyLoader(dataset, 6, workers=2).in_order())
    assert [len(batch) for batch in batches] == [6, 6, 6, 2]
    assert [i for b in batches for i in b.study_ids] == [entry.study.id for entry in dataset.entries]


def test_current_and_prior_change_alike_if_wanted(tmp_path):
    manifest = toy_manifest(tmp_path / "images", 2)
    first, second = manifest.studies[1], manifest.studies[1]
    now = replace(second, id="now", patient_id=first.patient_id, prior_study_id=first.id, split=first.split)
    manifest = manifest.with_studies([first, now])
    recipe = toy_recipe(data={"slots": FOUR.slots, "augment": {"probability": 1.0, "shear_deg": 5}})
    cache = PixelCache.build(tmp_path / "pixels", manifest, recipe.data)
    for alike in (True, False):
        how = recipe.data.model_copy(
            update={"augment": recipe.data.augment.model_copy(update={"same_over_time": alike})}
        )
        dataset = StudyDataset([now], manifest, cache, how, ToySystem(recipe).tokenize)
        views = next(StudyLoader(dataset, 1, seed=0).epoch(0)).images.images[0]
        assert torch.equal(views[0], views[2]) is alike  # the same file, as current and as prior
        assert not torch.equal(views[0], views[1])


def test_studies_that_cannot_be_used_are_counted(tmp_path):
    manifest = toy_manifest(tmp_path / "images", 4)
    a, b, c, d = manifest.studies
    broken = tmp_path / "images" / "broken.png"
    broken.write_bytes(b"not an image")
    manifest = manifest.with_studies(
        [a, replace(b, report=Report()), replace(c, views=(View("broken.png", "PA"),)), replace(d, views=())]
    )
    settings = toy_recipe().data
    cache = PixelCache.build(tmp_path / "pixels", manifest, settings)
    dataset = StudyDataset(manifest.studies, manifest, cache, settings, ToySystem(toy_recipe()).tokenize)
    assert [entry.study.id for entry in dataset.entries] == ["s0"]
    assert dataset.excluded == {"an empty report": ["s1"], "no usable image in any slot": ["s2", "s3"]}
    with pytest.raises(DataError, match=r"1 with an empty report, 2 with no usable image"):
        StudyDataset(manifest.studies[1:], manifest, cache, settings, ToySystem(toy_recipe()).tokenize)
    hopeless = replace(manifest.studies[2], split="validate")
    with pytest.raises(DataError, match=r"1 validation studies .* The first, 's2': .*broken\.png"):
        StudyDataset([hopeless], manifest, cache, settings, ToySystem(toy_recipe()).tokenize)


def test_labels_say_unknown_where_the_study_says_nothing(dataset):
    batch = dataset.batch([0, 1])
    assert batch.labels.shape == (2, len(dataset.label_names))
    assert batch.labels[0, dataset.label_names.index("alpha")] == 1
    assert batch.labels[1, dataset.label_names.index("alpha")] == -2


def test_a_study_with_only_a_lateral_is_used(tmp_path):
    manifest = toy_manifest(tmp_path / "images", 2)
    only = replace(manifest.studies[1], views=manifest.studies[1].views[1:])
    recipe = toy_recipe()
    cache = PixelCache.build(tmp_path / "pixels", manifest, recipe.data)
    dataset = StudyDataset([only], manifest, cache, recipe.data, ToySystem(recipe).tokenize)
    assert dataset.batch([0]).images.view_mask.tolist() == [[False, True]]


def test_loading_ahead_passes_errors_on_and_may_be_left_early():
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda x: 1 // x, [2, 1, 0], workers=2))
    assert next(ahead(lambda x: x + 1, range(1000), workers=2)) == 1
