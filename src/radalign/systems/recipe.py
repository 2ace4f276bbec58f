"""A recipe: everything that makes a system, as one TOML file that may extend another.

recipes/clinvla.toml ──extends──> merged tables ──overrides (`train.epochs=5`)──> Recipe (checked)
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radalign.data.settings import DataSettings, TrainSettings
from radalign.systems.recipe_versions import VERSION, ambiguity

Table = dict[str, Any]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RecipeError(ValueError):
    """A recipe is missing, contradicts itself or has an unknown key; the message says what to do."""


class Backbones(BaseModel):
    """The two frozen encoders: a packaged name, a folder, `hf://org/name`, or a table of random weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vision: str | Table = Field(description="What `weights.hub.load_vision` takes.")
    text: str | Table = Field(description="What `weights.hub.load_text` takes.")
    max_tokens: int = Field(128, ge=4, description="Longest text in tokens, special tokens included.")


class Recipe(BaseModel):
    """A system's full settings.

    Args:
        name: The recipe's own name.
        system: Which system it makes (`clinvla`, `alta`, ...).
        description: One sentence for lists and cards.
        backbones: The encoders.
        model: The system's own settings, checked by the system.
        objectives: Weight of every loss term by name.
        data: From manifest to batches.
        train: The loop.
        version: Of the settings' meanings; see recipe_versions.py.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    system: str
    description: str = ""
    backbones: Backbones
    model: Table = Field(default_factory=dict)
    objectives: dict[str, Weight] = Field(default_factory=dict)
    data: DataSettings = Field(default_factory=DataSettings)
    train: TrainSettings = Field(default_factory=TrainSettings)
    version: int = Field(VERSION, ge=1)

    def to_toml(self) -> str:
        """The recipe as TOML, without `extends`: it stands alone."""
        import tomli_w

        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def recipe_names() -> list[str]:
    """Names of the packaged recipes, sorted."""
    folder = resources.files("radalign.recipes")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a packaged recipe by name or any by path, follow `extends`, apply overrides, check everything.

    Args:
        name_or_path: `clinvla`, or the path of a TOML file.
        overrides: Dotted settings such as `train.epochs=5`; values are TOML, anything else is taken as text.

    Raises:
        RecipeError: If there is no such recipe, or a key or value is wrong.
    """
    table = _read(name_or_path, ())
    for override in overrides:
        _apply(table, override)
    return recipe_from_table(table, str(name_or_path))


def recipe_from_table(table: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Check a table that stands alone.

    Raises:
        RecipeError: One line per wrong key, or what an older or later recipe leaves open.
    """
    unclear = ambiguity(table)
    if unclear:
        raise RecipeError(f"{where} cannot be read as it is: {unclear}")
    try:
        return Recipe.model_validate(dict(table))
    except ValidationError as error:
        raise RecipeError(f"{where} is not a valid recipe:\n{explain(error, Recipe)}") from error


def explain(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """One line per problem of a pydantic error: the dotted key and what is wrong with it.

    Args:
        error: What validation said.
        model: What was validated; with it an unknown key's line lists the keys that there are.
    """
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "recipe"
        said = problem["msg"]
        if problem["type"] == "extra_forbidden":
            known = _keys_beside(problem["loc"], model)
            said = "there is no such setting; " + (f"there are {known}" if known else "check its spelling")
        lines.append(f"  {key}: {said}")
    return "\n".join(lines)


def _keys_beside(place: Sequence[int | str], model: Any) -> str:
    """The keys of the table in which a key stands: `betas, clip, ...`; empty where it is no model's table."""
    for part in place[:-1]:
        fields = getattr(model, "model_fields", {})
        model = fields[part].annotation if part in fields else None
    return ", ".join(sorted(getattr(model, "model_fields", {})))


def merge(base: Mapping[str, Any], over: Mapping[str, Any], deep: bool = True) -> Table:
    """`over` on top of `base`, table by table; `[objectives]` and an encoder's table are replaced whole.

    The keys of `[objectives]` are a choice; those of an encoder describe one encoder together.

    >>> merge({"train": {"epochs": 1, "lr": 2}}, {"train": {"epochs": 3}})
    {'train': {'epochs': 3, 'lr': 2}}
    """
    merged = dict(base)
    for key, value in over.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        deeper = deep and both_tables and key != "objectives"
        merged[key] = merge(merged[key], value, deep=key != "backbones") if deeper else value
    return merged


def _read(name_or_path: str | Path, seen: tuple[str, ...]) -> Table:
    path = _find(name_or_path, seen)
    if str(path) in seen:
        raise RecipeError(
            f"Recipes extend each other in a circle: {' -> '.join((*seen, str(path)))}; remove one `extends`."
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not readable TOML: {error}.") from error
    parent = table.pop("extends", None)
    if parent is None:
        return table
    base = _read(_beside(path, parent), (*seen, str(path)))
    if table.get("system", base.get("system")) != base.get("system"):
        base = {
            k: v for k, v in base.items() if k not in ("model", "objectives")
        }  # another system's settings
    return merge(base, table)


def _find(name_or_path: str | Path, seen: tuple[str, ...]) -> Path:
    path = Path(name_or_path)
    if path.is_file():
        return path
    packaged = resources.files("radalign.recipes") / f"{name_or_path}.toml"
    if packaged.is_file():
        return Path(str(packaged))
    asked = f" (asked for by {seen[-1]})" if seen else ""
    raise RecipeError(
        f"There is no recipe {str(name_or_path)!r}{asked}; packaged are {', '.join(recipe_names())}."
    )


def _beside(path: Path, parent: str) -> str | Path:
    beside = path.parent / parent
    return beside if beside.is_file() else parent


def _apply(table: Table, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"{override!r} is not a setting; write it as `section.key=value`.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *sections, last = key.strip().split(".")
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise RecipeError(f"{override!r}: {section} is a single value, not a section.")
    table[last] = value


def _without_none(value: Any) -> Any:
    """TOML has no null: a setting that is None is left out and gets its default again."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return value
