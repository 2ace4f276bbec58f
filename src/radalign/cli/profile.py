"""`radalign profile`: what a system costs in parameters, multiplications, time and memory."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Precision(StrEnum):
    """Number formats of the timed calls."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


def profile(
    system: Annotated[str, typer.Argument(help="A recipe, or the folder of a run or of a trained system.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A recipe's setting, `section.key=value`; repeatable.")
    ] = None,
    views: Annotated[
        int, typer.Option(min=0, max=4, help="Studies of 1 to so many views; 0 = all slots.")
    ] = 0,
    tokens: Annotated[int, typer.Option(min=0, help="Length of a text; 0 = the recipe's limit.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Studies or texts per call and per training step.")] = 8,
    precision: Annotated[Precision, typer.Option(help="Of the timed calls.")] = Precision.auto,
    device: Annotated[str, typer.Option(help="`auto`, or `cpu` to leave accelerators alone.")] = "auto",
    calls: Annotated[int, typer.Option(min=1, help="Timed calls of each kind.")] = 20,
    no_step: Annotated[bool, typer.Option("--no-step", help="Leave the training step out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script.")] = False,
) -> None:
    """Count parameters and multiplications, check the count against torch's, time calls, measure memory.

    Examples:  radalign profile clinvla --batch 32

    radalign profile runs/x --views 1 --precision fp32 --json
    """
    import json

    from radalign.train.profile.report import Ask, open_system, to_table
    from radalign.train.profile.report import profile as measure

    ask = Ask(views, tokens, batch, precision.value, device, calls, not no_step)
    found = measure(open_system(system, settings or ()), ask)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    from rich.console import Console

    Console().print(to_table(found))
