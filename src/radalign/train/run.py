"""One run: warm start or resume, epochs, validations, what is kept, and the end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from radalign.data.batches import StudyBatch
from radalign.data.provenance import peak_memory_bytes
from radalign.objectives.collapse import Verdict
from radalign.systems.start_from import Started
from radalign.train.bar import Bar
from radalign.train.card import model_card, write_card
from radalign.train.checkpoint import Place, read_resume_point, save_system, write_resume_point
from radalign.train.device import Processes
from radalign.train.folder import RESUME, remove_run
from radalign.train.interrupt import Interrupt, stoppable
from radalign.train.meter import Meter
from radalign.train.prepare import RunData
from radalign.train.record import RunLog
from radalign.train.result import STOPS, RunResult, write_result
from radalign.train.selection import beats
from radalign.train.start import TrainError, fixed_settings, grouped, need_same, with_later_settings
from radalign.train.step import Stepper
from radalign.train.validate import validate


class Run:
    """One run of the loop: `begin`, `go`, `finish`.

    Args:
        system: What trains.
        data: The loaders.
        out: The run's folder.
        processes: Device, precision and the other processes.
        bar: What a person sees.
        interrupt: Whether someone asked to stop.
    """

    def __init__(
        self, system: Any, data: RunData, out: Path, processes: Processes, bar: Bar, interrupt: Interrupt
    ) -> None:
        self.system, self.data, self.out = system, data, out
        self.processes, self.bar, self._interrupt = processes, bar, interrupt
        self.settings = system.recipe.train
        self.steps_per_epoch = math.ceil(len(data.train) / self.settings.accumulate)
        fixed = fixed_settings(system.recipe, data.usable.sha256(), processes.count, processes.precision)
        self.place = Place(fixed=fixed)
        self.collapse_sentence = ""
        self._log: RunLog | None = None
        self._began, self._earlier_s = time.perf_counter(), 0.0
        self._stepper = Stepper(system, processes, self.steps_per_epoch)

    # -- beginning ----------------------------------------

    def begin(
        self,
        details: Mapping[str, Any],
        resume: bool,
        started: Started | None = None,
        overwrite: bool = False,
    ) -> None:
        """Go back to the resume point, or warm-start unless started from a run; then open the log.

        Args:
            details: What the log's first line tells.
            resume: Go on from the resume point in the folder.
            started: What this run begins with instead of a warm start.
            overwrite: Remove the run in the folder, as late as can be: whatever may fail before a run exists
                (data, warm start, optimiser) has then succeeded.
        """
        sentences = [*self.data.sentences(), *([started.sentence()] if started and not resume else [])]
        for sentence in sentences:
            self.bar.say(sentence)
        numbers: dict[str, float] = {}
        if resume:
            self._restore()
        elif started is None:
            numbers = self._warm_start()
        if not (resume or numbers or self._stepper.names):
            raise TrainError(
                "Nothing in this system trains; its recipe must leave an adapter or head trainable."
            )
        if self.processes.is_main:
            if overwrite:
                remove_run(self.out)
            self._log = RunLog(self.out / "log.jsonl", self.place.log_bytes)
        self._write("start", resumed_at_step=self.place.step, **details)
        self.processes.begin_tracks()
        for sentence in sentences:
            self._write("message", text=sentence)
        if not resume:
            self._prepare(numbers)

    def _prepare(self, numbers: Mapping[str, float]) -> None:
        if numbers:
            self._write("warm start", numbers=numbers)
        if self.settings.validate_at_start or not self._stepper.names:
            self._validate()
        if self._stepper.names:
            self._say_what_is_left()
            self._save_point()

    def _say_what_is_left(self) -> None:
        """Tell when most of the allowed time is gone before the first step: few steps would surprise."""
        limit_s, used_s = self.settings.max_minutes * 60, self._elapsed_s()
        if limit_s and used_s > limit_s / 2:
            self._say(
                f"What comes before the first step took {used_s / 60:.2g} of the "
                f"{self.settings.max_minutes:g} minutes of train.max_minutes; give more for more steps "
                "(frozen features are kept for the next run)."
            )

    def _warm_start(self) -> dict[str, float]:
        with self.processes.autocast():
            numbers: dict[str, float] = self.system.warm_start(
                self.data.usable, stoppable(self.bar.around, self._interrupt)
            )
        return numbers

    def _restore(self) -> None:
        place, tensors = read_resume_point(self.out / RESUME)
        fixed = self.place.fixed
        if place.fixed.get("run", {}).get("data") == self.data.sha256:
            # A run of an earlier version, which kept only the hash of the ids.
            place.fixed["run"]["data"] = fixed["run"]["data"]
        place.fixed["recipe"] = with_later_settings(place.fixed.get("recipe", {}))
        need_same(place.fixed, fixed)
        self.place, self._earlier_s = place, place.elapsed_s
        self._stepper.restore(tensors, place.averaged)
        self.bar.say(f"Going on at step {place.step}, epoch {place.epoch + 1}.")

    # -- the loop ----------------------------------------

    def go(self, fail_on_collapse: bool = False) -> str:
        """Train until something ends the run.

        Returns:
            Why it ended: a key of `result.SENTENCES`.
        """
        if not self._stepper.names:
            return "closed form"
        total = self.settings.epochs * self.steps_per_epoch
        self._meter = Meter(total, self.place.step)
        self.bar.start(total, self.place.step)
        while self.place.epoch < self.settings.epochs:
            stop = "patience" if self._is_out_of_patience() else self._epoch()
            if stop in ("patience", "interrupt"):
                self._save_point()
                return stop
            verdict = self._end_epoch(stop)
            if fail_on_collapse and verdict == "fail":
                return "collapse"
            if stop:
                return stop
        return "epochs"

    def _epoch(self) -> str:
        """Steps to the end of the epoch; returns why to stop earlier, or nothing."""
        self.system.train()
        loader, place, every = self.data.train, self.place, self.settings.save_every_steps
        self._meter.restart()
        batches = self._meter.waiting(loader.epoch(place.epoch, place.batch))
        for group in grouped(batches, self.settings.accumulate):
            self._step(group, min(self.settings.accumulate, len(loader) - place.batch))
            place.batch += len(group)
            stop = self._why_stop()
            if stop:
                return stop
            if every and place.step % every == 0 and place.batch < len(loader):
                self._save_point()
        return ""

    def _end_epoch(self, stop: str) -> Verdict:
        """Close an epoch, or its part when time is up: validate, keep systems, save the resume point."""
        place, settings = self.place, self.settings
        if place.batch >= len(self.data.train):
            place.epoch, place.batch = place.epoch + 1, 0
        due = place.epoch % settings.validate_every_epochs == 0 or place.epoch == settings.epochs
        verdict = self._validate() if stop or due else "fine"
        if not place.batch:
            place.epoch_sums = {}
        self._save_point()
        return verdict

    def _why_stop(self) -> str:
        limit_s = self.settings.max_minutes * 60
        own = "interrupt" if self._interrupt.asked else ""
        own = own or ("time" if limit_s and self._elapsed_s() >= limit_s else "")
        return STOPS[self.processes.any(STOPS.index(own))]

    def _is_out_of_patience(self) -> bool:
        patience = self.settings.patience
        return bool(patience) and self.place.epoch - self.place.best_epoch >= patience

    def _step(self, group: Sequence[StudyBatch], size: int) -> None:
        place = self.place
        limit_s = self.settings.max_minutes * 60
        time_share = self._elapsed_s() / limit_s if limit_s else 0.0
        done = self._stepper.take(group, size, place.step, time_share)
        place.step += 1
        speed = self._meter.step(sum(map(len, group)) * self.processes.count)
        for name, value in (*done.values.items(), ("steps", 1.0)):
            place.epoch_sums[name] = place.epoch_sums.get(name, 0.0) + value
        line = {"rate_share": done.rate_share, "grad_norm": done.grad_norm, **done.values, **speed}
        self._write("step", step=place.step, epoch=place.epoch + 1, **line)
        self.processes.track({f"train/{name}": value for name, value in done.values.items()}, place.step)
        self.bar.step(place.epoch + 1, done.values, speed)

    # -- validation and keeping ----------------------------------------

    def _validate(self) -> Verdict:
        place, select = self.place, self.settings.select
        with self._stepper.average.applied():
            numbers, collapse = validate(
                self.system, self.data.validation.in_order(), self.processes.device, self.processes.autocast,
                tune=not self.data.probes_training,
                label_names=self.data.validation.dataset.label_names,
            )  # fmt: skip
            better = self.data.probes_training or beats(select, numbers, place.best_numbers, self.system)
            place.last_numbers = numbers
            if better:
                place.best, place.best_epoch, place.best_numbers = numbers[select], place.epoch, numbers
            self._keep(better)
        # What has not trained cannot have collapsed: the monitor judges from the first step on.
        verdict: Verdict = collapse.verdict if collapse is not None and place.step else "fine"
        self._note_validation(numbers, verdict, better)
        if collapse is not None and verdict != "fine":
            self.collapse_sentence = collapse.sentence()
            self._say(self.collapse_sentence)
        return verdict

    def _keep(self, better: bool) -> None:
        if not self.processes.is_main:
            return
        card = model_card(self.system, self.place, self.settings.select)
        if better:
            save_system(self.system, self.out / "best", card)
        save_system(self.system, self.out / "last", card)

    def _note_validation(self, numbers: dict[str, float], verdict: Verdict, better: bool) -> None:
        place, select = self.place, self.settings.select
        sums = dict(place.epoch_sums)
        steps = sums.pop("steps", 0.0)
        means = {name: value / steps for name, value in sums.items()} if steps else {}
        self._write(
            "validation",
            step=place.step,
            epoch=place.step / self.steps_per_epoch,
            best=better,
            train=means,
            verdict=verdict,
            **numbers,
        )
        self.processes.track({f"validate/{name}": value for name, value in numbers.items()}, place.step)
        loss = f"loss {means['total']:.4f}, " if means else ""
        mark = ", best so far" if better else ""
        shown = {"R@1": "r1", "R@10": "r10"} if "r1" in numbers else {n: n for n in numbers if n != select}
        chosen = "validation loss" if select == "loss" else select
        rest = "".join(f", {label} {numbers[name]:.3f}" for label, name in shown.items())
        self._say(
            f"Epoch {place.step / self.steps_per_epoch:.2f}: {loss}{chosen} {numbers[select]:.4f}{rest}{mark}"
        )

    def _save_point(self) -> None:
        if self._log is None:
            return
        place = self.place
        place.elapsed_s, place.averaged = self._elapsed_s(), self._stepper.average.count
        place.log_bytes = self._log.length_bytes
        write_resume_point(self.out / RESUME, place, self._stepper.tensors())

    # -- end ----------------------------------------

    def finish(self, stopped_by: str, details: Mapping[str, Any]) -> RunResult:
        """Write the result and the card; leave the averaged weights in the system, as in `last/`."""
        self._stepper.average.adopt()
        place = self.place
        result = RunResult(
            folder=self.out,
            stopped_by=stopped_by,
            steps=place.step,
            epochs=place.step / self.steps_per_epoch,
            select=self.settings.select,
            best=place.best,
            best_epoch=place.best_epoch,
            best_numbers=place.best_numbers,
            last_numbers=place.last_numbers,
            wall_s=self._elapsed_s(),
            peak_memory_bytes=peak_memory_bytes(),
            details=details,
        )
        self._write("end", stopped_by=stopped_by, wall_s=result.wall_s)
        self.close()
        if self.processes.is_main:
            write_result(result)
            write_card(result)
            if stopped_by not in ("interrupt", "time"):
                (self.out / RESUME).unlink(missing_ok=True)
        self.processes.wait()
        return result

    def close(self) -> None:
        """Close the log and the tracker; what was written stays."""
        self.processes.end()
        if self._log is not None:
            self._log.close()

    def _elapsed_s(self) -> float:
        return self._earlier_s + time.perf_counter() - self._began

    def _write(self, kind: str, **values: Any) -> None:
        if self._log is not None:
            self._log.write(kind, **values)

    def _say(self, sentence: str) -> None:
        self._write("message", text=sentence)
        self.bar.say(sentence)
