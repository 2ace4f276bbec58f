"""`radalign data simulate`: studies of a chest phantom with reports and the exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    out: Annotated[Path, typer.Option(help="Folder of the images and the manifest; continued if begun.")],
    studies: Annotated[int, typer.Option(help="How many studies.")] = 400,
    seed: Annotated[int, typer.Option(help="Another seed, other patients.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the square images, pixels.")] = 256,
    format_: Annotated[str, typer.Option("--format", help="png or dicom.")] = "png",
    priors: Annotated[float, typer.Option(help="Share of patients with a second, later study.")] = 0.4,
    laterals: Annotated[float, typer.Option(help="Share of PA studies with a lateral view.")] = 0.9,
    marker: Annotated[bool, typer.Option("--marker", help="Burn in the side marker (L).")] = False,
    monochrome1: Annotated[bool, typer.Option("--monochrome1", help="DICOM: low values are bright.")] = False,
    bits: Annotated[int, typer.Option(help="DICOM: bits stored, 8 to 16.")] = 12,
    voi: Annotated[str, typer.Option(help="DICOM: window, linear, linear_exact or sigmoid.")] = "linear",
    split: Annotated[str, typer.Option(help="Percent of the patients in train/validate/test.")] = "70/10/20",
    workers: Annotated[int, typer.Option(help="Processes; 0 = one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Simulate chest radiographs with reports, labels and the exact truth of what was placed.

    Examples:  radalign data simulate --out demo/phantom --studies 400

    radalign data simulate --out dicoms --studies 50 --format dicom --monochrome1 --voi sigmoid --marker
    """
    import json

    from radalign.cli.progress import progress_bar
    from radalign.data.phantom.files import FileFormat
    from radalign.data.phantom.photometry import Photometry
    from radalign.data.phantom.simulate import MANIFEST, Settings
    from radalign.data.phantom.simulate import simulate as run
    from radalign.data.split import parse_shares
    from radalign.data.summary import summarise, summary_text

    polarity = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    file_format = FileFormat(format_, Photometry(polarity, bits, voi.upper()))
    settings = Settings(seed, size, priors, laterals, marker, file_format)
    manifest = run(out, studies, settings, workers, progress_bar(as_json), parse_shares(split))
    summary = summarise(manifest)
    path = out / MANIFEST
    typer.echo(
        json.dumps(summary | {"manifest": str(path)})
        if as_json
        else f"{summary_text(summary)}\nWrote {path}."
    )
