"""What an arm costs: trainable share, operations, time, memory, latency; means over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from radalign.leaderboard.blocks import Cell, Grid
from radalign.leaderboard.scores import Judged

Fact = Callable[[Judged], float | None]


def cost_table(cells: Sequence[Judged]) -> Grid:
    """One row per arm; a column that nobody has is left out."""
    columns = {name: fact for name, fact in FACTS.items() if any(fact(j) is not None for j in cells)}
    header = ["system", "seeds", "trained", *columns, "ended because"]
    rows = []
    for arm in dict.fromkeys(j.cell.arm.name for j in cells):
        own = [j for j in cells if j.cell.arm.name == arm]
        ends = ", ".join(dict.fromkeys(str(j.run.get("stopped_by", "")) for j in own))
        numbers = [_number(name, [fact(j) for j in own]) for name, fact in columns.items()]
        seeds = ", ".join(str(seed) for seed in sorted(j.cell.seed for j in own))
        rows.append([Cell(arm), Cell(seeds), _share(own[0]), *numbers, Cell(ends)])
    return Grid(header, rows, _caption(cells))


def _share(judged: Judged) -> Cell:
    total = _total(judged)
    if not total or not total.get("all"):
        return Cell("–")
    share = 100 * total["trainable"] / total["all"]
    return Cell(f"{share:.2f} %", f"{total['trainable'] / 1e6:.2f} M")


def _total(judged: Judged) -> Mapping[str, int]:
    parameters: Mapping[str, Any] = judged.run.get("details", {}).get("parameters", {})
    found: Mapping[str, int] = parameters.get("total", {})
    return found


def _number(name: str, values: Sequence[float | None]) -> Cell:
    known = [v for v in values if v is not None]
    if not known:
        return Cell("–")
    mean = sum(known) / len(known)
    return Cell(f"{mean:.3g}" if abs(mean) < 1000 else f"{mean:,.0f}")


def _run(name: str, scale: float = 1.0, join: Callable[[list[float]], float] = sum) -> Fact:
    """A number of the run; of both runs, where one made the vision encoder."""

    def fact(judged: Judged) -> float | None:
        values = [float(v) for run in (judged.run, judged.pretrained) if (v := run.get(name)) is not None]
        return join(values) / scale if name in judged.run and values else None

    return fact


def _latency(name: str) -> Fact:
    def fact(judged: Judged) -> float | None:
        value = judged.result.made_by.get("latency", {}).get(name)
        return None if value is None else float(value)

    return fact


def _flops(name: str) -> Fact:
    def fact(judged: Judged) -> float | None:
        value = judged.result.made_by.get("flops", {}).get(name)
        return None if value is None else float(value) / 1e9

    return fact


FACTS: dict[str, Fact] = {
    "GFLOP per step": _flops("step"),
    "GFLOP per study": _flops("study"),
    "minutes": _run("wall_s", 60),
    "steps": _run("steps"),
    "epochs": _run("epochs"),
    "peak memory, GiB": _run("peak_memory_bytes", 2**30, max),
    "ms per study": _latency("study_ms"),
    "ms per report": _latency("report_ms"),
    "studies/s from file": _latency("studies_per_s"),
}


def _caption(cells: Sequence[Judged]) -> str:
    details = [j.run.get("details", {}) for j in cells]
    machines = dict.fromkeys(_machine(d) for d in details if d)
    both = (
        "Minutes, steps and epochs of an arm whose vision encoder was trained first are of both trainings, "
        "its trained share and operations of the second. "
        if any(j.pretrained for j in cells)
        else ""
    )
    return (
        "Means over the seeds. Minutes and memory are of the training (warm start and validations included); "
        "latency is one study at a time, images read before, or one report from its words, median of nine. "
        f"{_remembered_latency(cells)}{both}Trained on {'; '.join(machines)}."
    )


def _remembered_latency(cells: Sequence[Judged]) -> str:
    """What is wrong with the times of cells that were judged before every pass was computed."""
    times = [(j.cell.label, j.result.made_by.get("latency", {})) for j in cells]
    older = [label for label, found in times if found and "passes" not in found]
    if not older:
        return ""
    who = "of all" if len(older) == len(times) else f"of {len(older)} of {len(times)}"
    return (
        f"Latencies {who} cells are by an older version: a report's tokens were ready, and CLIP-Adapter and "
        "Tip-Adapter answered from memory. "
    )


def _machine(details: Mapping[str, Any]) -> str:
    """What a run was trained on, as far as it tells: runs of before say nothing of threads.

    >>> _machine({"device": "cpu", "processor": "AMD EPYC", "threads": 1, "precision": "bf16"})
    'cpu (AMD EPYC, 1 thread, bf16)'
    """
    threads = details.get("threads") if details.get("device") == "cpu" else None
    counted = f"{threads} thread{'s' * (threads != 1)}" if threads else ""
    known = filter(None, (details.get("processor", ""), counted, details.get("precision", "")))
    return f"{details.get('device', '')} ({', '.join(known)})"
