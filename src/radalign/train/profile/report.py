"""One system's profile: parameters, counts, latencies, put together; and as a table for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Group, RenderableType
from rich.table import Table

from radalign.data.provenance import processor_name
from radalign.systems.base import System, create, load
from radalign.systems.recipe import RecipeError
from radalign.train.device import Processes
from radalign.train.profile.counting import Count, count_images, count_step, count_text
from radalign.train.profile.inputs import give_classes
from radalign.train.profile.measuring import Latency, measure_images, measure_step, measure_texts


@dataclass(frozen=True)
class Ask:
    """What to profile.

    Args:
        views: Profile studies of 1 to so many views; 0 = as many as the system has slots.
        tokens: Length of a text; 0 = the recipe's limit.
        batch: Studies or texts per timed call and per training step.
        precision: Of the timed calls; `auto` is bf16 where the hardware has it.
        device: `auto` or `cpu`.
        calls: Timed calls of each kind.
        step: Whether to count and time a training step.
    """

    views: int = 0
    tokens: int = 0
    batch: int = 8
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"
    calls: int = 20
    step: bool = True

    def __post_init__(self) -> None:
        if self.batch < 1 or self.calls < 1:
            raise RecipeError(
                "A profile needs at least one study per batch and one call; give larger numbers."
            )


@dataclass(frozen=True)
class Profile:
    """What a system costs.

    Attributes:
        name: The recipe's name.
        parameters: {part: {"all": n, "trainable": m}} with a row `total`.
        counts: MACs and FLOPs per study, text and step.
        latencies: Milliseconds and memory of timed calls.
        device: Where it ran: the processor's or accelerator's name, and the number of threads.
        precision: Of the timed calls.
        notes: Sentences on what could not be measured, and why.
    """

    name: str
    parameters: dict[str, dict[str, int]]
    counts: list[Count]
    latencies: list[Latency]
    device: str
    precision: str
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"counts": [count.to_dict() for count in self.counts]}


def open_system(name: str, overrides: Sequence[str] = ()) -> System:
    """A trained system by its folder, or an untrained one by its recipe.

    Raises:
        RecipeError: Settings are given for a trained system, which has its own.
    """
    if not (Path(name).is_dir() or name.startswith("hf://")):
        return create(name, overrides)
    if overrides:
        raise RecipeError(f"{name} is trained and has its settings; leave --set away, or profile its recipe.")
    return load(name)


def profile(system: System, ask: Ask) -> Profile:
    """Measure a system; its weights may move by the training steps that are timed."""
    views = ask.views or min(4, len(system.recipe.data.slots))
    tokens = ask.tokens or min(system.recipe.backbones.max_tokens, system.text.max_tokens)
    train = system.recipe.train.model_copy(update={"precision": ask.precision, "track": "none"})
    processes = Processes(train, ask.device, Path())
    classes = give_classes(system)
    system.to(processes.device)
    found = Profile(
        system.recipe.name,
        system.trainable_report(),
        [],
        [],
        f"{_device_name(processes.device)}, {torch.get_num_threads()} threads",
        processes.precision,
        [classes] if classes else [],
    )
    batch, calls = ask.batch, ask.calls
    _keep(found, "images", lambda: count_images(system, views))
    _keep(found, "texts", lambda: [count_text(system, tokens)])
    _keep(found, "images", lambda: [measure_images(system, processes, batch, views, calls)])
    _keep(found, "texts", lambda: [measure_texts(system, processes, batch, tokens, calls)])
    if ask.step:
        _keep(found, "training step", lambda: _step(system, processes, ask, views, tokens))
    return found


def _step(
    system: System, processes: Processes, ask: Ask, views: int, tokens: int
) -> Iterator[Count | Latency]:
    count = count_step(system, ask.batch, views, tokens)
    if count is None:
        raise RecipeError("nothing here trains by gradient.")
    yield count
    yield measure_step(system, processes, ask.batch, views, tokens, ask.calls)


def _keep(found: Profile, what: str, measure: Callable[[], Iterable[Count | Latency]]) -> None:
    """Add what was measured; what a system does not do becomes a note."""
    try:
        for part in measure():
            (found.counts if isinstance(part, Count) else found.latencies).append(part)  # type: ignore[arg-type]
    except ValueError as error:
        note = f"No {what}: {error}"
        found.notes.extend([note] if note not in found.notes else [])


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name() or str(device)


def to_table(found: Profile) -> RenderableType:
    """Three tables and the notes."""
    parameters = _table("Parameters", "part", "all", "trainable", "share")
    for part, row in found.parameters.items():
        share = row["trainable"] / row["all"] if row["all"] else 0.0
        parameters.add_row(part, f"{row['all']:,}", f"{row['trainable']:,}", f"{share:.2%}")
    counts = _table(
        "Per study or text", "case", "views", "tokens", "GMAC", "GFLOP", "torch's GFLOP", "difference"
    )
    for c in found.counts:
        counts.add_row(
            c.case, str(c.views or ""), str(c.tokens or ""), _giga(c.macs), _giga(c.flops),
            _giga(c.torch_flops), f"{c.difference:+.2%}",
        )  # fmt: skip
    title = f"Per call, {found.precision}, {found.device}"
    calls = _table(title, "case", "batch", "p50 ms", "p95 ms", "calls", "peak MiB", "above MiB")
    for t in found.latencies:
        calls.add_row(
            t.case, str(t.batch), f"{t.p50_ms:.1f}", f"{t.p95_ms:.1f}", str(t.calls),
            f"{t.peak_bytes / 2**20:,.0f}", f"{t.above_bytes / 2**20:,.0f}",
        )  # fmt: skip
    return Group(f"{found.name}", parameters, counts, calls, *found.notes)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _giga(number: int) -> str:
    return f"{number / 1e9:,.3g}" if number < 1e9 else f"{number / 1e9:,.2f}"
