"""Which finished cells another version of the code has judged, so that this one may judge them again."""

from __future__ import annotations

from collections.abc import Sequence

from radalign.data.provenance import PACKAGE, git_commit, version_of
from radalign.leaderboard.cell_files import RESULT, read_table
from radalign.leaderboard.cells import Cell


def version_here() -> tuple[str, str]:
    """Version and commit of this code; the commit is "" outside of a checkout."""
    return version_of("radalign"), git_commit(PACKAGE)


def judged_by_another_version(cells: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """The cells that another version than this has judged.

    Args:
        cells: With results that can be read.

    Returns:
        Those with the weights that can be judged again, and those without, which came from records.

    Raises:
        DamagedFile: If a result cannot be read.
    """
    here = version_here()
    other = [cell for cell in cells if _version_of(cell) != here]
    with_weights = [cell for cell in other if (cell.run / str(cell.job.judging["weights"])).is_dir()]
    return with_weights, [cell for cell in other if cell not in with_weights]


def _version_of(cell: Cell) -> tuple[str, str]:
    made = read_table(cell.folder / RESULT).get("made_by", {})
    return str(made.get("radalign", "")), str(made.get("commit", ""))
