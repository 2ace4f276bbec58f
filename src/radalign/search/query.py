"""Ask an index: by words, by image or by study.

words ─ embed_texts ───┐
image ─ embed_studies ─┼─> vector ─> images | reports | all (hybrid) ─> Answer ─> table, JSON, contact sheet
study ─ stored vector ─┘
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from radalign.search.errors import SearchError
from radalign.search.filters import Filter
from radalign.search.hybrid import fused_search
from radalign.search.index import SPACES, Hit, Index
from radalign.search.rows import Row, rows_of

if TYPE_CHECKING:
    from radalign.search.build import Embedder
    from radalign.systems.base import System

WHERE_TO_LOOK = (*SPACES, "all")
_SCORES_NOTE = "Scores hold within this index and its system; do not compare them with those of another."


@dataclass(frozen=True)
class Query:
    """What to search for; exactly one of words, images and study.

    Args:
        text: Words.
        image: A frontal image's file, and a `lateral` of the same study if there is one.
        lateral: A lateral image's file.
        study_id: A study of the index.

    Raises:
        SearchError: If none or several are given.

    >>> str(Query("small effusion")), str(Query(study_id="s1"))
    ('"small effusion"', 'study s1')
    """

    text: str = ""
    image: Path | None = None
    lateral: Path | None = None
    study_id: str = ""

    def __post_init__(self) -> None:
        given = [bool(self.text.strip()), bool(self.image or self.lateral), bool(self.study_id)]
        if sum(given) != 1:
            raise SearchError(
                f"A search needs one of words, an image or a study; {sum(given)} of them were given. "
                'Ask for example: radalign search INDEX "small left effusion".'
            )
        for path in (self.image, self.lateral):
            if path is not None and not path.is_file():
                raise SearchError(f"There is no image at {path}; check the path.")

    def __str__(self) -> str:
        if self.text:
            return f'"{self.text.strip()}"'
        if self.study_id:
            return f"study {self.study_id}"
        return "image " + " + ".join(p.name for p in (self.image, self.lateral) if p)


@dataclass(frozen=True)
class Answer:
    """The hits of a query.

    Args:
        query: What was asked.
        look_in: `images`, `reports` or `all`.
        hits: Best first.
        studies: How many studies the index holds.
        asked: The row of the study that was asked with, if one was.
        warnings: What makes the answer doubtful: words that the system does not know, a query that was cut.
    """

    query: Query
    look_in: str
    hits: tuple[Hit, ...]
    studies: int
    asked: Row | None = None
    warnings: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """A sentence that a reader of the hits should know."""
        nothing = "No study passes the filter; loosen it."
        return (
            f'"above": share of the other studies that score lower. {_SCORES_NOTE}' if self.hits else nothing
        )

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values, for JSON; a number that is not defined is None."""
        return {
            "query": str(self.query),
            "in": self.look_in,
            "studies": self.studies,
            "note": _SCORES_NOTE,
            "warnings": list(self.warnings),
            "hits": [_defined(hit.to_dict()) for hit in self.hits],
        }


def _defined(values: dict[str, Any]) -> dict[str, Any]:
    """NaN as None: JSON has no NaN, and readers other than Python's refuse the whole answer."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def ask(
    index: Index,
    query: Query,
    load: Callable[[], Embedder],
    k: int = 8,
    where: Filter | None = None,
    look_in: str = "images",
    other_patients: bool = False,
) -> Answer:
    """Search an index.

    Args:
        index: Where.
        query: What for. A study asks with its stored image vector, needs no system, and never finds itself.
        load: Loads the system; called only when something must be embedded.
        k: Hits.
        where: Which studies may answer.
        look_in: Compare with the studies' `images`, with their `reports`, or fuse `all` opinions.
        other_patients: With a study: leave out its patient's other studies too.

    Raises:
        SearchError: If the query, `k` or a filter makes no sense.
        OtherSystem: If the loaded system is not the index's.
    """
    if look_in not in WHERE_TO_LOOK:
        raise SearchError(f"There is no place {look_in!r} to look in; use one of {', '.join(WHERE_TO_LOOK)}.")
    if not len(index):
        raise SearchError(f"The index {index.folder} is empty; add studies with `radalign index`.")
    where, asked = where or Filter(), None
    warnings: tuple[str, ...] = ()
    if query.study_id:
        vector, asked = index.vector(query.study_id), row(index, query.study_id)
        patients = (asked.patient_id,) if other_patients else ()
        where = replace(
            where,
            exclude_studies=(*where.exclude_studies, query.study_id),
            exclude_patients=(*where.exclude_patients, *patients),
        )
    else:
        from radalign.systems.asked import notes_on_query  # heavy, and a study as the query needs none

        system = load()
        vector = _embed(index, query, system)
        warnings = notes_on_query(system, query.text.strip()) if query.text else ()
    if look_in == "all":
        hits = fused_search(index, vector, query.text, k, where)
    else:
        hits = index.search(vector, k, where, "images" if look_in == "images" else "reports")[0]
    return Answer(query, look_in, tuple(hits), len(index), asked, warnings)


def row(index: Index, study_id: str) -> Row:
    """The row of a study that the index holds."""
    import pyarrow.compute as pc

    table = index.table()
    return rows_of(table.filter(pc.equal(table.column("study_id"), study_id)))[0]


def load_system(index: Index, folder: str | Path | None = None) -> System:
    """Load the system that made an index, from where the index says or from `folder`.

    Raises:
        SearchError: If it is not there any more.
    """
    from radalign.systems.base import load

    where = str(folder or index.made_by.folder)
    if not where:
        raise SearchError(
            f"The index {index.folder} does not say where its system {index.made_by} lies; "
            "name its folder with --system."
        )
    if not folder and not where.startswith("hf://") and not Path(where).exists():
        raise SearchError(
            f"The system {index.made_by} of the index {index.folder} is not at {where} any more; "
            "name its folder with --system."
        )
    return load(where)


def snippet(report: str, query: str = "", letters: int = 160) -> str:
    """The part of a report to show: from the sentence that shares most words with the query.

    >>> snippet("Heart normal. Small left effusion. Old rib fracture.", "left effusion", 30)
    'Small left effusion. Old ri...'
    """
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(report.split()))
    words = set(re.findall(r"\w+", query.lower()))
    shared = [len(words & set(re.findall(r"\w+", s.lower()))) for s in sentences]
    text = " ".join(sentences[shared.index(max(shared)) :])
    return text if len(text) <= letters else text[: letters - 3].rstrip() + "..."


def write_sheet(
    answer: Answer, path: str | Path, images_root: str | Path | None = None, columns: int = 4
) -> None:
    """Write the answer as a contact sheet; what was asked with comes first if it is an image.

    Args:
        answer: From `ask`.
        path: The PNG.
        images_root: Where the images are now, if they moved since the index was built.
        columns: Tiles per row.

    Raises:
        SearchError: If there is no hit to show.
    """
    from radalign.images.sheet import Tile, contact_sheet

    if not answer.hits:
        raise SearchError("No study answers this query, so there is nothing to draw; loosen the filter.")
    tiles = [Tile(path, f"asked: {path.name}") for path in (answer.query.image, answer.query.lateral) if path]
    if answer.asked is not None:
        tiles = [Tile(_thumbnail(answer.asked, images_root), f"asked: {_caption(answer.asked, '')}")]
    tiles += [
        Tile(
            _thumbnail(hit.row, images_root),
            f"{hit.rank}. score {hit.score:.3f}, above {hit.percentile:.1f} %\n"
            + _caption(hit.row, answer.query.text),
        )
        for hit in answer.hits
    ]
    contact_sheet(tiles, path, columns, f"{answer.query} in {answer.look_in} of {answer.studies} studies")


def _caption(row: Row, query: str) -> str:
    lines = [row.study_id, "; ".join(row.present), snippet(row.report, query)]
    return "\n".join(line for line in lines if line)


def _thumbnail(row: Row, images_root: str | Path | None) -> Path | None:
    return (row if images_root is None else replace(row, root=str(images_root))).thumbnail


def _embed(index: Index, query: Query, system: Embedder) -> np.ndarray:
    from radalign.search.build import query_study

    index.require(system.identity, system.recipe.name)
    if query.text:
        return np.asarray(system.embed_texts([query.text.strip()])[0])
    paths = [(p, name) for p, name in ((query.image, "FRONTAL"), (query.lateral, "LATERAL")) if p]
    study, manifest = query_study(paths)
    return np.asarray(system.embed_studies([study], manifest)[0])
