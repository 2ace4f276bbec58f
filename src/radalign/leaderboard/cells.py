"""A cell of the board, arm x seed: its folder, its job, and how far it has come.

cells/<arm>-<seed>/
    cell.json       the job: recipe, settings, data, how it is judged
    pretrained/     the training that made the vision encoder, if the plan asks for one
    run/            the training run
    result.json     every number with its interval and how it was made
    draws.npz       the same numbers on every resample of the patients
    embeddings.npz  of the judged studies and their reports
    pictures.json   what a gallery shows: ids and scores
    failed.json     why there is no result
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from radalign.evaluate.prompt_sets import PromptError, load_prompts
from radalign.leaderboard.cell_files import JOB, RESULT, DamagedFile, read_table, reading
from radalign.leaderboard.plan import Arm, BoardPlan, Budget, LeaderboardError, slug
from radalign.systems.recipe import load_recipe, recipe_from_table
from radalign.systems.recipe_versions import upgraded
from radalign.train.cell import as_asked
from radalign.train.folder import RESUME, held_run, read_run
from radalign.train.record import write_json
from radalign.train.start import MAY_CHANGE, differences

PRETRAINED, FAILURE = "pretrained", "failed.json"
LATER: dict[str, Any] = {"pooling": "", "own_classes": False}
"""Rules that came later: the value that every cell of before was judged by, which is not written."""


@dataclass(frozen=True)
class Job:
    """What a cell does, as plain values.

    Args:
        arm: Its name.
        seed: Of the training.
        recipe: Name or file.
        settings: Of the recipe, the budget's included.
        data: The manifest.
        cache: Folder of decoded images.
        tasks: Of `radalign evaluate`.
        tests: Test sets, as tables.
        judging: The plan's `[evaluate]`, as a table.
        flops: Budget in FLOPs, 0 = none.
        data_sha256: Of the manifest's content.
        pretrain: What trains first, as a table: recipe, settings, flops; empty = nothing.
    """

    arm: str
    seed: int
    recipe: str
    settings: tuple[str, ...]
    data: str
    cache: str
    tasks: tuple[str, ...]
    tests: tuple[dict[str, Any], ...]
    judging: dict[str, Any]
    flops: float = 0.0
    data_sha256: str = ""
    pretrain: dict[str, Any] = field(default_factory=dict)

    def first(self) -> Job | None:
        """The job of the training that makes the vision encoder, if there is one."""
        if not self.pretrain:
            return None
        settings = tuple(self.pretrain["settings"])
        return replace(self, **self.pretrain | {"settings": settings, "pretrain": {}})

    def judged_as(self) -> dict[str, Any]:
        """What decides the numbers of a trained system."""
        table = {name: value for name, value in asdict(self).items() if name in ("tasks", "tests", "judging")}
        rules = {k: v for k, v in self.judging.items() if k not in LATER or v != LATER[k]}
        table |= {"judging": rules, "data_sha256": self.data_sha256}
        known: dict[str, Any] = json.loads(json.dumps(table))
        return known

    def write(self, folder: Path) -> None:
        """Write `cell.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / JOB, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Job:
        """Read what `write` wrote.

        Raises:
            DamagedFile: If it cannot be read, or a version with other jobs wrote it.
        """
        table = read_table(folder / JOB)
        tuples: dict[str, Any] = {k: tuple(v) for k, v in table.items() if isinstance(v, list)}
        known = {entry.name: entry for entry in fields(cls)}
        needed = {n for n, entry in known.items() if entry.default is entry.default_factory is MISSING}
        with reading(folder / JOB):
            if wrong := sorted((table.keys() - known.keys()) | (needed - table.keys())):
                raise ValueError(
                    f"another version wrote it: it has too much or too little of {', '.join(wrong)}"
                )
            return cls(**table | tuples)


@dataclass(frozen=True)
class Cell:
    """One arm with one seed.

    Args:
        arm: The contestant.
        seed: Of its training.
        folder: Where it lives.
        job: What it does.
    """

    arm: Arm
    seed: int
    folder: Path
    job: Job

    @property
    def label(self) -> str:
        """For a person."""
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def run(self) -> Path:
        """The folder of its training run."""
        return self.folder / "run"

    @property
    def pretrained(self) -> Path:
        """The folder of the training that made its vision encoder."""
        return self.folder / PRETRAINED

    def state(self) -> str:
        """`done`, `trained`, `begun` or `new`; a result that cannot be read is none."""
        if not needs_training(self.run, self.job):
            try:
                return "done" if is_judged_as_asked(self.folder, self.job) else "trained"
            except DamagedFile:
                return "trained"
        return "begun" if held_run(self.run) or held_run(self.pretrained) else "new"

    def failure(self) -> str:
        """Why it has no result, "" when it has not failed."""
        path = self.folder / FAILURE
        try:
            return str(read_table(path).get("error", "for no known reason")) if path.is_file() else ""
        except DamagedFile as damage:
            return str(damage)


def cells_of(plan: BoardPlan, board: Path, data: Path, cache: Path, data_sha256: str = "") -> list[Cell]:
    """All cells, every arm's first seed before any second one."""
    rows = [list(_cells_of_arm(plan, arm, board, data, cache, data_sha256)) for arm in plan.arm]
    longest = max(map(len, rows))
    return [row[i] for i in range(longest) for row in rows if i < len(row)]


def _cells_of_arm(
    plan: BoardPlan, arm: Arm, board: Path, data: Path, cache: Path, data_sha256: str
) -> Iterator[Cell]:
    own = plan.budget.part(1 - arm.pretrain.share) if arm.pretrain else plan.budget
    for seed in plan.seeds_of(arm):
        folder = board / "cells" / f"{slug(arm.name)}-{seed}"
        seeded = (*budget_settings(own), f"train.seed={seed}")
        encoder, pretrain = _pretraining(plan, arm, folder, seed)
        job = Job(
            arm=arm.name,
            seed=seed,
            recipe=arm.recipe,
            settings=(*plan.settings, *arm.settings, *encoder, *seeded),
            data=str(data),
            cache=str(cache),
            tasks=arm.tasks or plan.evaluate.tasks,
            tests=tuple(test.model_dump(mode="json") for test in plan.tests_of(arm)),
            judging=plan.judging_of(arm).model_dump(mode="json"),
            flops=own.flops,
            data_sha256=data_sha256,
            pretrain=pretrain,
        )
        yield Cell(arm, seed, folder, job)


def _pretraining(
    plan: BoardPlan, arm: Arm, folder: Path, seed: int
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The settings that take the encoder which is trained first, and that training as `Job.pretrain`."""
    first = arm.pretrain
    if first is None:
        return (), {}
    budget = plan.budget.part(first.share)
    settings = (*plan.settings, *first.settings, *budget_settings(budget), f"train.seed={seed}")
    made = (folder / PRETRAINED).absolute()
    return (f"backbones.vision={made}",), {
        "recipe": first.recipe,
        "settings": list(settings),
        "flops": budget.flops,
    }


def budget_settings(budget: Budget) -> list[str]:
    """The budget as settings of a recipe; a time limit also ends the learning rate's cosine."""
    settings = []
    if budget.minutes:
        settings += [f"train.max_minutes={budget.minutes}", "train.anneal_to=time"]
    if budget.epochs:
        settings.append(f"train.epochs={budget.epochs}")
    return settings


def needs_pretraining(folder: Path, job: Job) -> bool:
    """Whether the training that makes the cell's vision encoder must begin or go on.

    Raises:
        LeaderboardError: If it was made with other settings, or would have to go on although the cell's own
            training has begun from it.
    """
    first = job.first()
    if first is None or not needs_training(folder / PRETRAINED, first):
        return False
    if held_run(folder / "run"):
        raise LeaderboardError(
            f"The run in {folder / 'run'} began from a vision encoder that had a smaller budget; remove the "
            "cell's folder, or give another --out."
        )
    return True


def needs_training(run: Path, job: Job) -> bool:
    """Whether the run must begin or go on; more minutes than before let a run go on that time had stopped.

    Raises:
        LeaderboardError: If the run was made with other settings.
    """
    if not held_run(run):
        return True
    record = read_run(run)
    if _stored_recipe(record) is None:
        return True
    stored, wanted = _recipes(record, job)
    if changed := _changed(stored, wanted, job):
        key, (old, new) = next(iter(changed.items()))
        raise LeaderboardError(
            f"The run in {run} was made with {key} = {old}, but the plan says {new}; remove the cell's "
            "folder, or give another --out."
        )
    if not record.get("finished"):
        return True
    longer = wanted["train"]["max_minutes"] > stored["train"]["max_minutes"]
    return bool(record.get("stopped_by") == "time" and longer and (run / RESUME).is_file())


def changed_settings(run: Path, job: Job) -> dict[str, tuple[Any, Any]]:
    """Dotted key to (of the run, of the job), for settings that a run may not change; empty without one."""
    record = read_run(run) if held_run(run) else {}
    return {} if _stored_recipe(record) is None else _changed(*_recipes(record, job), job)


def _stored_recipe(record: Mapping[str, Any]) -> Any:
    return record.get("details", {}).get("recipe")


def _recipes(record: Mapping[str, Any], job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run was made with, and what the job wants."""
    wanted = load_recipe(job.recipe, job.settings).model_dump(mode="json")
    stored = recipe_from_table(upgraded(_stored_recipe(record))).model_dump(mode="json")
    if job.pretrain:  # cells may be moved: the encoder is the one in the cell's own folder, wherever that is
        stored["backbones"]["vision"] = wanted["backbones"]["vision"]
    return as_asked(stored, wanted), wanted


def _changed(stored: Mapping[str, Any], wanted: Mapping[str, Any], job: Job) -> dict[str, tuple[Any, Any]]:
    ignored = {f"train.{name}" for name in MAY_CHANGE} | ({"train.epochs"} if job.flops else set())
    return {k: v for k, v in differences(stored, wanted).items() if k not in ignored and k != "name"}


def is_judged_as_asked(folder: Path, job: Job) -> bool:
    """Whether the cell's result was judged by the job's rules; a prompt file may change under its name.

    Raises:
        DamagedFile: If the result cannot be read.
    """
    path = folder / RESULT
    if not path.is_file():
        return False
    found = read_table(path)
    with reading(path):
        same_rules = found.get("made_by", {}).get("judged_as") == job.judged_as()
        return same_rules and _has_same_prompts(found.get("settings", {}), job.judging)


def _has_same_prompts(settings: Mapping[str, Any], judging: Mapping[str, Any]) -> bool:
    """Whether every prompt set that a cell was judged by still says the same, as far as the cell tells."""
    used = [(judging.get("prompts", ""), settings.get("prompts_sha256"))]
    for name, own in judging.get("protocols", {}).items():
        facts = settings.get("tasks", {}).get(name, {})
        used.append((own["prompts"], facts.get("prompts_sha256") if own["prompts"] else None))
    return all(sha256 is None or sha256 == _prompts_sha256(name) for name, sha256 in used)


def _prompts_sha256(name: str) -> str:
    """Of the prompts as they are now, "" when they are not there: then judging says so."""
    try:
        return load_prompts(name).sha256
    except PromptError:
        return ""


def write_failure(folder: Path, error: str, trace: str = "") -> None:
    """Say why a cell has no result."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FAILURE, {"error": error, "trace": trace})


def done_cells(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that have a result, whatever it was judged by; see `standing` for those a page may show."""
    return [cell for cell in cells if (cell.folder / RESULT).is_file()]
