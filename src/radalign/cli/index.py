"""`radalign index`: put studies into an index, keep it up to date, delete from it, check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def index(
    run: Annotated[
        Path | None, typer.Argument(help="The trained system: a run's folder or a system's.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="A manifest; its new and changed studies go in.")] = None,
    out: Annotated[Path, typer.Option(help="The index's folder; made if there is none.")] = Path("index"),
    split: Annotated[str | None, typer.Option(help="Only this split of the manifest.")] = None,
    delete: Annotated[list[str] | None, typer.Option(help="Delete this study; repeatable.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete studies that the manifest does not hold.")
    ] = False,
    half: Annotated[bool, typer.Option("--half", help="Store a new index's vectors in 16 bits.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Rewrite the files without deleted studies.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read and check every byte.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Bring an index up to date: embed what is new or changed, delete what is asked, check what is stored.

    Examples:  radalign index runs/x --data manifest.parquet --out idx --split test

    radalign index --out idx --delete CXR12 --verify
    """
    import json

    from radalign.cli.progress import progress_bar
    from radalign.search.upkeep import Changes, update_index

    changes = Changes(run, data, split, tuple(delete or ()), prune, half, compact, verify)
    done = update_index(out, changes, progress_bar(as_json))
    typer.echo(json.dumps(done.to_dict(), ensure_ascii=False) if as_json else done.to_text())
