"""`radalign report`: a report cut, cleaned, read for findings; labels for a manifest; the reader's score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Reports: cut into sections, cleaned, read for findings.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_File = Annotated[Path, typer.Argument(help="A text file with one report, or - for standard input.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]


def _read(file: Path) -> str:
    if str(file) != "-" and not file.is_file():
        raise ValueError(
            f"There is no file {file}; give a text file with one report, or - for standard input."
        )
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text ({error.reason}); convert it, as with iconv.") from error
    if not text.strip():
        raise ValueError(f"There is no text in {file}; give one report.")
    return text


@app.command()
def sections(
    file: _File,
    addenda: Annotated[str, typer.Option(help="append (behind the impression) or drop.")] = "append",
    as_json: _Json = False,
) -> None:
    """Print a report's findings, impression, indication and comparison."""
    import json
    from dataclasses import asdict

    from radalign.reports.sections import parse_report

    report = asdict(parse_report(_read(file), addenda))
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, text in report.items():
        if text:
            typer.echo(f"{name}: {text}")


@app.command()
def clean(
    file: _File,
    abbreviations: Annotated[bool, typer.Option(help="Write abbreviations out.")] = True,
    measurements: Annotated[str, typer.Option(help="even, mm, cm or keep.")] = "even",
    areas: Annotated[bool, typer.Option("--areas", help="2 x 3 cm becomes 6 cm2; loses the shape.")] = False,
    hedges: Annotated[str, typer.Option(help="keep, mark or remove (warns).")] = "keep",
    holes: Annotated[str, typer.Option(help="XXXX and ___: drop, mark or keep.")] = "drop",
    lower: Annotated[bool, typer.Option("--lower", help="Write everything in lower case.")] = False,
    terms: Annotated[
        Path | None, typer.Option(help="Your own table of abbreviations instead of the packaged terms.toml.")
    ] = None,
    umls: Annotated[
        Path | None, typer.Option(help="Your own MRCONSO.RRF, for abbreviations beyond the table's.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Print a report's findings and impression, cleaned."""
    import json

    from radalign.reports.clean import CleanOptions, clean_report
    from radalign.reports.sections import parse_report
    from radalign.reports.terms import default_terms, read_terms
    from radalign.reports.umls import read_umls

    options = CleanOptions(abbreviations, measurements, areas, hedges, holes, True, lower)
    words = read_terms(terms) if terms else default_terms()
    words = words.with_plain(read_umls(umls)) if umls else words
    cleaned = clean_report(parse_report(_read(file)), options, words)
    said = {"findings": cleaned.findings, "impression": cleaned.impression, "body": cleaned.body}
    typer.echo(json.dumps(said) if as_json else cleaned.body)


@app.command()
def assertions(file: _File, as_json: _Json = False) -> None:
    """Print each finding as the report asserts it: present, absent or unsure; new, better, worse or same."""
    import json

    from radalign.reports.assertions import assert_report
    from radalign.reports.sections import parse_report

    report = parse_report(_read(file))
    found = assert_report(report)
    if not report.body.strip():
        typer.echo(f"There are no findings and no impression in {file}; nothing was read.", err=True)
    elif not found:
        typer.echo(f"No finding is asserted in {file}.", err=True)
    if as_json:
        typer.echo(json.dumps([a._asdict() for a in found.values()]))
        return
    for finding, status, change in found.values():
        typer.echo(f"{status:8} {finding}{f' ({change})' if change else ''}")


@app.command()
def label(
    manifest: Annotated[Path, typer.Argument(help="A manifest (Parquet) whose studies have reports.")],
    out: Annotated[Path, typer.Option(help="Where the labelled manifest goes.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace labels the source gave.")] = False,
    as_json: _Json = False,
) -> None:
    """Give every study the labels that its report asserts."""
    import json

    from radalign.cli.progress import progress_bar
    from radalign.reports.labelling import count_labels, label_studies
    from radalign.study import Manifest

    labelled = label_studies(Manifest.read(manifest), overwrite, progress_bar(as_json))
    labelled.write(out)
    counts = count_labels(labelled)
    if as_json:
        typer.echo(json.dumps(counts))
        return
    for name, by_value in counts.items():
        typer.echo(f"{name:28} {by_value[1]:6} present {by_value[0]:6} absent {by_value[-1]:6} unsure")


@app.command()
def score(
    sets: Annotated[
        list[str] | None, typer.Argument(help="development, held_out, or files of your own in the same form.")
    ] = None,
    misses: Annotated[
        bool,
        typer.Option(
            "--misses", help="List every sentence not wholly right; of held_out only when it is named."
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Print precision, recall and F1 of the assertions against hand-labelled sentences."""
    import json

    from radalign.reports.scoring import HALVES, agreement, read_labelled
    from radalign.reports.tables import score_record, score_table

    results = {name: agreement(read_labelled(name)) for name in sets or HALVES}
    typer.echo(json.dumps(score_record(results)) if as_json else score_table(results))
    for name, result in results.items() if misses and not as_json else ():
        # A held-out half that is read while rules are written holds nothing out.
        for sentence, missed, invented in result.misses if sets or name == "development" else ():
            typer.echo(
                f"{name}: {sentence}\n  missed {[*map(tuple, missed)]} invented {[*map(tuple, invented)]}"
            )
