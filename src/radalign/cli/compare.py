"""`radalign compare`: two runs, two results or two boards, number by number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[str, typer.Argument(help="A run, a board or one of its cells, or a result.json.")],
    second: Annotated[str, typer.Argument(help="What it is compared with.")],
    data: Annotated[
        Path | None, typer.Option(help="A manifest: judge both on it. Without, stored results are compared.")
    ] = None,
    split: Annotated[str, typer.Option(help="The manifest's split; `all` takes every study.")] = "test",
    task: Annotated[list[str] | None, typer.Option(help="With --data: a task; repeatable.")] = None,
    prompts: Annotated[str, typer.Option(help="With --data: prompts of zero-shot.")] = "chest-findings",
    weights: Annotated[str, typer.Option(help="With --data: best (by validation) or last.")] = "best",
    resamples: Annotated[int, typer.Option(help="With --data: bootstrap resamples of patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="With --data: of the bootstrap.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the table and the figure.")] = Path("comparison"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and no progress.")] = False,
) -> None:
    """Paired differences with intervals, queries won and lost, settings that differ, curves on one figure.

    Example:  radalign compare runs/a runs/b --data manifest.parquet

    Two boards, or folders of their records, are compared arm by arm.
    """
    from radalign.cli.progress import progress_bar
    from radalign.leaderboard.compare import compare as run
    from radalign.leaderboard.compare_page import comparison_text, write_comparison
    from radalign.leaderboard.plan import LeaderboardError, make_judging
    from radalign.leaderboard.sides import names_apart, read_sides
    from radalign.leaderboard.two_boards import compare_boards, is_board, read_board
    from radalign.leaderboard.two_boards_page import boards_text, write_boards

    boards = Path(first), Path(second)
    if all(map(is_board, boards)):
        if data is not None:
            raise LeaderboardError("Two boards are compared as they were judged; leave --data out.")
        names = names_apart(first, second)
        compared = compare_boards(read_board(boards[0]), read_board(boards[1]), names)
        _print(write_boards(compared, out), boards_text(compared), as_json)
        return
    judging = make_judging(
        tasks=tuple(task or ("retrieval", "zero-shot")), split="" if split == "all" else split,
        prompts=prompts, weights=weights, resamples=resamples, seed=seed,
    )  # fmt: skip
    found = run(*read_sides(first, second, data, judging, progress_bar(as_json)))
    _print(write_comparison(found, out), comparison_text(found, details=False), as_json)


def _print(files: dict[str, Path], text: str, as_json: bool) -> None:
    typer.echo(files["json"].read_text(encoding="utf-8") if as_json else text)
    typer.echo(f"Wrote {', '.join(str(f) for f in files.values())}.", err=True)
