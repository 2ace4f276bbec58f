"""`radalign few-shot`: train and test systems with few labels, and tabulate them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def few_shot(
    methods: Annotated[
        list[str], typer.Argument(help="Recipes that learn classes: nearl-few-shot, clip-adapter, ...")
    ],
    data: Annotated[list[Path], typer.Option(help="A manifest with labels and a split; repeatable.")],
    out: Annotated[Path, typer.Option(help="Folder of all cells and of the table.")],
    protocol: Annotated[str, typer.Option(help="few-shot or base-to-novel.")] = "few-shot",
    shots: Annotated[
        list[str] | None,
        typer.Option(help="Studies per class, as 1,2 or repeated; default 1,2,4,8,16 (base-to-novel: 16)."),
    ] = None,
    seeds: Annotated[
        list[str] | None,
        typer.Option(help="Each draws other studies; as 1,2 or repeated; default 1,2,3."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of every method, repeatable.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images; default: `pixels` in --out.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, or cpu.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train every method for every number of shots and seed, test it, and write one table; resumable."""
    from functools import partial

    from radalign.train.memory import prepare_memory

    prepare_memory()

    from radalign.cli.progress import progress_bar
    from radalign.evaluate.few_shot_cells import make_table, run_cells
    from radalign.evaluate.few_shot_table import few_shot_markdown, few_shot_result, write_few_shot
    from radalign.train.bar import Bar
    from radalign.train.cell import train_cell
    from radalign.train.device import need_training_device

    need_training_device(device)
    table = make_table(
        methods, data, out, protocol, ",".join(shots or []), ",".join(seeds or []), settings or []
    )
    train = partial(train_cell, cache_folder=cache or out / "pixels", device=device, bar=Bar(quiet=as_json))
    result = few_shot_result(table, run_cells(table, train, progress_bar(as_json)))
    files = write_few_shot(result, out)
    typer.echo(result.to_json() if as_json else few_shot_markdown(result))
    typer.echo(f"Wrote {', '.join(map(str, files))}.", err=True)
