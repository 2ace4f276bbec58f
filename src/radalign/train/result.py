"""The result of a run: what `run.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from radalign.data.provenance import provenance
from radalign.train.record import write_json

STOPS = ("", "time", "interrupt")
"""Why a step may be the last one; the place is the code that processes exchange."""

SENTENCES = {
    "epochs": "all epochs are done",
    "patience": "no better validation for too long",
    "time": "the time is up",
    "collapse": "the embeddings collapsed",
    "interrupt": "it was asked to stop",
    "closed form": "nothing trains by gradient",
}


@dataclass(frozen=True)
class RunResult:
    """What came out of a run.

    Args:
        folder: The run's folder.
        stopped_by: Why it ended: one of `SENTENCES`.
        steps: Optimiser steps taken.
        epochs: Epochs begun and finished, with a fraction.
        select: The number that picks the best checkpoint.
        best: Its best value, None if there was no validation.
        best_epoch: When it was reached.
        best_numbers: All numbers of that validation.
        last_numbers: All numbers of the last one.
        wall_s: Wall time, interruptions left out.
        peak_memory_bytes: Of the main process since it last started.
        details: What else makes the result repeatable: recipe, data, versions, device.
    """

    folder: Path
    stopped_by: str
    steps: int
    epochs: float
    select: str
    best: float | None
    best_epoch: int
    best_numbers: Mapping[str, float]
    last_numbers: Mapping[str, float]
    wall_s: float
    peak_memory_bytes: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether the run came to an end of its own (a run that was asked to stop did not)."""
        return self.stopped_by != "interrupt"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"finished": self.is_finished, **asdict(self), "folder": str(self.folder)}

    def sentence(self) -> str:
        """One line for a person."""
        best = (
            "" if self.best is None else f"; best {self.select} {self.best:.4f} after epoch {self.best_epoch}"
        )
        steps = f"{self.steps} step" + "s" * (self.steps != 1)
        length = f"{self.epochs:.2f} epochs ({steps}, {self.wall_s / 60:.1f} min)"
        why = SENTENCES[self.stopped_by]
        return f"Stopped after {length} because {why}{best}. The system is in {self.folder}."


def write_result(result: RunResult) -> None:
    """Write `run.json`, without the folder's own path: a run may move."""
    row = result.to_dict()
    row.pop("folder")
    write_json(result.folder / "run.json", row)


def run_details(system: Any, manifest_sha256: str, data: Any, processes: Any) -> dict[str, Any]:
    """Recipe, data, exclusions, parameters, device, versions."""
    report = system.trainable_report() if hasattr(system, "trainable_report") else {}
    return {
        "recipe": system.recipe.model_dump(mode="json"),
        "parameters": report,
        "backbones": dict(getattr(system, "backbones", {})),
        "manifest_sha256": manifest_sha256,
        "data_sha256": data.sha256,
        "studies": {"train": len(data.train.dataset), "validate": len(data.validation.dataset)},
        "excluded": {why: len(ids) for why, ids in data.excluded.items()},
        "unreadable_images": len(data.unreadable),
        "validates_on_training_studies": data.probes_training,
        "seeds": {"run": system.recipe.train.seed},
        "device": str(processes.device),
        "precision": processes.precision,
        "processes": processes.count,
        **provenance(),
    }
