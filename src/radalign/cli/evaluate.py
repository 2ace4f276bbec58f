"""`radalign evaluate`: numbers with intervals, against chance and against other systems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[str, typer.Argument(help="Folder of a trained system or of its run.")] = "",
    data: Annotated[
        Path | None, typer.Option(help="The manifest (Parquet), or the folder that a protocol asks for.")
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            help="retrieval, zero-shot, space, sensitivity (simulated studies), report-edits, probe, "
            "fine-tune, or a protocol: chexpert-8x200, chexpert-5x200, rsna, nih, ms-cxr-t, ms-cxr, openi, "
            "report-to-report, few-shot, base-to-novel."
        ),
    ] = "retrieval",
    mode: Annotated[str, typer.Option(help="Of a protocol: paper (as published) or strict.")] = "strict",
    split: Annotated[
        str | None, typer.Option(help="The manifest's split, default test; `all` takes every study.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; default: in the run's folder.")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="`unadapted`, or the folder of another run; repeatable.")
    ] = None,
    prompts: Annotated[
        str, typer.Option(help="Zero-shot: a packaged prompt set, or a TOML file; default: the task's own.")
    ] = "",
    pooling: Annotated[
        str, typer.Option(help="Zero-shot: how prompts are pooled; default: the set's way.")
    ] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="Retrieval: a label of P@k; probe: one to learn. Repeatable.")
    ] = None,
    exclude_own_report: Annotated[
        bool, typer.Option("--exclude-own-report", help="Retrieval: hide a study's own report from P@k.")
    ] = False,
    fine_tune: Annotated[
        bool,
        typer.Option("--fine-tune", help="A protocol with labels: also train copies of the systems (slow)."),
    ] = False,
    own_classes: Annotated[
        bool,
        typer.Option(
            "--own-classes", help="Zero-shot: few-shot classifiers and MedKLIP score by their own classes."
        ),
    ] = False,
    similarity: Annotated[
        str, typer.Option(help="Of images and texts: global, local (patches and words) or both.")
    ] = "global",
    subgroups: Annotated[
        list[str] | None,
        typer.Option(
            help="Retrieval, zero-shot, openi: also by sex, age, view, device (default: all), or none; "
            "repeatable."
        ),
    ] = None,
    probes: Annotated[
        int | None, typer.Option(help="Sensitivity: pairs of images per factor, default 60.")
    ] = None,
    allow_transductive: Annotated[
        bool,
        typer.Option(
            "--allow-transductive", help="NEARL-CLIP trained on batches: let a test batch be context."
        ),
    ] = False,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples of patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    check: Annotated[
        Path | None,
        typer.Option(
            help="A result.json, also of a leaderboard's cell: evaluate again as it says and compare; exit 1 "
            "if it differs."
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="With --check: the largest difference that counts as none.")
    ] = 1e-4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Evaluate a trained system and write result.json, table.md and plot.png."""
    from radalign.cli.progress import progress_bar
    from radalign.evaluate.plan import make_plan
    from radalign.evaluate.run import evaluate_run, write_result
    from radalign.evaluate.tables import markdown

    if check is not None:
        _check(check, run, data, tolerance, as_json)
        return
    plan = make_plan(
        run=run, data=data, task=task, mode=mode, split=split, baselines=baseline, prompts=prompts,
        pooling=pooling, labels=label, exclude_own_report=exclude_own_report, similarity=similarity,
        fine_tune=fine_tune, own_classes=own_classes, subgroups=subgroups, probes=probes,
        allow_transductive=allow_transductive, resamples=resamples, seed=seed,
        device=device,
    )  # fmt: skip
    result = evaluate_run(plan, progress_bar(as_json))
    files = write_result(result, out or plan.default_folder)
    typer.echo(result.to_json() if as_json else markdown(result, details=False))
    typer.echo(f"Wrote {', '.join(str(f) for f in files.values())}.", err=True)


def _check(path: Path, run: str, data: Path | None, tolerance: float, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from radalign.cli.progress import progress_bar
    from radalign.evaluate.check import check_result
    from radalign.leaderboard.check import check_cell, is_of_a_board

    again = check_cell if is_of_a_board(path) else check_result
    found = again(path, run, data, tolerance, progress_bar(as_json))
    typer.echo(json.dumps(asdict(found)) if as_json else found.text())
    raise typer.Exit(0 if found.repeats else 1)
