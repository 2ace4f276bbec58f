"""`radalign evaluate`: numbers with intervals, against chance and against other systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[str, typer.Argument(help="Folder of a trained system or of its run.")],
    data: Annotated[Path, typer.Option(help="The manifest (Parquet).")],
    task: Annotated[str, typer.Option(help="retrieval or zero-shot.")] = "retrieval",
    split: Annotated[str, typer.Option(help="The manifest's split; `all` takes every study.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; default: in the run's folder.")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="`unadapted`, or the folder of another run; repeatable.")
    ] = None,
    prompts: Annotated[
        str, typer.Option(help="Zero-shot: a packaged prompt set, or a TOML file.")
    ] = "chest-findings",
    pooling: Annotated[
        str, typer.Option(help="Zero-shot: how prompts are pooled; default: the set's way.")
    ] = "",
    label: Annotated[list[str] | None, typer.Option(help="Retrieval: a label of P@k; repeatable.")] = None,
    exclude_own_report: Annotated[
        bool, typer.Option("--exclude-own-report", help="Retrieval: hide a study's own report from P@k.")
    ] = False,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples of patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Evaluate a trained system and write result.json, table.md and plot.png."""
    from radalign.cli.progress import progress_bar
    from radalign.evaluate.run import Plan, evaluate_run, write_result
    from radalign.evaluate.tables import markdown

    plan = Plan(
        run, data, task, "" if split == "all" else split, tuple(baseline or ()), prompts, pooling,
        tuple(label or ()), exclude_own_report, resamples, seed, device,
    )  # fmt: skip
    result = evaluate_run(plan, progress_bar(as_json))
    folder = out or Path(run) / "evaluation" / f"{task}-{split}"
    files = write_result(result, folder)
    typer.echo(result.to_json() if as_json else markdown(result, details=False))
    typer.echo(f"Wrote {', '.join(str(f) for f in files.values())}.", err=True)
