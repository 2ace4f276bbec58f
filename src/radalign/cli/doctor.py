"""`radalign doctor`: can this installation do what it should?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def doctor(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Also try these: manifests, trained systems, indexes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Look at packages, machine, DICOM decoders, encoders, reader of reports; exit code 1 if one is broken.

    Example:  radalign doctor studies.parquet runs/mine index
    """
    import json
    from dataclasses import asdict

    from radalign.doctor.check import summary
    from radalign.doctor.examine import examine

    checks = []
    for check in examine(paths or ()):
        checks.append(check)
        if not as_json:
            typer.echo(check.line())
    typer.echo(json.dumps([asdict(check) for check in checks], indent=1) if as_json else summary(checks))
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(1)
