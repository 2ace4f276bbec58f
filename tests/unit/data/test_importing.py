"""The one way in: bad rows are counted, nothing usable is an error, splits and priors are made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from radalign.data.importing import ImportSettings, check_out, import_source, parse_settings, write_import
from radalign.data.sources.source import Check, SourceError, SourceOptions
from radalign.study import Manifest

Image = Callable[..., str]
Table = Callable[..., Path]


@pytest.fixture
def bad_table(image: Image, table: Table, tmp_path: Path) -> Path:
    """One row for each thing that goes wrong, two good ones."""
    for name in ("good.png", "lateral.png", "undated.png", "silent.png"):
        image(name)
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
    (tmp_path / "empty.png").write_bytes(b"")
    return table(
        [
            "image_path,study_id,patient_id,view,study_date,report",
            "good.png,s1,p1,PA,2026-01-01,Clear lungs.",
            "lateral.png,s1,p1,L,2026-01-01,Clear lungs.",
            "undated.png,s2,p1,PA,31.12.2026,Effusion.",
            "silent.png,s3,p2,PA,2026-01-01,  ",
            "broken.png,s4,p3,PA,2026-01-01,Clear.",
            "empty.png,s4,p3,L,2026-01-01,Clear.",
            "gone.png,s5,p4,PA,2026-01-01,Clear.",
            "good.png,s6,p5,PA,2026-01-01,Clear.",
            "-1,s7,p5,PA,2026-01-01,Clear.",
            "lateral.png,s1,p9,PA,2026-01-01,Clear.,too,many,cells",
        ]
    )


def test_every_bad_row_is_counted_and_none_is_fatal(bad_table: Path) -> None:
    manifest, flow = import_source("table", bad_table)
    assert [s.id for s in manifest] == ["s1", "s2"]
    assert {name: (r.images, r.studies) for name, r in flow.dropped.items()} == {
        "row names no image": (1, 0),
        "row has more cells than the header": (1, 0),
        "image is listed twice": (1, 0),
        "study has no usable image": (0, 3),
        "image cannot be read": (2, 0),
        "image file is missing": (1, 0),
        "report says nothing of the images": (1, 1),
    }
    assert flow.noted["date cannot be read, kept without"].images == 1
    assert flow.dropped["image cannot be read"].examples[0].startswith("broken.png is ")
    assert (flow.images_found, flow.images_kept) == (10, 3)


def test_studies_without_a_report_are_kept_on_request(bad_table: Path) -> None:
    manifest, flow = import_source("table", bad_table, ImportSettings(reports="keep"))
    assert "s3" in manifest
    assert flow.noted["without a report"].studies == 1


def test_a_table_without_any_report_is_kept(image: Image, table: Table) -> None:
    manifest, _ = import_source("table", table(["image", image("a.png")]))
    assert len(manifest) == 1


def test_nothing_usable_is_an_error_that_says_why(table: Table) -> None:
    path = table(["image_path,report", "gone.png,Clear.", "lost.png,Clear."])
    with pytest.raises(
        SourceError, match=r"Nothing in .*image file is missing \(2 images, such as: gone.png\)"
    ):
        import_source("table", path)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is nothing at"):
        import_source("table", tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no source 'open'"):
        import_source("open", tmp_path)


@pytest.mark.parametrize(
    ("check", "kept"), [("exists", ["s1", "s2", "s4"]), ("none", ["s1", "s2", "s4", "s5"])]
)
def test_a_lighter_check_trusts_more(bad_table: Path, check: str, kept: list[str]) -> None:
    settings = parse_settings("auto", 0, "auto", "auto", check, "keep", 1, None, None, [], "", "")
    assert [s.id for s in import_source("table", bad_table, settings)[0]] == kept


@pytest.mark.parametrize(("check", "last"), [("exists", "Looking for images"), ("decode", "Checking images")])
def test_each_long_part_shows_its_progress(bad_table: Path, check: Check, last: str) -> None:
    seen: list[str] = []

    def told(items: Iterable[Any], title: str) -> Iterable[Any]:
        seen.append(title)
        return items

    import_source("table", bad_table, ImportSettings(check=check), told)
    assert seen == ["Reading studies", last]


def test_many_images_are_checked_in_processes(
    image: Image, table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radalign.data.checking._WORTH_PROCESSES", 2)
    monkeypatch.setattr("radalign.data.checking._CHUNK", 2)
    names = [image(f"{n}.png") for n in range(5)]
    (tmp_path / "3.png").write_bytes(b"x")
    path = table(["image", *names])
    alone, flow = import_source("table", path, ImportSettings(workers=1))
    together, same = import_source("table", path, ImportSettings(workers=2))
    assert alone.studies == together.studies
    assert flow.to_dict() == same.to_dict()
    assert len(alone) == 4


def test_the_sources_own_split_is_kept_unless_another_is_asked_for(image: Image, table: Table) -> None:
    path = table(["image,split", f"{image('a.png')},valid", f"{image('b.png')},train"])
    assert [s.split for s in import_source("table", path)[0]] == ["validate", "train"]
    assert [s.split for s in import_source("table", path, ImportSettings(split="none"))[0]] == ["", ""]
    assert [s.split for s in import_source("table", path, ImportSettings(split="0/0/100"))[0]] == [
        "test",
        "test",
    ]


def test_priors_are_linked_by_offset(image: Image, table: Table) -> None:
    path = table(["image,patient_id,offset", f"{image('a.png')},p,7", f"{image('b.png')},p,-2"])
    linked = {s.id: s.prior_study_id for s in import_source("table", path)[0]}
    assert linked == {"a.png": "b.png", "b.png": ""}


def test_the_flow_is_written_beside_the_manifest(bad_table: Path, tmp_path: Path) -> None:
    manifest, flow = import_source("table", bad_table)
    page = write_import(manifest, flow, tmp_path / "out" / "m.parquet")
    assert page.read_text(encoding="utf-8") == flow.to_markdown()
    assert json.loads(page.with_suffix(".json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(flow.to_dict())
    )
    assert Manifest.read(tmp_path / "out" / "m.parquet").studies == manifest.studies


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"reports": "maybe"}, "--reports 'maybe' is not one of auto, need, keep"),
        ({"positions": "ask"}, "--positions 'ask'"),
        ({"check": "twice"}, "--check 'twice'"),
        ({"quality": "best"}, "--quality 'best'"),
        ({"columns": ["image"]}, "role=NAME"),
    ],
)
def test_settings_that_are_none_are_refused(given: dict[str, object], sentence: str) -> None:
    default: dict[str, object] = {
        "split": "auto",
        "seed": 0,
        "reports": "auto",
        "positions": "auto",
        "check": "auto",
        "quality": "keep",
        "workers": 0,
    }
    default |= {"images": None, "report_files": None, "columns": [], "labels": "", "part": ""}
    with pytest.raises(SourceError, match=sentence):
        parse_settings(**default | given)  # type: ignore[arg-type]


def test_a_folder_is_no_place_for_a_manifest(tmp_path: Path) -> None:
    check_out(tmp_path / "m.parquet")
    with pytest.raises(SourceError, match=r"is a folder; name the manifest in it: .*manifest\.parquet"):
        check_out(tmp_path)


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        ("chexpert", SourceOptions(labels="negbio"), "chexpert has no use for --labels"),
        ("nih", SourceOptions(part="train"), "nih has no use for --part"),
        ("mimic", SourceOptions(columns={"image": "x"}), "mimic has no use for --column"),
        ("table", SourceOptions(reports=Path("r")), "table has no use for --report-files"),
        ("dicom_folder", SourceOptions(part="CT"), "no part 'CT'; --part any"),
    ],
)
def test_options_that_a_source_would_ignore_are_refused(
    tmp_path: Path, source: str, options: SourceOptions, sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence):
        import_source(source, tmp_path, ImportSettings(options=options))
