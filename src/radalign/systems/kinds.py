"""Where every kind of system lives; its class is imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from radalign.systems.recipe import Recipe, RecipeError

if TYPE_CHECKING:
    from radalign.systems.base import System

# Recipe key -> "module:class". A new system is one more line here.
SYSTEMS = {
    "alta": "radalign.systems.alta:ALTA",
    "clip_adapter": "radalign.systems.clip_adapter:CLIPAdapter",
    "biovil_t": "radalign.systems.biovil_t:BioViLT",
    "clinvla": "radalign.systems.clinvla:ClinVLA",
    "closed_form": "radalign.systems.closed_form:ClosedForm",
    "convirt": "radalign.systems.convirt:ConVIRT",
    "gloria": "radalign.systems.gloria:GLoRIA",
    "hica": "radalign.systems.hica:HiCA",
    "lora": "radalign.systems.lora:LoRA",
    "medklip": "radalign.systems.medklip:MedKLIP",
    "mrm": "radalign.systems.mrm:MRM",
    "nearl_clip": "radalign.systems.nearl_clip:NEARLCLIP",
    "tip_adapter": "radalign.systems.tip_adapter:TipAdapter",
    "two_towers": "radalign.systems.two_towers:TwoTowers",
}


def system_class(recipe: Recipe) -> type[System]:
    """The class of the system that a recipe names.

    Raises:
        RecipeError: If there is no such system.
    """
    if recipe.system not in SYSTEMS:
        raise RecipeError(f"There is no system {recipe.system!r}; there are {', '.join(sorted(SYSTEMS))}.")
    module, _, name = SYSTEMS[recipe.system].partition(":")
    found: type[System] = getattr(import_module(module), name)
    return found
