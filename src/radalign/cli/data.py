"""`radalign data`: import studies, look at them, split them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radalign.cli.data_images import check, mask
from radalign.cli.simulate import simulate

app = typer.Typer(
    help="Studies into one manifest: import, simulate, show, check, split, download.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Manifest = Annotated[Path, typer.Argument(help="A manifest (Parquet).")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
_Split = Annotated[str, typer.Option(help="Percent of the patients in train/validate/test.")]
_Workers = Annotated[int, typer.Option(help="Processes that read images; 0 = one per core.")]
_Seed = Annotated[int, typer.Option(help="Seed of the split; the same seed gives the same split anywhere.")]


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="openi, table, ...; `radalign data sources` lists them.")],
    folder: Annotated[Path, typer.Argument(help="The data set's folder as distributed, or a table.")],
    out: Annotated[Path, typer.Option(help="Where the manifest goes.")] = Path("manifest.parquet"),
    split: Annotated[str, typer.Option(help="auto, none, or shares such as 70/10/20.")] = "auto",
    seed: _Seed = 0,
    reports: Annotated[str, typer.Option(help="auto, need or keep: what becomes of empty reports.")] = "auto",
    positions: Annotated[str, typer.Option(help="auto, guess or keep: views not recorded.")] = "auto",
    check: Annotated[
        str, typer.Option(help="auto, decode, exists or none: how images are checked.")
    ] = "auto",
    quality: Annotated[
        str, typer.Option(help="keep, note or drop: blurred, overexposed, turned ... images.")
    ] = "keep",
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if elsewhere.")] = None,
    report_files: Annotated[
        Path | None, typer.Option(help="Folder or zip of the reports, if elsewhere.")
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="For a table: role=COLUMN, repeatable.")] = None,
    labels: Annotated[
        str,
        typer.Option(
            help="mimic: chexpert, negbio, none; chexpert_plus: impression, report, findings, none."
        ),
    ] = "",
    part: Annotated[str, typer.Option(help="rsna: train, test, all; dicom_folder: any (modality).")] = "",
    workers: _Workers = 0,
    as_json: _Json = False,
) -> None:
    """Read a data set from its distributor's files into one manifest, and say what was left out and why."""
    import json

    from radalign.cli.progress import progress_bar
    from radalign.data.duplicates import LeakError
    from radalign.data.importing import (
        check_out,
        import_source,
        parse_settings,
        write_import,
        write_leaks,
    )

    check_out(out)
    settings = parse_settings(
        split,
        seed,
        reports,
        positions,
        check,
        quality,
        workers,
        images,
        report_files,
        column or [],
        labels,
        part,
    )
    try:
        manifest, flow = import_source(source, folder, settings, progress_bar(as_json))
    except LeakError as error:
        typer.echo(f"All pairs are in {write_leaks(error, out)}.", err=True)
        raise
    page = write_import(manifest, flow, out)
    typer.echo(json.dumps(flow.to_dict()) if as_json else f"{flow.to_markdown()}\nWrote {out} and {page}.")


@app.command()
def sources(as_json: _Json = False) -> None:
    """List the data sets that can be imported, and what each folder must hold."""
    import json

    from radalign.data.sources import SOURCES, find_source

    found = [find_source(name) for name in SOURCES]
    if as_json:
        typer.echo(json.dumps({s.name: {"title": s.title, "layout": s.layout} for s in found}))
    else:
        typer.echo("\n".join(f"{s.name:<14}{s.title}\n{'':<14}{s.layout}" for s in found))


@app.command()
def show(
    manifest: _Manifest,
    sheet: Annotated[
        Path | None, typer.Option(help="The contact sheet; default: beside the manifest.")
    ] = None,
    studies: Annotated[int, typer.Option(help="Studies on the contact sheet; 0 = no sheet.")] = 8,
    part: Annotated[str | None, typer.Option("--split", help="Only train, validate, test, or none.")] = None,
    as_json: _Json = False,
) -> None:
    """Say what a manifest holds, and draw a contact sheet of some of its studies."""
    import json

    from radalign.data.summary import choose_split, summarise, summary_text, write_sheet
    from radalign.study import Manifest

    held = choose_split(Manifest.read(manifest), part)
    summary = summarise(held)
    typer.echo(json.dumps(summary) if as_json else summary_text(summary))
    if studies and len(held):
        sheet = sheet or manifest.with_name(manifest.name + ".sheet.png")
        write_sheet(held, sheet, studies)
        typer.echo(f"Wrote {sheet}.", err=True)


@app.command()
def split(
    manifest: _Manifest,
    shares: _Split = "70/10/20",
    seed: _Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Where the result goes; default: the same file.")] = None,
    compare: Annotated[
        bool, typer.Option(help="Look at every image for copies, and keep patients with copies together.")
    ] = True,
    workers: _Workers = 0,
    as_json: _Json = False,
) -> None:
    """Split a manifest by patient; a patient, or a copied image, is never in two parts."""
    import json
    import os

    from radalign.cli.progress import progress_bar
    from radalign.data.duplicates import split_manifest
    from radalign.data.split import parse_shares
    from radalign.data.summary import splits_text, summarise
    from radalign.study import Manifest

    done, found = split_manifest(
        Manifest.read(manifest),
        parse_shares(shares),
        seed,
        compare,
        workers or os.cpu_count() or 1,
        progress_bar(as_json),
    )
    done.write(out or manifest)
    if found is None:
        typer.echo("Images were not compared, so a copy may be in two splits; see data copies.", err=True)
    elif found.not_compared:
        typer.echo(found.not_compared, err=True)
    text = json.dumps(summarise(done)["splits"]) if as_json else splits_text(done)
    typer.echo(text)
    typer.echo(f"Wrote {out or manifest}.", err=True)


@app.command()
def copies(
    manifest: _Manifest,
    bits: Annotated[int, typer.Option(help="Largest difference of 256 bits.")] = 32,
    workers: _Workers = 0,
    as_json: _Json = False,
) -> None:
    """List images that are copies of each other; copies in two splits, or unread images, are an error."""
    import json
    import os

    from radalign.cli.progress import progress_bar
    from radalign.data.duplicates import manifest_copies
    from radalign.study import Manifest

    held = Manifest.read(manifest)
    found = manifest_copies(held, bits, workers or os.cpu_count() or 1, progress_bar(as_json))
    typer.echo(json.dumps(found.to_dict()) if as_json else found.to_text())
    found.refuse()


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="chexpert-5x200, chexpert-8x200, rsna or mscxr-t.")],
    folder: Annotated[Path, typer.Argument(help="The data set's folder, or ConVIRT's own 8x200 lists.")],
    out: Annotated[Path, typer.Option(help="Folder of the lists.")] = Path("benchmark"),
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    extra: Annotated[
        Path | None, typer.Option(help="5x200: the table of CheXpert Plus. MS-CXR-T: MIMIC-CXR-JPG's folder.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Build the lists of a benchmark by its rule, and print the SHA-256 of each list."""
    import json

    from radalign.data import benchmark_sets

    built = benchmark_sets.build(name, folder, out, seed, extra)
    typer.echo(json.dumps(built.to_dict()) if as_json else built.to_text())


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="openi; other sets need an agreement with their publisher.")],
    folder: Annotated[Path, typer.Argument(help="Where the archives and their content go.")],
    base: Annotated[str, typer.Option(help="Address of a mirror with the same files.")] = "",
) -> None:
    """Fetch a public data set; an interrupted download goes on where it stopped."""
    from radalign.cli.progress import bytes_bar
    from radalign.data.download import PUBLIC, download

    if name in PUBLIC:
        typer.echo(PUBLIC[name].terms, err=True)
    with bytes_bar() as report:
        for path in download(name, folder, base, report):
            typer.echo(f"{path} and its content are there.")
    typer.echo(f"Next: radalign data import {name} {folder}", err=True)


app.command("check")(check)
app.command("mask")(mask)
app.command("simulate")(simulate)
