"""What an index promises: exact answers, whole changes, and sentences for what cannot be."""

import numpy as np
import pytest

from radalign.search.errors import IndexBusy, OtherSystem, SearchError
from radalign.search.index import Index
from radalign.search.rows import Row, row_of, rows_of, table_of
from radalign.study import Manifest, Report, Study, View

E = np.eye(4)


def ids(hits):
    return [hit.study_id for hit in hits]


def test_hits_carry_rank_score_percentile_and_row(four, rows):
    [hits] = four().search([0.8, 0.6, 0, 0], k=3)
    assert [(h.study_id, h.rank) for h in hits] == [("s1", 1), ("s2", 2), ("s3", 3)], (
        "s3 and s4 tie at 0: by id"
    )
    assert [h.score for h in hits] == pytest.approx([0.8, 0.6, 0.0])
    assert [h.percentile for h in hits] == pytest.approx([100.0, 200 / 3, 0.0])
    assert hits[0].row == rows[0]


def test_reports_are_searched_apart_from_images(four):
    index = four()
    assert index.report_count == 2
    [hits] = index.search(E[0], k=9, space="reports")
    assert [(h.study_id, h.score) for h in hits] == [("s4", 1.0), ("s1", 0.0)]
    with pytest.raises(SearchError, match="no space 'words'"):
        index.search(E[0], space="words")
    with pytest.raises(SearchError, match="no vector in 'reports'"):
        index.vector("s2", "reports")


def test_several_queries_are_answered_in_order(four):
    assert [ids(h) for h in four().search(E[[2, 0]], k=1)] == [["s3"], ["s1"]]


def test_k_larger_than_the_index_gives_all(four):
    assert len(four().search(E[0], k=100)[0]) == 4


def test_an_empty_index_answers_nothing(tmp_path):
    index = Index.create(tmp_path / "idx", "x", 4)
    assert index.search(E[:2], k=3) == [[], []]
    assert (len(index), index.report_count, index.verify()) == (0, 0, 0)
    index.compact()
    index.add([], np.zeros((0, 4)))
    index.delete([])
    assert Index.open(tmp_path / "idx").scores(E[:1]).shape == (1, 0)


def test_replace_moves_a_study_and_adds_new_ones(four):
    index = four()
    assert index.replace(["s1", "s9"], E[[3, 0]]) == 1
    assert ids(index.search(E[0], k=1)[0]) == ["s9"]
    assert ids(index.search(E[3], k=2)[0]) == ["s1", "s4"]
    assert index.report_count == 1, "the replaced study lost its report vector"
    assert len(Index.open(index.folder)) == 5


def test_delete_is_all_or_nothing(four):
    index = four()
    with pytest.raises(SearchError, match="no study 's11'; did you mean 's1'"):
        index.delete(["s2", "s11"])
    assert "s2" in index
    index.delete(["s2", "s3"])
    assert "s2" not in Index.open(index.folder)
    assert ids(index.search(E[1], k=9)[0]) == ["s1", "s4"]


def test_compact_keeps_answers_and_frees_the_dead(four):
    index = four()
    index.delete(["s1"])
    index.add(["s5"], E[:1])
    before, size = index.search(E, k=9), index.verify()
    index.compact()
    assert index.search(E, k=9) == before
    assert index.verify() < size
    assert len(list((index.folder / "segments").iterdir())) == 1


def test_many_small_adds_leave_few_segments(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)
    index = Index.create(tmp_path / "idx", "x", 4)
    for i in range(33):
        index.add([f"s{i}"], E[i % 4 : i % 4 + 1])
    assert len(list((index.folder / "segments").iterdir())) <= 6
    assert len(index) == 33


def test_half_precision_keeps_three_digits(four):
    index = four(dtype="float16")
    vector = np.array([0.51, 0.49, 0.5, 0.5])
    index.add(["s5"], [vector / np.linalg.norm(vector)])
    assert index.vector("s5") == pytest.approx(vector / np.linalg.norm(vector), abs=5e-4)
    assert Index.open(index.folder).search(E[0], k=1)[0][0].study_id == "s1"


def test_vectors_of_another_system_are_refused_by_name(four):
    index = four()
    with pytest.raises(
        OtherSystem, match=r"made by the system toy \(aaaaaaaaaaaa, 4 wide\).*come from alta \(bbbb"
    ):
        index.require("b" * 64, "alta")
    with pytest.raises(OtherSystem, match="another system"):
        index.add(["s5"], E[:1], identity="b" * 64)
    with pytest.raises(OtherSystem, match="3 wide and the index 4"):
        index.search(np.ones(3))
    index.replace(["s5"], E[:1], identity="a" * 64)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda i: i.add(["s1"], E[:1]), "holds study 's1' already; use `replace`"),
        (lambda i: i.add(["n", "n"], E[:2]), "'n' occurs twice"),
        (lambda i: i.add([""], E[:1]), "not empty"),
        (lambda i: i.add(["n"], E[:2]), "1 studies need 1 image vectors; got 2"),
        (lambda i: i.add(["n"], E[:1] * 3), "has length 3 instead of 1"),
        (lambda i: i.add(["n"], E[:1] * np.nan), "has length nan"),
        (lambda i: i.add(["n"], np.ones((1, 4, 1))), r"must be \[N, 4\]"),
        (lambda i: i.add(["n"], E[:1], [Row("m")]), "rows must have the ids"),
        (lambda i: i.add(["n"], E[:1], report_vectors=E[:2]), "need 1 report vectors"),
        (lambda i: i.add(["n"], E[:1], report_vectors=E[:1] * 2), "report vector 0 has length 2"),
        (lambda i: i.search(E[0], k=0), "at least 1"),
        (lambda i: i.search(E[0] * 2), "query vector 0 has length 2"),
        (lambda i: i.vector("s7"), "no study 's7'; it holds s1, s2, s3, s4; use one"),
        (lambda i: Index.create(i.folder, "x", 4), "an index at .* already"),
        (lambda i: Index.create(i.folder / "segments", "x", 4), "holds other files"),
        (lambda i: Index.create(i.folder / "new", "", 4), "identity of a system"),
        (lambda i: Index.create(i.folder / "new", "x", 4, dtype="int8"), "float32 or float16"),
        (lambda i: Index.open(i.folder / "nowhere"), "no index at .*; build one with `radalign index`"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(four, change, sentence):
    index = four()
    with pytest.raises(SearchError, match=sentence):
        change(index)
    assert sorted(Index.open(index.folder).table().column("study_id").to_pylist()) == ["s1", "s2", "s3", "s4"]


def test_one_writer_at_a_time_and_readers_never_wait(four):
    index = four()
    other = Index.open(index.folder)
    with other.writing():
        with pytest.raises(IndexBusy, match=r"Process \d+ is writing.*wait until"):
            index.delete(["s1"])
        other.delete(["s4"])
        assert ids(index.search(E[0], k=1)[0]) == ["s1"]
    index.delete(["s1"])
    assert len(index) == 2, "it saw the other's change before its own"


def test_an_open_index_sees_others_changes_after_reload(four):
    index = four()
    other = Index.open(index.folder)
    other.replace(["s9"], E[:1])
    other.compact()
    assert ids(index.search(E[0], k=2)[0]) == ["s1", "s2"], "its files were removed, its answers stay"
    index.reload()
    assert ids(index.search(E[0], k=2)[0]) == ["s1", "s9"]


def test_a_row_says_what_the_manifest_says(tmp_path):
    study = Study(
        "s", "p", (View("l.png", "LL"), View("f.png", "PA")), Report(findings="Clear.", impression="Normal."),
        {"B": 1, "A": 1, "C": 0, "D": -1}, "test", sex="F", age_years=40, source="x", date="2020-01-02",
    )  # fmt: skip
    row = row_of(study, Manifest([study], tmp_path), "hash")
    assert (row.present, row.absent, row.unsure) == (("A", "B"), ("C",), ("D",))
    assert row.thumbnail == tmp_path / "f.png"
    assert (row.report, row.content_sha256, row.age_years) == ("Clear. Normal.", "hash", 40)
    assert rows_of(table_of([row, Row("t")], [True, False])) == [row, Row("t")]
    assert Row("t").thumbnail is None
