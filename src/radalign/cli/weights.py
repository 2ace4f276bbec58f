"""`radalign weights`: released checkpoints into radalign folders, adapters into the matrices they adapt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from radalign.weights.importing import Imported
    from radalign.weights.names import Account

app = typer.Typer(help="Released checkpoints, merged adapters.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, every name included.")]


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="alta, mrm, cxr-bert, clip, dinov2, resnet, vit or bert.")],
    path: Annotated[Path, typer.Argument(help="The checkpoint: a file (.pth, .safetensors) or a folder.")],
    out: Annotated[Path, typer.Option(help="The new folder; it must not be there yet.")],
    config: Annotated[
        Path | None, typer.Option(help="JSON file with what the checkpoint does not tell (heads, ...).")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="alta: the folder with CXR-BERT's tokenizer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a released checkpoint into a radalign folder, or say why not and write nothing."""
    from radalign.systems.released import import_released
    from radalign.weights.names import NotCoveredError

    try:
        found = import_released(kind, path, out, config, tokenizer)
    except NotCoveredError as error:
        _print_uncovered(error.account, as_json)
        raise
    if as_json:
        typer.echo(found.to_json())
    else:
        _print_table(found)


@app.command()
def merge(
    run: Annotated[Path, typer.Argument(help="Folder of a trained system or of its run.")],
    out: Annotated[Path, typer.Option(help="The new folder; it must not be there yet.")],
    as_json: AsJson = False,
) -> None:
    """Merge linear adapters into the matrices they adapt, and say which cannot be."""
    from dataclasses import asdict

    from radalign.systems.merging import merge_run

    merged = merge_run(run, out)
    if as_json:
        typer.echo(json.dumps(asdict(merged) | {"folder": str(merged.folder)}, indent=2))
        return
    for sentence in merged.sentences:
        typer.echo(sentence)


def _print_table(found: Imported) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("part", "loaded", "missing", box=None)
    for part, account in found.parts.items():
        table.add_row(part, str(len(account.loaded)), str(len(account.missing)))
    Console().print(table)
    for part, account in found.parts.items():
        _print_names(f"Missing from {part}", account.missing)
    _print_names("Unexpected, left behind", found.unexpected)
    for side, identity in found.encoders.items():
        typer.echo(f"{side}: {identity}")
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"Wrote {found.folder}.")


def _print_uncovered(account: Account, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(account), indent=2))
        return
    typer.echo(f"Loaded: {len(account.loaded)}.", err=True)
    _print_names("Missing", account.missing, to_stderr=True)
    _print_names("Unexpected", account.unexpected, to_stderr=True)


def _print_names(title: str, names: tuple[str, ...], to_stderr: bool = False) -> None:
    if names:
        typer.echo(f"{title} ({len(names)}):", err=to_stderr)
        for name in names:
            typer.echo(f"  {name}", err=to_stderr)
