"""The state of a flat index: one small JSON file that names everything that counts.

index.json = {"body": {version, made_by, dtype, sequence, segments: [...]}, "sha256": of the body}

A change of the index is the atomic replacement of this file. Files that it does not name do not exist for a
reader. Deleted rows are a bit mask inside it, so that a delete is one replacement and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from radalign.search.engines.durable import FileStamp, replace_file
from radalign.search.errors import IndexDamaged, SearchError
from radalign.search.index import MadeBy

STATE_FILE = "index.json"
FORMAT, VERSION = "radalign flat index", 1


@dataclass(frozen=True)
class SegmentState:
    """One segment as the state names it.

    Args:
        name: Its folder.
        rows: How many rows its files hold.
        files: File name to size and hash.
        dead: Which rows are deleted or replaced, as `pack_mask` writes them; "" for none.
    """

    name: str
    rows: int
    files: dict[str, FileStamp]
    dead: str = ""

    @property
    def live(self) -> np.ndarray:
        """Which rows count: bool [rows]."""
        return ~unpack_mask(self.dead, self.rows)

    def without(self, rows: np.ndarray) -> SegmentState:
        """The same segment with these rows dead: int [n]."""
        live = self.live
        live[rows] = False
        return replace(self, dead=pack_mask(~live))


@dataclass(frozen=True)
class State:
    """All that an index is, but its rows and vectors."""

    made_by: MadeBy
    dtype: str
    sequence: int = 0
    segments: tuple[SegmentState, ...] = ()


def pack_mask(mask: np.ndarray) -> str:
    """A bit mask as text; "" when nothing is set.

    >>> pack_mask(np.array([False, False])), unpack_mask(pack_mask(np.array([False, True])), 2).tolist()
    ('', [False, True])
    """
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes())).decode() if mask.any() else ""


def unpack_mask(text: str, length: int) -> np.ndarray:
    """What `pack_mask` packed: bool [length]."""
    if not text:
        return np.zeros(length, bool)
    packed = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return np.unpackbits(packed, count=length).astype(bool)


def write_state(folder: Path, state: State) -> None:
    """Replace the state on disk; when this returns the change is acknowledged."""
    body = {"format": FORMAT, "version": VERSION, **asdict(state)}
    content = {"body": body, "sha256": _checksum(body)}
    replace_file(folder / STATE_FILE, json.dumps(content, indent=1).encode())


def read_state(folder: Path) -> State:
    """Read and check the state.

    Raises:
        SearchError: If there is no index, or it has a version that this release cannot read.
        IndexDamaged: If the state is cut short or altered.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        raise SearchError(f"There is no index at {folder}; build one with `radalign index`.")
    damaged = IndexDamaged(
        f"{path} is damaged; restore the index from a backup or build it again with `radalign index`."
    )
    try:
        content = json.loads(path.read_bytes())
        body, checksum = content["body"], content["sha256"]
        kind, version = body["format"], body["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged from error
    if kind != FORMAT or version != VERSION:
        raise SearchError(
            f"{path} is a {kind!r} of version {version}, and this release reads a {FORMAT!r} of version "
            f"{VERSION}; use the release that wrote it, or build the index again with `radalign index`."
        )
    if checksum != _checksum(body):
        raise damaged
    return _state(body)


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _state(body: dict[str, Any]) -> State:
    segments = tuple(_segment(table) for table in body["segments"])
    return State(MadeBy(**body["made_by"]), body["dtype"], body["sequence"], segments)


def _segment(table: dict[str, Any]) -> SegmentState:
    files = {name: FileStamp(**stamp) for name, stamp in table["files"].items()}
    return SegmentState(table["name"], table["rows"], files, table["dead"])
