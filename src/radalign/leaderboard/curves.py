"""Learning curves of the arms, from the logs of their runs."""

from __future__ import annotations

from collections.abc import Sequence

from radalign.leaderboard.blocks import Picture, Side
from radalign.leaderboard.scores import Judged
from radalign.leaderboard.svg import Points, line_chart, smooth
from radalign.train.record import Line, read_log


def curve_blocks(cells: Sequence[Judged]) -> list[Side]:
    """Per arm that trains: its loss, and the number that picks the best weights, one line per seed."""
    logs = {id(j): read_log(j.cell.run / "log.jsonl") for j in cells if (j.cell.run / "log.jsonl").is_file()}
    limits = _limits([points for log in logs.values() for points in [_checks(log, "r10")] if points])
    blocks = []
    for arm in dict.fromkeys(j.cell.arm.name for j in cells):
        own = [j for j in cells if j.cell.arm.name == arm and id(j) in logs]
        found = {j.cell.seed: logs[id(j)] for j in own}
        if any(_losses(log) for log in found.values()):
            blocks.append(_arm(arm, found, limits))
    return [Side(blocks)] if blocks else []


def _arm(arm: str, logs: dict[int, list[Line]], limits: tuple[float, float] | None) -> Picture:
    seeds = ", ".join(map(str, logs))
    loss = line_chart({f"seed {s}": smooth(_losses(log)) for s, log in logs.items()}, f"{arm}: training loss")
    held = {f"seed {s}": points for s, log in logs.items() if (points := _checks(log, "r10"))}
    check = line_chart(held, f"{arm}: R@10 of the validation studies", limits)
    words = f"{arm}: training loss (above){', R@10 on validation (below)' if check else ''}; seeds {seeds}."
    return Picture(loss + check, words)


def _losses(log: Sequence[Line]) -> Points:
    return [(line["step"], line["total"]) for line in log if line["kind"] == "step" and "total" in line]


def _checks(log: Sequence[Line], name: str) -> Points:
    return [(line["step"], line[name]) for line in log if line["kind"] == "validation" and name in line]


def _limits(curves: Sequence[Points]) -> tuple[float, float] | None:
    """The same scale for every arm, so that they can be compared by eye."""
    values = [y for points in curves for _, y in points]
    return (0.0, max(*values, 1e-9)) if values else None
