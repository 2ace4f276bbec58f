"""CSV files as people write them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.csv_rows import read_csv
from radalign.data.sources.source import SourceError

EXPECTED = [{"image": "a.png", "text": "Épanchement, gauche"}, {"image": "b.png", "text": ""}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_encoding_line_end_and_delimiter(
    tmp_path: Path, encoding: str, end: str, delimiter: str
) -> None:
    lines = [f"image{delimiter} text ", f'a.png{delimiter}"Épanchement, gauche"', f"b.png{delimiter}"]
    path = tmp_path / "t.csv"
    path.write_bytes((end.join(lines) + end).encode(encoding))
    assert list(read_csv(path)) == EXPECTED


def test_line_breaks_inside_quotes_and_very_long_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    long = "word " * 60_000
    path.write_text(f'image,text\na.png,"one\ntwo"\nb.png,{long}\n')
    assert [row["text"] for row in read_csv(path)] == ["one\ntwo", long.strip()]


def test_gzip_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"image\na.png\n"))
    assert list(read_csv(path)) == [{"image": "a.png"}]


def test_ragged_rows_are_counted_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,text\na.png\nb.png,x,y\n")
    flow = ExclusionFlow("test")
    assert list(read_csv(path, flow)) == [{"image": "a.png", "text": ""}]
    assert flow.dropped["row has more cells than the header"].examples == ["t.csv line 3"]
    with pytest.raises(SourceError, match="line 3 has more cells"):
        list(read_csv(path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a text file"),
        (b"path,text\n", "lacks the column image"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        list(read_csv(path, needs=["image"]))


def test_a_missing_table_and_a_broken_gzip_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no table"):
        list(read_csv(tmp_path / "t.csv"))
    (tmp_path / "t.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(SourceError, match="cannot be read"):
        list(read_csv(tmp_path / "t.csv.gz"))


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    whole = gzip.compress(b"image\n" + bytes(str(list(range(999))), "ascii"))
    for broken in (whole[:40] + b"\xff\xff" + whole[42:], whole[:60]):
        path.write_bytes(broken)
        with pytest.raises(SourceError, match=r"t\.csv\.gz cannot be read"):
            list(read_csv(path))


def test_a_quote_that_is_never_closed_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('image,text\na.png,"one\ntwo"\nb.png,"open\nc.png,three\nd.png,four\n')
    with pytest.raises(SourceError, match=r"t\.csv lines 4 to 6: a quote is opened and never closed"):
        list(read_csv(path))


def test_quotes_that_swallow_a_row_and_close_are_noted(tmp_path: Path) -> None:
    path, flow = tmp_path / "t.csv", ExclusionFlow("test")
    path.write_text('image,text\na.png,"open\nb.png,"two"\nc.png,"a ""good"" one\nof two lines"\n')
    assert [row["image"] for row in read_csv(path, flow)] == ["a.png", "c.png"]
    assert [reason.listed for reason in flow.noted.values()] == [["t.csv lines 2 to 3"]]


def test_empty_cells_behind_the_last_column_are_no_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,text\na.png,one,,\n")
    assert list(read_csv(path)) == [{"image": "a.png", "text": "one"}]


def test_a_ragged_row_of_a_side_table_loses_no_image(tmp_path: Path) -> None:
    path, flow = tmp_path / "t.csv", ExclusionFlow("test")
    path.write_text("image,text\na.png,one,two\n")
    assert list(read_csv(path, flow, side=True)) == []
    assert flow.images_found == 0
    assert flow.noted["row has more cells than the header, passed over"].listed == ["t.csv line 2"]
