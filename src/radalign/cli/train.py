"""`radalign train`: adapt a system to studies and their reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    system: Annotated[str, typer.Argument(help="A recipe's name (`radalign recipes`) or its TOML file.")],
    data: Annotated[Path, typer.Option(help="The manifest (Parquet), with a split.")],
    out: Annotated[Path, typer.Option(help="The run's folder: systems, log, card.")],
    recipe: Annotated[
        Path | None, typer.Option(help="A TOML file used in place of the named recipe.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting such as train.epochs=5, repeatable.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Begin with the tensors of this run, of the same kind.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Remove the run in the folder.")] = False,
    fail_on_collapse: Annotated[
        bool, typer.Option("--fail-on-collapse", help="Stop with an error when the embeddings collapse.")
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images; default: `pixels` beside the manifest.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, or cpu.")] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and no progress.")
    ] = False,
) -> None:
    """Train a system: adapters on frozen encoders, validated every epoch, resumable after a kill."""
    import json

    from radalign.train.memory import prepare_memory

    prepare_memory()

    from radalign.study import Manifest
    from radalign.systems.base import create
    from radalign.train.bar import Bar
    from radalign.train.loop import train as run

    result = run(
        create(recipe or system, settings or []),
        Manifest.read(data),
        out,
        cache or data.parent / "pixels",
        start=start,
        resume=resume,
        overwrite=overwrite,
        fail_on_collapse=fail_on_collapse,
        device=device,
        bar=Bar(quiet=as_json),
    )
    typer.echo(json.dumps(result.to_dict(), default=str) if as_json else result.sentence())
    if not result.is_finished:
        raise typer.Exit(130)
