"""The image decoder of a run of masked record modelling in a system that begins with it.

Attention heads leave no trace in the shapes of tensors, and some blocks of a decoder fit like all of them, so
both are compared with what the run's recipe says.
"""

from __future__ import annotations

from typing import Any, TypeVar

from radalign.systems.masked_record import MaskedRecordSettings
from radalign.systems.recipe import Recipe, RecipeError
from radalign.weights.extras import decoder_settings_of

Settings = TypeVar("Settings", bound=MaskedRecordSettings)
_PARTS = {"decoder_heads": "attention heads", "decoder_depth": "blocks"}


def with_heads_of_run(settings: Settings, recipe: Recipe) -> Settings:
    """The settings with the heads of the decoder that comes with the backbone, unless the recipe names some.

    Args:
        settings: Of the system, checked.
        recipe: Its `model` names what its author decided.
    """
    run = decoder_settings_of(recipe.backbones.vision)
    if "decoder_heads" in recipe.model or not _fits(settings, run):
        return settings
    return settings.model_copy(update={"decoder_heads": run["decoder_heads"]})


def need_settings_of_run(settings: MaskedRecordSettings, recipe: Recipe) -> None:
    """Refuse to begin with a run's decoder under other heads, or with a part of its blocks.

    Raises:
        RecipeError: With the setting that fits.
    """
    run = decoder_settings_of(recipe.backbones.vision)
    for name, what in _PARTS.items():
        here = getattr(settings, name)
        if run.get(name, here) != here:
            raise RecipeError(
                f"The image decoder of the run backbones.vision={recipe.backbones.vision} has {run[name]} "
                f"{what}, not {here}; set model.{name}={run[name]}."
            )


def _fits(settings: MaskedRecordSettings, run: dict[str, Any]) -> bool:
    """Whether the tensors of the run's decoder cover one of these settings."""
    deep_enough = bool(run.get("decoder_depth", 0) >= settings.decoder_depth)
    return "decoder_heads" in run and deep_enough and run.get("target_scale") == settings.target_scale
