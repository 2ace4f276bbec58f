"""CheXpert 5x200 and 8x200, drawn from CheXpert's own train.csv by their published rules.

Both take frontal training images with exactly one label present and every other label of the rule absent or
not mentioned, and draw a number per class. Neither rule came with a seed: every group drew its own list. So
here the seed is an argument, and the hash of the list goes into every result.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from radalign.data.benchmark_sets.built import BenchmarkError, BenchmarkList, Built, left_out, write_table
from radalign.data.exclusions import ExclusionFlow
from radalign.data.sources.chexpert import home_folder, split_path
from radalign.data.sources.csv_rows import Row, read_csv
from radalign.data.sources.labels import CHEXPERT, label_value

FIVE = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
EIGHT = ("No Finding", "Cardiomegaly", "Edema", "Pneumonia", "Atelectasis", "Pneumothorax",
         "Pleural Effusion", "Fracture")  # fmt: skip
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT)
IMPRESSION = "Report Impression"
# GLoRIA's rule looks at every label but this one.
_UNCHECKED = "No Finding"


def build_5x200(
    folder: Path, out: Path, seed: int = 0, reports: Path | None = None, per_class: int = 200
) -> Built:
    """Draw 5x200: 200 images of each of five classes, in five blocks.

    Args:
        folder: CheXpert's folder with train.csv.
        out: Where chexpert_5x200.csv goes.
        seed: Of the draw; each class is drawn as pandas' `sample(n, random_state=seed)` draws it, so that
            seed 0 draws as MGCA does.
        reports: The table of CheXpert Plus, for the impressions; then only studies with one are drawn.
        per_class: 200 in the published set.

    Raises:
        BenchmarkError: If a class has too few images.

    References:
        Huang et al., GLoRIA, ICCV 2021 (`preprocess_chexpert_5x200_data`); Wang et al., MGCA, NeurIPS 2022.
    """
    flow = ExclusionFlow("chexpert-5x200")
    rows = _frontal_rows(folder, flow)
    if reports is not None:
        rows = _with_impressions(rows, reports, flow)
    columns = (*COLUMNS, IMPRESSION)
    names = [name for name in CHEXPERT if name != _UNCHECKED]
    chosen = [row for cls in FIVE for row in _draw(_only(rows, cls, names), cls, per_class, seed)]
    path = write_table(out / "chexpert_5x200.csv", columns, [_filled(row) for row in chosen])
    classes = [cls for cls in FIVE for _ in range(per_class)]
    notes = () if reports else ("No reports were given, so the column of impressions is empty.",)
    part = _list("images", chosen, classes, path)
    return Built("chexpert-5x200", (part,), seed, (path,), notes + left_out(flow))


def build_8x200(
    folder: Path, out: Path, seed: int = 0, queries_per_class: int = 10, candidates_per_class: int = 200
) -> Built:
    """Draw 8x200: 10 query images and 200 candidates of each of eight classes, never of the same patient.

    In the published lists six query patients are also candidates; here a patient is in one of the two only.

    Args:
        folder: CheXpert's folder with train.csv.
        out: Gets `image-retrieval/query.csv` and `candidate.csv`, and `text-retrieval/query.csv` with five
            sentences per class of this project (the published ones are ConVIRT's).
        seed: Of the draw.
        queries_per_class: 10 in the published set.
        candidates_per_class: 200 in the published set.

    Raises:
        BenchmarkError: If a class has too few images.

    References:
        Zhang et al., ConVIRT, MLHC 2022, section 4.4 and its data release.
    """
    flow = ExclusionFlow("chexpert-8x200")
    rows = _frontal_rows(folder, flow)
    queries: list[Row] = []
    for cls in EIGHT:
        queries += _draw(_only(rows, cls, CHEXPERT), cls, queries_per_class, seed)
    taken = {_patient(row) for row in queries}
    rest = [row for row in rows if _patient(row) not in taken]
    candidates = [
        row for cls in EIGHT for row in _draw(_only(rest, cls, CHEXPERT), cls, candidates_per_class, seed)
    ]
    query_classes = [cls for cls in EIGHT for _ in range(queries_per_class)]
    candidate_classes = [cls for cls in EIGHT for _ in range(candidates_per_class)]
    place, texts = out / "image-retrieval", _text_queries()
    pairs = [{"Variable": cls, "Path": row["Path"]} for cls, row in zip(query_classes, queries, strict=True)]
    files = (
        write_table(place / "query.csv", ("Variable", "Path"), pairs),
        write_table(place / "candidate.csv", COLUMNS, [_filled(row) for row in candidates]),
        write_table(out / "text-retrieval" / "query.csv", ("Variable", "Text"), texts),
    )
    lists = (
        _list("queries", queries, query_classes, files[0]),
        _list("candidates", candidates, candidate_classes, files[1]),
        _text_list(texts, files[2]),
    )
    notes = (
        "The text queries are this project's own sentences; for published scores put ConVIRT's "
        "text-retrieval/query.csv in their place.",
    )
    return Built("chexpert-8x200", lists, seed, files, notes + left_out(flow))


def _text_queries() -> list[dict[str, str]]:
    text = resources.files("radalign.data.benchmark_sets").joinpath("text_queries.toml").read_text("utf-8")
    return [{"Variable": cls, "Text": one} for cls, all_ in tomllib.loads(text).items() for one in all_]


def _text_list(rows: Sequence[Mapping[str, str]], file: Path) -> BenchmarkList:
    items, classes = (tuple(row[name] for row in rows) for name in ("Text", "Variable"))
    return BenchmarkList("text queries", items, classes, ("",) * len(rows), file)


def published_8x200(folder: Path) -> Built:
    """Read ConVIRT's own lists, check their labels, and say how many patients are in two of them.

    Args:
        folder: The folder `image-retrieval` and `text-retrieval` of the release are in.

    Raises:
        BenchmarkError: If a candidate has not exactly one label present.
    """
    query_file, candidate_file = (folder / "image-retrieval" / f"{n}.csv" for n in ("query", "candidate"))
    queries = list(read_csv(query_file, needs=["Variable", "Path"]))
    rows = list(read_csv(candidate_file, needs=["Path", *CHEXPERT]))
    lists = [
        _list("queries", queries, [row["Variable"] for row in queries], query_file),
        _list("candidates", rows, [_single(row) for row in rows], candidate_file),
    ]
    texts = folder / "text-retrieval" / "query.csv"
    if texts.is_file():
        lists.append(_text_list(list(read_csv(texts, needs=["Variable", "Text"])), texts))
    return Built("chexpert-8x200", tuple(lists), None)


def _frontal_rows(folder: Path, flow: ExclusionFlow) -> list[Row]:
    table = (home_folder(folder) if folder.is_dir() else folder) / "train.csv"
    if not table.is_file():
        raise BenchmarkError(f"{table} is not there; give CheXpert's folder with train.csv and the images.")
    rows = read_csv(table, flow, ["Path", "Frontal/Lateral", *CHEXPERT])
    return [row for row in rows if row["Frontal/Lateral"] == "Frontal"]


def _only(rows: Iterable[Row], cls: str, names: Iterable[str]) -> list[Row]:
    """The rows where `cls` is the only label of `names` that is present or unsure."""
    names = list(names)
    return [
        row
        for row in rows
        if all((label_value(row[name]) or 0) == int(name == cls) for name in names)
        and label_value(row[cls]) == 1
    ]


def _draw(rows: Sequence[Row], cls: str, count: int, seed: int) -> list[Row]:
    """`count` rows as pandas' DataFrame.sample(count, random_state=seed) orders them."""
    if len(rows) < count:
        raise BenchmarkError(
            f"Only {len(rows)} images have {cls} as their one label and {count} are needed; "
            "use all of train.csv."
        )
    order = np.random.RandomState(seed).permutation(len(rows))[:count]
    return [rows[index] for index in order]


def _with_impressions(rows: Iterable[Row], table: Path, flow: ExclusionFlow) -> list[Row]:
    texts = {
        _key(row["path_to_image"]): row["section_impression"]
        for row in read_csv(table, flow, ["path_to_image", "section_impression"], side=True)
    }
    return [row | {IMPRESSION: text} for row in rows if (text := texts.get(_key(row["Path"]), ""))]


def _key(path: str) -> str:
    parts = split_path(path)
    return (parts[0] if parts else path).rpartition(".")[0]


def _filled(row: Row) -> Mapping[str, object]:
    """Blank labels as 0.0, as the published files have them."""
    return row | {name: float(label_value(row[name]) or 0) for name in CHEXPERT}


def _list(name: str, rows: Sequence[Row], classes: Sequence[str], file: Path) -> BenchmarkList:
    return BenchmarkList(
        name, tuple(r["Path"] for r in rows), tuple(classes), tuple(_patient(r) for r in rows), file
    )


def _patient(row: Row) -> str:
    parts = split_path(row["Path"])
    return parts[1] if parts else ""


def _single(row: Row) -> str:
    present = [name for name in CHEXPERT if label_value(row[name]) == 1]
    if len(present) != 1:
        raise BenchmarkError(
            f"The candidate {row['Path']} has {len(present)} labels; 8x200 needs exactly one."
        )
    return present[0]
