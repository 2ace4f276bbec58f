"""What a leaderboard compares: arms, one budget, and how all are judged; a TOML file.

    [budget]      minutes, epochs or flops of every training
    [evaluate]    split, tasks, weights, prompts
    [[test]]      subsets of the split, such as the studies with a frontal view
    [[arm]]       name, recipe, settings, seeds, what it ablates, what its vision encoder learns before

    extends       another plan, whose tables this one replaces and whose arms it keeps

Packaged plans lie in `leaderboard/plans/`; any other file may be named by its path.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from radalign.evaluate.plan import TAKES, need_heeded
from radalign.evaluate.prompt_sets import load_prompts
from radalign.systems.recipe import explain, load_recipe, recipe_names

ALL = "all"
PoolingName = Literal[
    "", "mean_then_normalise", "normalise_mean_normalise", "mean_of_logits", "max_of_logits"
]


class LeaderboardError(ValueError):
    """A plan, a cell or a comparison is wrong; the message says what to do."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Budget(_Section):
    """What every training may use; a run ends with whichever is used up first, 0 = no limit."""

    minutes: float = Field(0.0, ge=0, description="Wall time of the training, warm start included.")
    epochs: int = Field(0, ge=0, description="Passes over the training studies, for every arm.")
    flops: float = Field(0.0, ge=0, description="Floating-point operations, counted; whole epochs that fit.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if not (self.minutes or self.epochs or self.flops):
            raise ValueError("give minutes, epochs or flops, so that every arm may use the same")
        return self

    def part(self, share: float) -> Self:
        """A share of it; whole epochs, at least one.

        >>> Budget(minutes=20, epochs=3).part(0.5)
        Budget(minutes=10.0, epochs=2, flops=0.0)
        """
        epochs = max(1, round(self.epochs * share)) if self.epochs else 0
        return self.model_copy(
            update={"minutes": self.minutes * share, "epochs": epochs, "flops": self.flops * share}
        )

    def sentence(self) -> str:
        """For a person.

        >>> Budget(minutes=20, epochs=10).sentence()
        'at most 20 minutes, 10 epochs'
        >>> Budget(minutes=1).sentence()
        'at most 1 minute'
        """
        parts = [f"{self.minutes:g} minute{'s' * (self.minutes != 1)}"] if self.minutes else []
        parts += [f"{self.epochs} epoch{'s' * (self.epochs != 1)}"] if self.epochs else []
        parts += [f"{self.flops:.3g} FLOPs"] if self.flops else []
        return "at most " + ", ".join(parts)


class ProtocolData(_Section):
    """What a protocol is given; "" leaves an option to `[evaluate]`, prompts to the protocol."""

    data: str = Field(description="Its folder or manifest, relative to the manifest of the board.")
    prompts: str = Field("", description="A packaged set or a file; not those of zero-shot.")
    pooling: PoolingName = Field("", description="How prompts are pooled.")
    similarity: Literal["", "global", "local", "both"] = Field("", description="Of images and texts.")


class Judging(_Section):
    """How every system is judged."""

    tasks: tuple[str, ...] = Field(("retrieval", "zero-shot"), description="Of `radalign evaluate`.")
    protocols: dict[str, ProtocolData] = Field(
        default_factory=dict, description="Protocol to its folder or manifest, or to a table."
    )
    mode: Literal["paper", "strict"] = Field("strict", description="Of the protocols.")
    split: str = Field("test", description="The manifest's split.")
    weights: Literal["best", "last"] = Field("best", description="Best by validation, or the last ones.")
    prompts: str = Field("chest-findings", description="Zero-shot: a packaged set or a file.")
    labels: tuple[str, ...] = Field((), description="Retrieval: labels of P@k; empty = the frequent ones.")
    similarity: Literal["global", "local", "both"] = Field("global", description="Of images and texts.")
    pooling: PoolingName = Field("", description="How prompts are pooled; empty = the set's way.")
    own_classes: bool = Field(False, description="Zero-shot: what has classes of its own scores by those.")
    resamples: int = Field(1000, ge=1, description="Bootstrap resamples of patients.")
    seed: int = Field(0, ge=0, description="Of the bootstrap.")
    precision: Literal["fp32", "auto"] = Field("fp32", description="`auto`: bf16 where that is fast.")

    @field_validator("protocols", mode="before")
    @classmethod
    def _path_is_data(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: {"data": value} if isinstance(value, str) else value for name, value in given.items()}

    def of_protocol(self, name: str) -> tuple[str, str, str]:
        """Prompts, pooling and similarity of a protocol: its own, or the plan's where it heeds them.

        >>> Judging(similarity="both", protocols={"openi": "m.parquet"}).of_protocol("openi")
        ('', '', 'both')
        """
        own = self.protocols[name]
        pooling = own.pooling or (self.pooling if name in TAKES["pooling"] else "")
        similarity = own.similarity or (self.similarity if name in TAKES["similarity"] else "global")
        return own.prompts, pooling, similarity


class TestSet(_Section):
    """Some studies of the split that arms are judged on."""

    __test__ = False  # not a test of pytest's

    name: str
    has: tuple[Literal["frontal", "lateral", "prior"], ...] = Field((), description="Views a study needs.")
    labels: tuple[str, ...] = Field((), description="A study needs one of these; empty = any.")


class Pretraining(_Section):
    """A training that makes an arm's vision encoder first, out of the same budget."""

    recipe: str = Field(description="One that trains its whole vision encoder, such as `mrm`.")
    settings: tuple[str, ...] = Field((), description="Such as `train.lr=1e-4`, after the plan's.")
    share: float = Field(0.5, gt=0, lt=1, description="Of the budget; the arm's own training has the rest.")


class Arm(_Section):
    """One contestant."""

    name: str = Field(min_length=1, description="As the page calls it.")
    recipe: str = Field(description="A packaged recipe, or a TOML file.")
    settings: tuple[str, ...] = Field((), description="Such as `train.lr=1e-3`.")
    seeds: tuple[int, ...] = Field((), description="Empty = the plan's.")
    tasks: tuple[str, ...] = Field((), description="Empty = the plan's.")
    tests: tuple[str, ...] = Field((), description="Names of test sets; empty = all of them.")
    own_classes: bool = Field(False, description="Zero-shot: it scores findings by its own classes.")
    ablates: str = Field("", description="The arm that this one varies: less of it, or trained on.")
    pretrain: Pretraining | None = Field(None, description="What makes its vision encoder.")


class BoardPlan(_Section):
    """The whole plan."""

    name: str
    title: str = ""
    description: str = ""
    reference: str = Field("", description="The arm that all are compared with; empty = the first.")
    seeds: tuple[int, ...] = Field((0, 1), min_length=1, description="Of every arm that names none.")
    settings: tuple[str, ...] = Field((), description="Given to every arm, before its own.")
    budget: Budget
    evaluate: Judging = Field(default_factory=Judging)
    test: tuple[TestSet, ...] = Field((TestSet(name=ALL),), min_length=1)
    arm: tuple[Arm, ...] = ()
    every_recipe: bool = Field(False, description="Also an arm for each packaged recipe that needs no hub.")
    leave_out: tuple[str, ...] = Field((), description="Recipes that `every_recipe` leaves out.")
    columns: tuple[str, ...] = Field((), description="`task: metric` of the first table; empty = by task.")

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [arm.name for arm in self.arm]
        tests = [test.name for test in self.test]
        twice = [n for n, count in Counter(map(slug, names)).items() if count > 1]
        wanted = [a for a in (self.reference, *(arm.ablates for arm in self.arm)) if a]
        unknown = [a for a in wanted if a not in names]
        lost = [t for arm in self.arm for t in arm.tests if t not in tests]
        if not names:
            raise ValueError("there is no arm; add [[arm]] tables, or every_recipe = true")
        if twice or unknown or lost:
            raise ValueError(
                f"names used twice: {twice}; arms that do not exist: {unknown}; test sets that do not: {lost}"
            )
        return self

    @property
    def against(self) -> str:
        """The arm that all are compared with."""
        return self.reference or self.arm[0].name

    def compared_with(self, name: str) -> Self:
        """The same plan with another reference; how cells are trained and judged does not change.

        Raises:
            LeaderboardError: If there is no such arm.
        """
        need_known("arm", [name], [arm.name for arm in self.arm])
        return self.model_copy(update={"reference": name})

    def seeds_of(self, arm: Arm) -> tuple[int, ...]:
        """The seeds of an arm."""
        return arm.seeds or self.seeds

    def judging_of(self, arm: Arm) -> Judging:
        """How an arm is judged: as all are, but for what only it has."""
        own = self.evaluate.own_classes or arm.own_classes
        return self.evaluate.model_copy(update={"own_classes": own})

    def tests_of(self, arm: Arm) -> tuple[TestSet, ...]:
        """The test sets of an arm."""
        return tuple(t for t in self.test if not arm.tests or t.name in arm.tests)


def need_known(kind: str, wanted: Iterable[object], known: Iterable[object]) -> None:
    """Check that a plan has what was named.

    Raises:
        LeaderboardError: With what it has.
    """
    names = list(dict.fromkeys(map(str, known)))
    unknown = [name for name in map(str, wanted) if name not in names]
    if unknown:
        raise LeaderboardError(f"The plan has no {kind} {'; '.join(unknown)}; it has {'; '.join(names)}.")


def make_judging(**given: Any) -> Judging:
    """How systems are judged, from what a command line gives.

    Raises:
        LeaderboardError: One line per wrong option.
    """
    try:
        return Judging.model_validate(given)
    except ValidationError as error:
        raise LeaderboardError(f"These options do not fit:\n{explain(error, Judging)}") from error


def slug(name: str) -> str:
    """A name as a folder.

    >>> slug("ClinVLA, warm start (b)")
    'clinvla-warm-start-b'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "arm"


def plan_names() -> list[str]:
    """Names of the packaged plans, sorted."""
    folder = resources.files("radalign.leaderboard") / "plans"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_plan(name_or_path: str | Path) -> BoardPlan:
    """Read a packaged plan by name or any by path; recipes may be files beside it.

    Raises:
        LeaderboardError: If there is no such plan, or it is wrong, or names a task that does not exist.
        RecipeError: If a recipe does not exist.
    """
    path = _find(name_or_path)
    table = _read(path)
    try:
        plan = BoardPlan.model_validate(_with_every_recipe(table, path.parent))
    except ValidationError as error:
        raise LeaderboardError(f"{path} is not a valid plan:\n{explain(error, BoardPlan)}") from error
    need_tasks([*plan.evaluate.tasks, *(t for arm in plan.arm for t in arm.tasks)], plan.evaluate.protocols)
    need_options(plan.evaluate)
    return plan


def need_options(judging: Judging) -> None:
    """Check what protocols are given before anything is trained for them.

    Raises:
        EvaluationError: If a protocol would ignore an option.
        PromptError: If prompts are not there.
    """
    load_prompts(judging.prompts)
    for name, own in judging.protocols.items():
        need_heeded(name, own.model_dump())
        if own.prompts:
            load_prompts(own.prompts)


def need_tasks(tasks: Iterable[str], protocols: Iterable[str] = ()) -> None:
    """Check names before anything is trained for them.

    Raises:
        LeaderboardError: If a task or protocol does not exist.
    """
    from radalign.evaluate.protocols import PROTOCOLS
    from radalign.evaluate.tasks import TASKS

    wanted = dict.fromkeys(tasks)
    unknown = [name for name in wanted if name not in TASKS]
    unknown += [name for name in protocols if name not in PROTOCOLS]
    if unknown:
        raise LeaderboardError(
            f"There is no task {', '.join(unknown)}; tasks are {', '.join(TASKS)}, protocols "
            f"{', '.join(PROTOCOLS)}."
        )


def _find(name_or_path: str | Path, beside: Path | None = None) -> Path:
    """The file of a plan: a path (also one beside another plan), or a packaged plan's name."""
    packaged = Path(str(resources.files("radalign.leaderboard") / "plans" / f"{name_or_path}.toml"))
    for path in (Path(name_or_path), packaged) if beside is None else (beside / name_or_path, packaged):
        if path.is_file():
            return path
    raise LeaderboardError(
        f"There is no plan {str(name_or_path)!r}; use {', '.join(plan_names())} or a TOML file."
    )


def _read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The plan's table over that of the plan it extends; arms are added, one of the same name is replaced."""
    if path in seen:
        raise LeaderboardError(f"{path} extends itself; leave one `extends` out.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LeaderboardError(f"{path} is not readable TOML: {error}.") from error
    if "extends" not in table:
        return table
    base = _read(_find(str(table.pop("extends")), path.parent), (*seen, path))
    own = {str(arm.get("name")): arm for arm in table.pop("arm", [])}
    arms = [own.pop(str(arm.get("name")), arm) for arm in base.get("arm", [])]
    return base | table | {"arm": [*arms, *own.values()]}


def _with_every_recipe(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Files beside the plan by their whole path, and an arm per recipe that no arm uses, if asked for.

    An arm whose vision encoder is trained first uses the recipe that trains it; the other is not yet shown.
    """
    arms = [_beside(arm, folder) for arm in table.get("arm", []) if isinstance(arm, dict)]
    if table.get("every_recipe"):
        first = [a["pretrain"] if isinstance(a.get("pretrain"), dict) else a for a in arms]
        used = {a.get("recipe") for a in first} | set(table.get("leave_out", []))
        arms += [{"name": n, "recipe": n} for n in recipe_names() if n not in used and not needs_hub(n)]
    return table | {"arm": arms}


def _beside(arm: dict[str, Any], folder: Path) -> dict[str, Any]:
    path, first = folder / str(arm.get("recipe", "")), arm.get("pretrain")
    arm = arm | {"pretrain": _beside(first, folder)} if isinstance(first, dict) else arm
    return arm | {"recipe": str(path.absolute())} if path.is_file() else arm


def needs_hub(recipe: str) -> bool:
    """Whether a recipe's encoders come from a model hub, so that it does not run offline."""
    backbones = load_recipe(recipe).backbones
    return any(str(spec).startswith("hf://") for spec in (backbones.vision, backbones.text))
