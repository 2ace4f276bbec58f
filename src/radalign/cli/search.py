"""`radalign search`: ask an index by words, by image or by study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from radalign.search.query import Answer

_Texts = list[str] | None


def search(
    folder: Annotated[Path, typer.Argument(metavar="INDEX", help="The index's folder.")],
    text: Annotated[str, typer.Argument(help='Words, for example "small left effusion".')] = "",
    image: Annotated[Path | None, typer.Option(help="Ask with a frontal image (PNG, JPEG, DICOM).")] = None,
    lateral: Annotated[Path | None, typer.Option(help="Its lateral image, or a lateral alone.")] = None,
    study: Annotated[str, typer.Option(help="Ask with a study of the index; it never finds itself.")] = "",
    k: Annotated[int, typer.Option("-k", help="How many studies to show.")] = 8,
    look_in: Annotated[
        str, typer.Option("--in", help="images, reports, or all (fused with words).")
    ] = "images",
    view: Annotated[_Texts, typer.Option(help="Only with this view (PA, AP, LL, FRONTAL, ...).")] = None,
    label: Annotated[_Texts, typer.Option(help="Only with this label present; repeatable.")] = None,
    not_label: Annotated[_Texts, typer.Option(help="Only without this label present or unsure.")] = None,
    sex: Annotated[_Texts, typer.Option(help="Only this sex.")] = None,
    min_age: Annotated[float | None, typer.Option(help="Only this age in years or older.")] = None,
    max_age: Annotated[float | None, typer.Option(help="Only this age in years or younger.")] = None,
    source: Annotated[_Texts, typer.Option(help="Only from this source.")] = None,
    split: Annotated[_Texts, typer.Option(help="Only of this split.")] = None,
    other_patients: Annotated[
        bool, typer.Option("--other-patients", help="With --study: not its own patient.")
    ] = False,
    system: Annotated[Path | None, typer.Option(help="The system's folder, if it moved.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images, if they moved.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the hits as a contact sheet (PNG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Find studies by words, by image or by study.

    Examples:  radalign search idx "small left effusion" --label Effusion --sheet hits.png

    radalign search idx --study CXR12 --in reports
    """
    import json

    from radalign.search.filters import Filter
    from radalign.search.index import Index
    from radalign.search.query import Query, ask, load_system, write_sheet

    names = (view, label, not_label, sex)
    views, labels, not_labels, sexes = (tuple(values or ()) for values in names)
    where = Filter(
        views, labels, not_labels, sexes, min_age, max_age, tuple(source or ()), tuple(split or ())
    )
    query, index = Query(text, image, lateral, study), Index.open(folder)
    answer = ask(index, query, lambda: load_system(index, system), k, where, look_in, other_patients)
    for warning in answer.warnings:
        typer.echo(f"Note: {warning}", err=True)
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False))
    else:
        _show(answer)
    if sheet is not None and not answer.hits:
        # Not an error: that nothing was found is the answer, and it has been given.
        typer.echo(f"No hit to draw, so {sheet} was not written.", err=True)
    elif sheet is not None:
        write_sheet(answer, sheet, images)
        typer.echo(f"Wrote {sheet}.", err=True)


def _show(answer: Answer) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from radalign.search.query import snippet

    title = f"{answer.query} in {answer.look_in} of {answer.studies} studies"
    table = Table(title=escape(title), title_justify="left", show_lines=True)
    for name in ("rank", "score", "above"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("study", overflow="fold")
    table.add_column("labels, report", ratio=1)
    for hit in answer.hits:
        labels = f"[bold]{escape('; '.join(hit.row.present))}[/]\n" if hit.row.present else ""
        text = labels + escape(snippet(hit.row.report, answer.query.text))
        percentile = f"{hit.percentile:.1f} %"
        table.add_row(str(hit.rank), f"{hit.score:.3f}", percentile, escape(hit.study_id), text)
    console = Console()
    console.print(table)
    console.print(answer.advice, style="dim", highlight=False)
