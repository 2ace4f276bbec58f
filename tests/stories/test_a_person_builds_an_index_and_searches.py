"""A person indexes a manifest with a saved system, asks by words, image and study, and keeps it current."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from radalign.cli.index import index
from radalign.cli.search import search
from radalign.search.errors import OtherSystem, SearchError
from radalign.study import Manifest, Report, Study, View

TINY = "width=16, depth=2, heads=2, mlp_width=32"
REPORTS = ("No acute disease.", "The heart is enlarged.", "Small left pleural effusion.")
LABELS = ("No Finding", "Cardiomegaly", "Effusion")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two saved, untrained, tiny systems and a manifest of 12 studies."""
    from radalign.systems.base import create

    folder = tmp_path_factory.mktemp("place")
    for seed in (1, 2):
        settings = [
            f"backbones.vision={{random={{{TINY}, patch_px=16, image_px=32, seed={seed}}}}}",
            f"backbones.text={{random={{{TINY}, vocabulary=300, max_tokens=64}}}}",
            "backbones.max_tokens=32",
            "data.size_px=32",
        ]
        create("clinvla", settings).save(folder / f"system{seed}")
    random = np.random.default_rng(0)
    for i in range(12):
        pixels = random.integers(0, 256, (32, 32))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    Manifest([study(i) for i in range(12)], folder).write(folder / "studies.parquet")
    return folder


def study(i, report=None):
    views = (View(f"{i}.png", "PA" if i % 2 else "AP"),)
    text = Report(findings=report or f"{REPORTS[i % 3]} Case {i}.")
    return Study(f"s{i}", f"p{i // 2}", views, text, {LABELS[i % 3]: 1}, "test" if i < 8 else "train")


@pytest.fixture
def say(place, monkeypatch):
    """Types a command in the folder; gives back what was printed."""
    monkeypatch.chdir(place)
    app = typer.Typer()
    app.command("index")(index)
    app.command("search")(search)

    def run(*words):
        result = CliRunner().invoke(app, [str(w) for w in words])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


@pytest.fixture
def idx(say, tmp_path):
    say("index", "system1", "--data", "studies.parquet", "--out", tmp_path / "idx", "--split", "test")
    return tmp_path / "idx"


def test_the_index_says_what_went_in_and_skips_what_it_holds(say, tmp_path):
    command = ("index", "system1", "--data", "studies.parquet", "--out", tmp_path / "idx")
    first = say(*command, "--split", "test")
    assert "Added 8, replaced 0, unchanged 0" in first
    assert "holds 8 studies, 8 with a report" in first
    built = json.loads(say(*command, "--json"))["built"]
    assert (built["added"], built["unchanged"], built["total"]) == (4, 8, 12)


def test_words_find_studies_with_their_reports(say, idx):
    page = say("search", idx, "small left effusion", "-k", 3)
    for word in ("rank", "score", "above", "labels", "report", "do not compare"):
        assert word in page
    answer = json.loads(say("search", idx, "small left effusion", "--label", "effusion", "--json"))
    assert {hit["study_id"] for hit in answer["hits"]} == {"s2", "s5"}
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2]
    filtered = json.loads(say("search", idx, "heart", "--view", "AP", "--not-label", "Effusion", "--json"))
    assert {hit["study_id"] for hit in filtered["hits"]} == {"s0", "s4", "s6"}


def test_an_image_of_the_index_finds_its_own_study_first(say, idx, tmp_path):
    answer = json.loads(say("search", idx, "--image", "5.png", "--json", "--sheet", tmp_path / "hits.png"))
    assert answer["hits"][0]["study_id"] == "s5"
    assert answer["hits"][0]["score"] == pytest.approx(1, abs=1e-5)
    assert answer["hits"][0]["percentile"] == 100
    with Image.open(tmp_path / "hits.png") as page:
        assert page.width > 1000


def test_a_report_finds_itself_among_reports(say, idx):
    asked = study(4).report.body
    hits = json.loads(say("search", idx, asked, "--in", "reports", "--json"))["hits"]
    assert (hits[0]["study_id"], hits[0]["percentile"]) == ("s4", 100)
    fused = json.loads(say("search", idx, asked, "--in", "all", "--json"))["hits"]
    assert "s4" in [hit["study_id"] for hit in fused[:3]], "images of an untrained system have a say too"


def test_a_study_is_asked_with_without_loading_the_system(say, idx, monkeypatch):
    monkeypatch.setattr("radalign.systems.base.load", None)
    hits = json.loads(say("search", idx, "--study", "s5", "-k", 20, "--json"))["hits"]
    assert len(hits) == 7
    assert "s5" not in {hit["study_id"] for hit in hits}
    others = json.loads(say("search", idx, "--study", "s5", "-k", 20, "--other-patients", "--json"))["hits"]
    assert {hit["study_id"] for hit in hits} - {hit["study_id"] for hit in others} == {"s4"}


def test_another_system_is_refused_by_both_names(say, idx):
    with pytest.raises(OtherSystem, match=r"made by the system clinvla \(.*come from clinvla"):
        say("search", idx, "effusion", "--system", "system2")
    with pytest.raises(OtherSystem, match="build a new index"):
        say("index", "system2", "--data", "studies.parquet", "--out", idx)


def test_studies_are_replaced_and_deleted(say, idx, place):
    changed = [study(i, "Bilateral nodules." if i == 3 else None) for i in range(12)]
    Manifest(changed, place).write(idx.parent / "changed.parquet")
    said = say("index", "system1", "--data", idx.parent / "changed.parquet", "--out", idx, "--split", "test")
    assert "Added 0, replaced 1, unchanged 7" in said
    hits = json.loads(say("search", idx, "Bilateral nodules.", "--in", "reports", "--json"))["hits"]
    assert (hits[0]["study_id"], hits[0]["report"]) == ("s3", "Bilateral nodules.")
    said = say("index", "--out", idx, "--delete", "s3", "--delete", "s4", "--compact", "--verify")
    assert "Deleted 2; 6 studies are left." in said
    assert "Compacted." in said
    assert "all as written" in said
    assert len(json.loads(say("search", idx, "nodules", "-k", 20, "--json"))["hits"]) == 6


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("index", "--out", "IDX"), "Nothing to do; give RUN"),
        (("index", "system1", "--out", "IDX"), "need a trained system and a manifest"),
        (("index", "--out", "IDX", "--verify", "--prune"), "go with a manifest"),
        (("index", "--out", "IDX", "--delete", "s99"), "no study 's99'"),
        (
            ("index", "system1", "--data", "studies.parquet", "--out", "IDX", "--split", "tset"),
            "split 'tset'",
        ),
        (("search", "IDX"), "one of words, an image or a study; 0"),
        (("search", "IDX", "a", "--label", "Cardiomegali"), "did you mean 'Cardiomegaly'"),
        (("search", "IDX", "a", "-k", "0"), "at least 1"),
        (("search", "nowhere", "a"), "no index at nowhere; build one with `radalign index`"),
    ],
)
def test_mistakes_get_a_sentence(say, idx, words, sentence):
    with pytest.raises(SearchError, match=sentence):
        say(*(idx if word == "IDX" else word for word in words))
