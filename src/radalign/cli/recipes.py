"""`radalign recipes`: what systems can be trained out of the box."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from radalign.systems.recipe import Recipe


def recipes(
    name: Annotated[str, typer.Argument(help="A recipe to print in full; leave out for the list.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the packaged recipes, or print one in full, with every setting that its system has."""
    from radalign.systems.recipe import load_recipe, recipe_names

    if name:
        recipe = load_recipe(name)
        if as_json:
            table = recipe.model_dump(mode="json") | {"model_defaults": model_defaults(recipe)}
            typer.echo(json.dumps(table, indent=2))
        else:
            typer.echo(with_defaults(recipe))
        return
    rows = {n: load_recipe(n).description for n in recipe_names()}
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        for recipe_name, description in rows.items():
            typer.echo(f"{recipe_name:22} {description}")


def model_defaults(recipe: Recipe) -> dict[str, Any]:
    """The settings of a recipe's system that the recipe leaves as they are: key -> value."""
    from radalign.systems.kinds import system_class

    settings = system_class(recipe).Settings
    return settings().model_dump(mode="json", exclude=set(recipe.model))


def with_defaults(recipe: Recipe) -> str:
    """A recipe as TOML; what it leaves to its system stands in `[model]` as comments, each with what it does.

    As comments, because a few settings mean something else when a recipe names them.
    """
    import tomli_w

    from radalign.systems.kinds import system_class

    fields = system_class(recipe).Settings.model_fields
    lines = []
    for key, value in model_defaults(recipe).items():
        shown = "none" if value is None else tomli_w.dumps({key: value}).split("=", 1)[-1].strip()
        says = fields[key].description
        lines.append(f"# {key} = {' '.join(shown.split())}" + (f"  # {says}" if says else ""))
    head, section, tail = recipe.to_toml().partition("[model]\n")
    return head + section + "".join(f"{line}\n" for line in lines) + tail
