"""`radalign recipes`: what systems can be trained out of the box."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def recipes(
    name: Annotated[str, typer.Argument(help="A recipe to print in full; leave out for the list.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the packaged recipes, or print one with everything it inherits."""
    from radalign.systems.recipe import load_recipe, recipe_names

    if name:
        recipe = load_recipe(name)
        typer.echo(json.dumps(recipe.model_dump(mode="json"), indent=2) if as_json else recipe.to_toml())
        return
    rows = {n: load_recipe(n).description for n in recipe_names()}
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        for recipe_name, description in rows.items():
            typer.echo(f"{recipe_name:22} {description}")
