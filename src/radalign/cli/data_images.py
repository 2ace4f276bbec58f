"""`radalign data check` and `radalign data mask`: burned-in text and image quality, shown and acted on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_Manifest = Annotated[Path, typer.Argument(help="A manifest (Parquet).")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
_Ocr = Annotated[str, typer.Option(help="auto, on or off: read marks, so that L, R, ... may stay.")]
_Band = Annotated[float, typer.Option(help="Border bands to search, share of each side; 0.5 is all.")]


def check(
    manifest: _Manifest,
    sheet: Annotated[Path | None, typer.Option(help="The sheet (PNG); default: beside the manifest.")] = None,
    images: Annotated[int, typer.Option(help="How many images, drawn at random; 0 = all.")] = 100,
    shown: Annotated[int, typer.Option(help="How many on the sheet, those with a verdict first.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    ocr: _Ocr = "auto",
    band: _Band = 0.2,
    as_json: _Json = False,
) -> None:
    """Show before and after: what masking would remove and the quality filter would drop."""
    import json

    from radalign.cli.progress import progress_bar
    from radalign.images.burned_in import choose_reader
    from radalign.images.checks import check_sheet
    from radalign.study import Manifest

    held, reader = Manifest.read(manifest), choose_reader(ocr)
    sheet = sheet or manifest.with_name(manifest.name + ".check.png")
    result = check_sheet(held, sheet, images, seed, reader, None, band, progress_bar(as_json), shown)
    typer.echo(json.dumps(result.to_dict()) if as_json else result.to_text())
    if reader is None:
        typer.echo(
            "Marks were not read, so side letters count as marks too; install radalign[ocr].", err=True
        )
    typer.echo(f"Wrote {sheet}.", err=True)


def mask(
    manifest: _Manifest,
    out: Annotated[Path, typer.Argument(help="Folder of the masked copies; continued if begun.")],
    ocr: _Ocr = "auto",
    band: _Band = 0.2,
    as_json: _Json = False,
) -> None:
    """Mask text burned into the images, in copies; OUT/manifest.parquet points at them."""
    import json

    from radalign.cli.progress import progress_bar
    from radalign.data.masking import mask_images, masked_text
    from radalign.images.burned_in import choose_reader
    from radalign.study import Manifest

    held = Manifest.read(manifest)
    masked, done = mask_images(held, out, choose_reader(ocr), band, progress_bar(as_json))
    masked.write(out / "manifest.parquet")
    typer.echo(json.dumps([vars(one) for one in done]) if as_json else masked_text(done))
    typer.echo(f"Wrote {out / 'manifest.parquet'}.", err=True)
