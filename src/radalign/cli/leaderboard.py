"""`radalign leaderboard`: many systems under one budget, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    plan: Annotated[str, typer.Argument(help="A packaged plan's name (see --list) or a TOML file.")] = "",
    data: Annotated[Path | None, typer.Option(help="The manifest (Parquet), with a split.")] = None,
    out: Annotated[Path, typer.Option(help="The board's folder: cells, page, table.")] = Path("board"),
    page_only: Annotated[
        bool, typer.Option("--page-only", help="Train nothing; make the page from the cells that there are.")
    ] = False,
    arm: Annotated[
        list[str] | None, typer.Option(help="Run only this arm now; repeatable. The page shows all.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Run only this seed now; repeatable.")] = None,
    judge_again: Annotated[
        bool,
        typer.Option(
            "--judge-again",
            help="Judge cells anew, without training, that another version of radalign has judged.",
        ),
    ] = False,
    at_once: Annotated[
        int,
        typer.Option(
            min=1, help="Cells side by side, each with its part of the cores, or a graphics card of its own."
        ),
    ] = 1,
    reference: Annotated[
        str, typer.Option(help="The arm that all others are compared with; default: the plan's.")
    ] = "",
    gallery: Annotated[
        bool | None,
        typer.Option(
            "--gallery/--no-gallery",
            help="Show images and reports on the page; default: for simulated studies alone.",
        ),
    ] = None,
    heat: Annotated[bool, typer.Option(help="In a gallery: heat maps of words over images.")] = True,
    show: Annotated[
        list[str] | None,
        typer.Option(
            help="In a gallery: this arm, not the leader, the reference and one with heat maps; repeatable."
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images; default: `pixels` beside the manifest.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="Folder of results as small files: takes in what is there, adds what is made."),
    ] = None,
    show_plans: Annotated[bool, typer.Option("--list", help="List the packaged plans.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and no progress.")] = False,
) -> None:
    """Train and judge every arm of a plan with every seed; cells that are finished are kept.

    Example:  radalign leaderboard simulated --data demo/phantom/manifest.parquet --out board

    A part of a plan:  radalign leaderboard openi --data openi.parquet --arm ClinVLA --arm ALTA --seed 0
    """
    from radalign.leaderboard.board import BoardOptions, make_board
    from radalign.leaderboard.plan import LeaderboardError, load_plan, plan_names

    if show_plans:
        for name in plan_names():
            typer.echo(f"{name:20} {load_plan(name).title}")
        return
    if not plan or data is None:
        raise LeaderboardError(
            "Name a plan and its data: `radalign leaderboard simulated --data manifest.parquet`."
        )
    options = BoardOptions(
        page_only, gallery, as_json, cache=cache, heat=heat, at_once=at_once, arms=tuple(arm or ()),
        seeds=tuple(seed or ()), records=records, show=tuple(show or ()), judge_again=judge_again,
    )  # fmt: skip
    read = load_plan(plan)
    files = make_board(
        read.compared_with(reference) if reference else read, data, out, options,
        say=None if as_json else lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    key = "board.json" if as_json else "table.md"
    typer.echo(files[key].read_text(encoding="utf-8"))
    typer.echo(f"Wrote {', '.join(str(f) for f in files.values())}.", err=True)
