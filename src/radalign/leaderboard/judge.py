"""Judge one trained system: every task on every test set, each study embedded once.

system ─ Remembering ─ tasks and protocols of `evaluate` ──> Judged: one Result, its draws, embeddings, times

A task that cannot be done on these data (no labels, no prior) is a note in the result, not the end of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.evaluate.comparison import KeptDraws, Key, keeping_draws
from radalign.evaluate.embeddings import Progress, StudyEmbeddings, embed, evaluable
from radalign.evaluate.own_classes import classes_of
from radalign.evaluate.plan import Plan
from radalign.evaluate.pooling import Pooling
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols import find_protocol
from radalign.evaluate.protocols.protocol import Options
from radalign.evaluate.provenance import Stopwatch, provenance
from radalign.evaluate.readable import ask_of_readable, without
from radalign.evaluate.results import Gap, Measure, Result
from radalign.evaluate.tasks import TASKS, chosen_split
from radalign.files import whole_file
from radalign.images.errors import ImageError
from radalign.leaderboard.latency import latency, study_flops
from radalign.leaderboard.plan import ALL, Judging, LeaderboardError, TestSet, need_tasks
from radalign.leaderboard.remember import Remembering
from radalign.leaderboard.scores import Drawn, write_draws
from radalign.leaderboard.subsets import chosen
from radalign.study import Manifest

Floats = NDArray[np.float64]
WITHOUT_TEXT = ("probe", "fine-tune")
ON_SUBSETS = ("retrieval", "zero-shot", "space", "report-edits")


@dataclass(frozen=True)
class Judged:
    """What a cell keeps of an evaluation.

    Args:
        result: All tasks and test sets; a task's name carries the test set unless that is all studies, and
            the protocol that it belongs to.
        samples: By (task, metric, group), the number on every resample, [R].
        patients: By the same, a hash of studies and resamples; equal hashes may be paired.
        embeddings: Of the first test set, or None when nothing there can be retrieved.
        manifest: All studies, without images that cannot be read.
    """

    result: Result
    samples: Mapping[tuple[str, str, str], Floats]
    patients: Mapping[tuple[str, str, str], str]
    embeddings: StudyEmbeddings | None
    manifest: Manifest

    def write(self, folder: Path) -> None:
        """Write `draws.npz`, `embeddings.npz` and, last, `result.json`."""
        with whole_file(folder / "draws.npz") as partial, partial.open("wb") as file:
            write_draws(file, Drawn(self.samples, self.patients))
        held = self.embeddings
        if held is not None and held.text is not None:
            with whole_file(folder / "embeddings.npz") as partial, partial.open("wb") as file:
                np.savez_compressed(
                    file, image=held.image, text=held.text,
                    study_ids=np.array(held.study_ids), patient_ids=np.array(held.patient_ids),
                )  # fmt: skip
        self.result.write(folder / "result.json")


def judge(
    system: Any, name: str, manifest: Manifest, judging: Judging, tests: Sequence[TestSet],
    tasks: Sequence[str], progress: Progress | None = None, folder: Path = Path(),
) -> tuple[Judged, Remembering]:  # fmt: skip
    """Do every task on every test set.

    Args:
        system: A trained one.
        name: As the results call it.
        manifest: All studies; the split is taken from it.
        judging: Split, prompts, resamples.
        tests: Test sets, the first one for tasks that know no subsets.
        tasks: Of `radalign evaluate`.
        progress: Wraps long loops.
        folder: Relative paths of protocols start here.

    Returns:
        What was found, and the system with all that it remembers.

    Raises:
        LeaderboardError: If a task is unknown, or nothing could be judged.
        EvaluationError: If the split is empty.
    """
    need_tasks(tasks, judging.protocols)
    remembering = Remembering(system, _precision(system, judging))

    def ask(held: Manifest) -> Judged:
        return _judged(remembering, name, held, judging, tests, tasks, progress, folder)

    split = chosen_split(manifest, judging.split)
    found, gone = ask_of_readable(ask, manifest, split, [system], progress)
    sha256 = chosen(split, manifest, tests[0]).sha256()  # of the studies as they are listed
    made = dict(found.result.made_by) | {"manifest_sha256": sha256}
    return replace(found, result=replace(without(found.result, gone), made_by=made)), remembering


def _judged(
    remembering: Remembering, name: str, manifest: Manifest, judging: Judging, tests: Sequence[TestSet],
    tasks: Sequence[str], progress: Progress | None, folder: Path,
) -> Judged:  # fmt: skip
    system, watch = remembering.system, Stopwatch()
    remembering.asked_for()
    parts: list[_Part] = []
    notes: list[str] = []
    for number, test in enumerate(tests):
        studies = chosen(chosen_split(manifest, judging.split), manifest, test)
        others = {study.id for study in manifest} - {study.id for study in studies}
        for task in tasks:
            if number and task not in ON_SUBSETS:
                continue
            if not aligns(system) and task not in WITHOUT_TEXT:
                notes.append(f"{task} was not judged: this system has no space shared with texts.")
                continue
            plan = _plan(task, judging, system)
            ask = _asking(TASKS[task], plan, {name: remembering}, studies, manifest, watch, progress)
            _add(parts, notes, remembering, task, test.name, ask, apart=others)
    for protocol, data in judging.protocols.items():
        place, rules = folder / data.data, find_protocol(protocol)
        ask = _asking(rules.run, {name: remembering}, place, _options(judging, protocol, progress))
        _add(parts, notes, remembering, protocol, ALL, ask, protocol)
        watch.step(protocol)
    if not any(part.result.measures for part in parts):
        raise LeaderboardError(f"{name} could not be judged: {' '.join(notes) or 'there is no task'}")
    studies = chosen(chosen_split(manifest, judging.split), manifest, tests[0])
    can_pair = aligns(system) and evaluable(studies, remembering)
    held = embed(remembering, studies, progress) if can_pair else None
    times = dict(watch.times_s) | {"images": remembering.images_s, "texts": remembering.texts_s}
    begin = time.perf_counter()
    speed = {"latency": latency(remembering, studies), "flops": study_flops(remembering, studies)}
    times["speed"] = time.perf_counter() - begin
    result = _joined(parts, notes, judging, tests, name)
    made = provenance(
        {name: system}, studies.sha256(), {"bootstrap": judging.seed}, times, str(system.device)
    )
    result = replace(result, made_by=made | speed)
    samples = {key: draw for part in parts for key, draw in part.samples().items()}
    patients = {key: hash_ for part in parts for key, hash_ in part.hashes().items()}
    return Judged(result, samples, patients, held, manifest)


def aligns(system: Any) -> bool:
    """Whether a system puts studies and texts into one space."""
    return bool(getattr(system, "aligns", True))


@dataclass(frozen=True)
class _Part:
    """One task on one test set."""

    task: str
    test: str
    result: Result
    kept: KeptDraws
    studies: str
    protocol: str = ""

    def samples(self) -> dict[tuple[str, str, str], Floats]:
        return {self._name(key): draw.samples for key, draw in self.kept.draws.items()}

    def hashes(self) -> dict[tuple[str, str, str], str]:
        """Of studies, resamples and the rule of counting: only what has all three may be subtracted."""
        rule = self.result.settings.get("rule")
        counted = f" rule {rule}" if rule else ""
        drawn = self.kept.patients.items()
        return {self._name(key): f"{self.studies[:16]} {h[:16]}{counted}" for key, h in drawn}

    def measures(self) -> Iterable[Measure]:
        return (replace(m, task=self._task(m.task)) for m in self.result.measures)

    def gaps(self) -> Iterable[Gap]:
        return (replace(g, task=self._task(g.task)) for g in self.result.gaps)

    def _name(self, key: Key) -> tuple[str, str, str]:
        _, task, metric, group = key
        return self._task(task), metric, group

    def _task(self, task: str) -> str:
        return on_test(of_protocol(task, self.protocol), self.test)


def on_test(task: str, test: str) -> str:
    """A task's name with its test set.

    >>> on_test("zero-shot", "all"), on_test("zero-shot", "with frontal")
    ('zero-shot', 'zero-shot [with frontal]')
    """
    return task if test == ALL else f"{task} [{test}]"


def of_protocol(task: str, protocol: str) -> str:
    """A task's name with its protocol: several protocols have an "image to text".

    >>> of_protocol("image to text", "openi"), of_protocol("image to text", "")
    ('image to text (openi)', 'image to text')
    """
    return f"{task} ({protocol})" if protocol else task


def _add(
    parts: list[_Part], notes: list[str], system: Remembering, task: str, test: str,
    ask: Callable[[], Result], protocol: str = "", apart: Container[str] = frozenset(),
) -> None:  # fmt: skip
    try:
        with keeping_draws() as kept:
            result = ask()
    except ValueError as error:  # the sentence of a task that these data do not serve
        if isinstance(error, ImageError) and not protocol:
            raise  # asked again without that image
        notes.append(f"{on_test(task, test)} was not judged: {error}")
        system.asked_for()
        return
    notes += [f"{on_test(task, test)}: {note}" for note in result.notes]
    parts.append(_Part(task, test, result, kept, system.asked_for(apart), protocol))


def _asking(call: Callable[..., Result], *given: Any) -> Callable[[], Result]:
    return lambda: call(*given)


def _joined(
    parts: Sequence[_Part], notes: Sequence[str], judging: Judging, tests: Sequence[TestSet], name: str
) -> Result:
    prompts = load_prompts(judging.prompts)
    settings = {
        "split": judging.split, "weights": judging.weights, "prompts": prompts.name,
        "prompts_sha256": prompts.sha256, "resamples": judging.resamples, "bootstrap_seed": judging.seed,
        "precision": judging.precision, "tests": [t.model_dump(mode="json") for t in tests],
        "tasks": {on_test(p.task, p.test): _task_facts(p) for p in parts},
    }  # fmt: skip
    measures = tuple(m for p in parts for m in p.measures())
    gaps = tuple(g for p in parts for g in p.gaps())
    return Result(f"leaderboard: {name}", judging.mode, measures, gaps, settings, {}, tuple(notes))


def _task_facts(part: _Part) -> dict[str, Any]:
    named = list(dict.fromkeys(m.task for m in part.measures()))
    facts = {"protocol": part.result.protocol, "mode": part.result.mode, "tasks": named}
    return facts | dict(part.result.settings)


def _plan(task: str, judging: Judging, system: Any) -> Plan:
    """The options of `radalign evaluate` that a task reads; the run is given, not read from a folder."""
    return Plan(
        run="", data=Path(), task=task, mode=judging.mode, split=judging.split, prompts=judging.prompts,
        labels=judging.labels, similarity=judging.similarity, pooling=judging.pooling,
        own_classes=judging.own_classes and bool(classes_of(system)), resamples=judging.resamples,
        seed=judging.seed,
    )  # fmt: skip


def _options(judging: Judging, protocol: str, progress: Progress | None) -> Options:
    prompts, pooling, similarity = judging.of_protocol(protocol)
    return Options(
        judging.mode, Pooling(pooling) if pooling else None, judging.resamples, judging.seed, progress,
        prompts=prompts, similarity=similarity,
    )  # fmt: skip


def _precision(system: Any, judging: Judging) -> Callable[[], AbstractContextManager[Any]]:
    import torch

    from radalign.train.precision import has_fast_bf16

    if judging.precision == "auto" and has_fast_bf16(system.device):
        kind = system.device.type
        return lambda: torch.autocast(kind, torch.bfloat16)
    return nullcontext
