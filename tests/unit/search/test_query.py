"""Words, images and studies find the right studies, and an answer can be shown."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from radalign.cli import build_app
from radalign.search.build import build_index
from radalign.search.errors import OtherSystem, SearchError
from radalign.search.filters import Filter
from radalign.search.index import Index
from radalign.search.query import Query, ask, load_system, snippet, write_sheet
from radalign.search.upkeep import Changes, update_index


@pytest.fixture
def index(toy, gallery, tmp_path):
    build_index(toy, gallery, tmp_path / "idx")
    return Index.open(tmp_path / "idx")


def never():
    raise AssertionError("no system is needed for this query")


def found(answer):
    return [hit.study_id for hit in answer.hits]


def test_words_find_images_and_reports(index, toy):
    assert found(ask(index, Query("bright"), lambda: toy, k=2)) == ["g4", "g3"]
    assert found(ask(index, Query(" dark "), lambda: toy, k=2, look_in="reports")) == ["g1", "g2"]
    assert found(ask(index, Query("bright"), lambda: toy, where=Filter(labels=("nodule",)))) == ["g3", "g1"]


def test_an_image_finds_its_like(index, toy, tmp_path):
    Image.fromarray(np.full((8, 8), 170, np.uint8)).save(tmp_path / "new.png")
    for query in (Query(image=tmp_path / "new.png"), Query(lateral=tmp_path / "new.png")):
        assert found(ask(index, query, lambda: toy, k=2)) == ["g3", "g4"]


def test_a_study_needs_no_system_and_never_finds_itself(index):
    assert found(ask(index, Query(study_id="g1"), never)) == ["g2", "g3", "g4"]
    assert ask(index, Query(study_id="g1"), never, k=1).hits[0].percentile == 100
    assert ask(index, Query(study_id="g1"), never, k=1, look_in="all").hits[0].percentile == 100
    answer = ask(index, Query(study_id="g1"), never, look_in="reports", other_patients=True)
    assert found(answer) == ["g3"], "g2 is the same patient's, g4 has no report"
    assert answer.asked.study_id == "g1"


def test_all_opinions_are_fused(index, toy):
    answer = ask(index, Query("bright"), lambda: toy, look_in="all")
    assert found(answer)[0] == "g3", "second by image, first by report, first by words"
    assert set(found(answer)) == {"g1", "g2", "g3", "g4"}
    assert found(ask(index, Query(study_id="g3"), never, look_in="all", k=1)) == ["g2"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda f: Query(), "one of words, an image or a study; 0 of them"),
        (lambda f: Query("  "), "0 of them were given. Ask for example"),
        (lambda f: Query("a", study_id="b"), "2 of them"),
        (lambda f: Query(image=f / "gone.png"), "no image at .*gone.png; check"),
    ],
)
def test_a_query_is_exactly_one_thing(tmp_path, make, sentence):
    with pytest.raises(SearchError, match=sentence):
        make(tmp_path)


def test_what_cannot_be_asked_is_said(index, toy):
    with pytest.raises(SearchError, match="no place 'words' to look in; use one of images, reports, all"):
        ask(index, Query("a"), lambda: toy, look_in="words")
    with pytest.raises(SearchError, match="no study 'g11'; did you mean 'g1'"):
        ask(index, Query(study_id="g11"), never)
    with pytest.raises(SearchError, match="at least 1"):
        ask(index, Query("a"), lambda: toy, k=0, look_in="all")
    with pytest.raises(SearchError, match="is empty; add studies"):
        ask(Index.create(index.folder.parent / "new", "x", 2), Query("a"), lambda: toy)
    toy.identity = "other"
    with pytest.raises(OtherSystem, match="made by the system toy"):
        ask(index, Query("a"), lambda: toy)


def test_a_system_that_moved_is_asked_for(tmp_path):
    there = Index.create(tmp_path / "a", "x" * 64, 2, name="clinvla", system_folder=str(tmp_path / "runs"))
    with pytest.raises(
        SearchError, match=r"clinvla .*is not at .*runs any more; name its folder with --system"
    ):
        load_system(there)
    nowhere = Index.create(tmp_path / "b", "x" * 64, 2)
    with pytest.raises(SearchError, match="does not say where its system"):
        load_system(nowhere)


def test_an_answer_travels_as_json(index, toy):
    held = json.loads(json.dumps(ask(index, Query("bright"), lambda: toy, k=1).to_dict()))
    assert held["query"] == '"bright"'
    assert held["hits"][0]["study_id"] == "g4"
    assert {"rank", "score", "percentile", "report", "present", "positions"} <= set(held["hits"][0])
    assert "do not compare" in held["note"]


def test_the_sheet_shows_the_query_image_first(index, toy, tmp_path):
    Image.fromarray(np.full((8, 8), 200, np.uint8)).save(tmp_path / "new.png")
    write_sheet(ask(index, Query(image=tmp_path / "new.png"), lambda: toy), tmp_path / "sheet.png", columns=5)
    page = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    row = page[18 + 27 + 14 + 135]  # margin, one line of title, gap, half a tile
    shades = [int(row[18 + 135 + i * 284]) for i in range(5)]
    assert shades == [200, 160, 240, 80, 0], "the query, then its like"


def test_moved_images_are_found_under_their_new_root(index, toy, tmp_path):
    (tmp_path / "moved").mkdir()
    for name in ("g1", "g2", "g3", "g4"):
        (tmp_path / f"{name}.png").rename(tmp_path / "moved" / f"{name}.png")
    answer = ask(index, Query("bright"), lambda: toy, k=1)
    for root, missing in ((None, True), (tmp_path / "moved", False)):
        write_sheet(answer, tmp_path / "sheet.png", root)
        grey = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
        assert ((grey == 205).mean() > 0.3) == missing


def test_no_hit_is_said_not_drawn(index, toy, tmp_path):
    answer = ask(index, Query("bright"), lambda: toy, where=Filter(views=("LL",)))
    assert answer.hits == ()
    assert "loosen" in answer.advice
    with pytest.raises(SearchError, match="nothing to draw; loosen the filter"):
        write_sheet(answer, tmp_path / "sheet.png")


def test_a_snippet_starts_where_the_query_is_answered():
    text = "Heart size is normal. Small left pleural effusion. No pneumothorax."
    assert snippet(text, "LEFT effusion") == "Small left pleural effusion. No pneumothorax."
    assert snippet(text) == text
    assert snippet(text, letters=10) == "Heart s..."
    assert snippet("") == ""


def test_json_has_no_nan_and_an_age_limit_is_a_number(index):
    answer = ask(index, Query(study_id="g1"), never, k=1)
    doubtful = replace(answer, hits=(replace(answer.hits[0], percentile=float("nan")),))
    assert json.loads(json.dumps(doubtful.to_dict(), allow_nan=False))["hits"][0]["percentile"] is None
    with pytest.raises(SearchError, match="lowest age is not a number"):
        Filter(min_age_years=float("nan"))


def test_an_id_named_twice_is_deleted_once(index):
    assert update_index(index.folder, Changes(delete=("g1", "g1"))).deleted == 1


def test_no_hit_to_draw_is_no_error(index, tmp_path):
    args = [
        "search",
        str(index.folder),
        "--study",
        "g1",
        "--min-age",
        "99",
        "--json",
        "--sheet",
        str(tmp_path / "a.png"),
    ]
    done = CliRunner().invoke(build_app("search"), args)
    assert done.exit_code == 0
    assert "No hit to draw" in done.stderr
    assert json.loads(done.stdout)["hits"] == []
