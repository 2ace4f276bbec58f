"""Building puts in what is new or changed, keeps the rest, counts what cannot be, and may be stopped."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from radalign.search.build import BuildReport, build_index
from radalign.search.errors import OtherSystem, SearchError
from radalign.search.index import Index
from radalign.study import Manifest, Report, Study, View

NO_VIEW = ("g5", "no view fits a slot of the system.")


def test_a_manifest_becomes_an_index(toy, gallery, tmp_path):
    report = build_index(toy, gallery, tmp_path / "idx", system_folder="runs/x")
    assert report == BuildReport(added=4, skipped=(NO_VIEW,), total=4, reports=3)
    index = Index.open(tmp_path / "idx")
    assert (index.made_by.name, index.made_by.folder, index.made_by.width) == ("toy", "runs/x", 2)
    [hits] = index.search(toy.embed_texts(["bright"]), k=2)
    assert [h.study_id for h in hits] == ["g4", "g3"]
    assert hits[0].row.thumbnail == tmp_path / "g4.png"
    [hits] = index.search(toy.embed_texts(["bright"]), k=9, space="reports")
    assert [h.study_id for h in hits] == ["g3", "g2", "g1"]


def test_only_new_and_changed_studies_are_embedded_again(toy, gallery, tmp_path):
    build_index(toy, gallery, tmp_path / "idx", split="test")
    toy.embedded.clear()
    again = build_index(toy, gallery, tmp_path / "idx")
    assert (again.added, again.unchanged, toy.embedded) == (2, 2, ["g3", "g4"])
    Image.fromarray(np.full((8, 8), 250, np.uint8)).save(tmp_path / "g1.png")
    changed = [replace(s, report=Report(text="bright")) if s.id == "g2" else s for s in gallery]
    toy.embedded.clear()
    third = build_index(toy, gallery.with_studies(changed), tmp_path / "idx")
    assert (third.replaced, third.unchanged, toy.embedded) == (2, 2, ["g1", "g2"])
    assert Index.open(tmp_path / "idx").search(toy.embed_texts(["bright"]), k=1)[0][0].study_id == "g1"


def test_a_changed_prior_embeds_its_follow_up_again(toy, gallery, tmp_path):
    with_prior = [replace(s, prior_study_id="g1") if s.id == "g2" else s for s in gallery]
    manifest = gallery.with_studies(with_prior)
    build_index(toy, manifest, tmp_path / "idx", split="test")
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "g1.png")
    toy.embedded.clear()
    build_index(toy, manifest, tmp_path / "idx", split="test")
    assert toy.embedded == ["g1", "g2"]


def test_one_unreadable_image_costs_one_study(toy, gallery, tmp_path):
    (tmp_path / "g2.png").write_bytes(b"")
    report = build_index(toy, gallery, tmp_path / "idx")
    assert report.added == 3
    assert [study for study, _ in report.skipped] == ["g5", "g2"]
    assert "g2.png" in dict(report.skipped)["g2"]
    assert "skipped g2: " in report.to_text()
    assert list(report.to_dict()["skipped"]) == ["g5", "g2"]


def test_nothing_usable_is_an_error_that_says_why(toy, tmp_path):
    manifest = Manifest([Study("a", "p", (View("gone.png", "PA"),))], tmp_path)
    with pytest.raises(
        SearchError, match=r"None of the 1 studies could be embedded; the first, 'a': .*gone\.png"
    ):
        build_index(toy, manifest, tmp_path / "idx")
    with pytest.raises(SearchError, match=r"no study of the split 'test' \(no split: 1\); choose"):
        build_index(toy, manifest, tmp_path / "idx", split="test")


def test_prune_deletes_what_the_manifest_lost(toy, gallery, tmp_path):
    build_index(toy, gallery, tmp_path / "idx")
    report = build_index(toy, gallery, tmp_path / "idx", split="test", prune=True)
    assert (report.pruned, report.total) == (2, 2)
    assert set(Index.open(tmp_path / "idx").table().column("study_id").to_pylist()) == {"g1", "g2"}


def test_another_system_is_refused_before_anything_is_embedded(toy, gallery, tmp_path):
    build_index(toy, gallery, tmp_path / "idx")
    toy.embedded.clear()
    toy.identity = "other"
    with pytest.raises(OtherSystem, match="made by the system toy"):
        build_index(toy, gallery, tmp_path / "idx")
    assert toy.embedded == []


def test_a_stopped_build_keeps_what_was_written_and_goes_on(toy, gallery, tmp_path):
    plain = toy.embed_studies

    def stop_at_g3(studies, manifest=None):
        studies = list(studies)
        if studies and studies[0].id == "g3":
            raise KeyboardInterrupt
        return plain(studies, manifest)

    toy.embed_studies = stop_at_g3
    with pytest.raises(KeyboardInterrupt):
        build_index(toy, gallery, tmp_path / "idx", studies_per_write=1)
    assert len(Index.open(tmp_path / "idx")) == 2
    toy.embed_studies = plain
    toy.embedded.clear()
    assert build_index(toy, gallery, tmp_path / "idx", studies_per_write=1).total == 4
    assert toy.embedded == ["g3", "g4"]


def test_progress_sees_every_step(toy, gallery, tmp_path):
    seen = []

    def watch(items, title):
        seen.append((title, len(list(items))))
        return items

    build_index(toy, gallery, tmp_path / "idx", studies_per_write=2, progress=watch)
    assert seen == [("Looking for changes", 5), ("Embedding studies", 3)]
