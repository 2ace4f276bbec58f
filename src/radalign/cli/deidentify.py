"""`radalign deidentify`: DICOM files and reports without identities, and an audit of what was not checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def deidentify(
    source: Annotated[Path, typer.Argument(help="Folder with DICOM files (and reports as .txt).")],
    out: Annotated[Path, typer.Argument(help="Folder for the de-identified files and the audit.")],
    key_file: Annotated[Path, typer.Option(help="The secret key; keep it, and never with the files.")],
    new_key: Annotated[bool, typer.Option("--new-key", help="Make the key file first.")] = False,
    ledger: Annotated[
        Path | None, typer.Option(help="Who became whom; default: beside the key file.")
    ] = None,
    dates: Annotated[str, typer.Option(help="shift (per patient), remove, or keep.")] = "shift",
    retain: Annotated[
        list[str] | None,
        typer.Option(
            help="uids, devices, institution, patient (sex, age, ...), descriptors, graphics (annotations, "
            "not overlays); repeatable."
        ),
    ] = None,
    pixels: Annotated[bool, typer.Option(help="Mask text burned into the image.")] = True,
    ocr: Annotated[
        str, typer.Option(help="auto, on or off: read marks, so that L, R, ... may stay.")
    ] = "auto",
    band: Annotated[
        float, typer.Option(help="Border bands to search, share of each side; 0.5 is all.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the audit as JSON.")] = False,
) -> None:
    """De-identify by DICOM PS3.15 (Basic Profile and options); go on where an earlier run stopped.

    Exit code 0: all is written. 1: something unsafe may still be in the pixels of some files. 3: files were
    quarantined, that is, not written. 2: nothing was done, or not all, for the reason given.
    """
    import json

    from radalign.cli.progress import progress_bar
    from radalign.deidentify.keys import others_can_read
    from radalign.deidentify.plan import make_plan
    from radalign.deidentify.run import deidentify as run

    plan = make_plan(source, out, key_file, new_key, ledger, dates, retain or [], pixels, ocr, band)
    audit = run(plan, progress_bar(as_json))
    typer.echo(json.dumps(audit.to_dict()) if as_json else audit.to_markdown())
    if others_can_read(key_file):
        typer.echo(f"Others can read the key: chmod 600 {key_file}", err=True)
    quarantined = audit.quarantined.total()
    if quarantined:
        typer.echo(
            f"{quarantined} files were quarantined and are not in {out}; {plan.ledger} names them.", err=True
        )
    if audit.residual or quarantined:
        raise typer.Exit(1 if audit.residual else 3)
