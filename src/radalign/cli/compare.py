"""`radalign compare`: two runs or two results, number by number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    first: Annotated[str, typer.Argument(help="A run, a cell of a leaderboard, or a result.json.")],
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
    """
    from radalign.cli.progress import progress_bar
    from radalign.leaderboard.compare import compare as run
    from radalign.leaderboard.compare_page import comparison_text, write_comparison
    from radalign.leaderboard.plan import make_judging
    from radalign.leaderboard.sides import read_sides

    judging = make_judging(
        tasks=tuple(task or ("retrieval", "zero-shot")), split="" if split == "all" else split,
        prompts=prompts, weights=weights, resamples=resamples, seed=seed,
    )  # fmt: skip
    found = run(*read_sides(first, second, data, judging, progress_bar(as_json)))
    files = write_comparison(found, out)
    typer.echo(
        files["json"].read_text(encoding="utf-8") if as_json else comparison_text(found, details=False)
    )
    typer.echo(f"Wrote {', '.join(str(f) for f in files.values())}.", err=True)
