"""Recipes whose settings exclude each other: each is refused in one sentence before an image is read.

A setting's own limits are in its section; here is what only several settings together show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator

from radalign.systems.recipe import RecipeError


def checked_template(template: str) -> str:
    """A prompt with exactly one place for the class, `{}`.

    Raises:
        ValueError: If there is another place, none, or several.

    >>> checked_template("a photo of a {}.")
    'a photo of a {}.'
    """
    try:
        places = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError:
        places = []
    if places != [""]:
        raise ValueError(
            f"{template!r} must name the class once, as {{}}; write it like 'a photo of a {{}}.'"
        )
    return template


Template = Annotated[str, AfterValidator(checked_template)]


def checked_shares(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    """Three shares of one whole.

    Raises:
        ValueError: If one is negative or their sum is not 1.

    >>> checked_shares((0.8, 0.1, 0.1))
    (0.8, 0.1, 0.1)
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"three shares of one whole must be 0 or more and add up to 1; got {list(shares)}")
    return shares


WordShares = Annotated[tuple[float, float, float], AfterValidator(checked_shares)]


REGULARISERS = frozenset({"orthogonality"})  # zero at the start, so that alone they move nothing


def need_objective(trains: bool, weights: Mapping[str, float], names: Sequence[str]) -> None:
    """Refuse to train what no loss reaches.

    Args:
        trains: Whether the system has a trainable parameter.
        weights: The recipe's objectives.
        names: The objectives that the system has.

    Raises:
        RecipeError: If every weight is 0, or of a regulariser alone.
    """
    if trains and not any(weight for name, weight in weights.items() if name not in REGULARISERS):
        known = ", ".join(name for name in names if name not in REGULARISERS)
        raise RecipeError(f"No objective has a weight above 0, so nothing could train; set one of {known}.")


def need_more_than_scales(trained: Sequence[str]) -> None:
    """Refuse to train temperatures alone: no embedding would ever move.

    Args:
        trained: Names of the trainable parameters.

    Raises:
        RecipeError: If there are no others.

    >>> need_more_than_scales(["image_head.weight", "log_scale"])
    """
    if trained and all(name.endswith(("log_scale", "log_scales")) for name in trained):
        raise RecipeError(
            f"Nothing but temperatures would train ({', '.join(trained)}), so that no embedding could move; "
            "let heads, adapters or an encoder train."
        )


def need_targets(slots: Sequence[str], mask_ratio: float, slot: str = "") -> None:
    """Refuse pixels to rebuild that are not there.

    Args:
        slots: The recipe's.
        mask_ratio: Share of patches dropped.
        slot: The one that is rebuilt; "" for all.

    Raises:
        RecipeError: If no patch is dropped, or the slot is no input.
    """
    if not mask_ratio:
        raise RecipeError(
            "objectives.image_reconstruction rebuilds dropped patches; set model.mask_ratio above 0."
        )
    if slot and slot not in slots:
        raise RecipeError(
            f"objectives.image_reconstruction rebuilds {slot}, which is not in data.slots; "
            "add it, or set objectives.image_reconstruction=0."
        )


def need_transformer(system: str, identity: str) -> None:
    """Refuse a convolutional tower where adapters, dropped patches or levels need a transformer's blocks.

    Raises:
        RecipeError: Always; it names the encoder and the systems that take it.
    """
    raise RecipeError(
        f"The system {system!r} works inside the blocks of a vision transformer, and backbones.vision "
        f"({identity.partition(' ')[0]}) is a ResNet, which has none; name a ViT, or take one of the systems "
        "two_towers, convirt, gloria, biovil_t, medklip and hica."
    )


def need_whole_patches(size_px: int, patch_px: int) -> None:
    """Refuse an image that is no grid of patches.

    Raises:
        RecipeError: With the nearest smaller size that is one.

    >>> need_whole_patches(224, 14)
    """
    if size_px % patch_px:
        raise RecipeError(
            f"data.size_px={size_px} is no multiple of a patch ({patch_px} px); "
            f"use {size_px // patch_px * patch_px or patch_px}."
        )


def need_decoder_heads(width: int, heads: int) -> None:
    """Refuse heads of the image decoder that the vision encoder's width does not allow.

    Raises:
        RecipeError: The published 6 heads fit a width of 768 or 384, not of 1024.
    """
    if width % heads:
        raise RecipeError(
            f"The vision encoder's width of {width} does not divide into {heads} heads of the image decoder; "
            "set model.decoder_heads."
        )


def need_bottleneck(width: int, ratio: float) -> None:
    """Refuse adapters without a single hidden number.

    Raises:
        RecipeError: If the share of the width rounds down to none.
    """
    if int(width * ratio) < 1:
        raise RecipeError(
            f"{ratio:g} of a width of {width} is no number at all, so that no adapter could learn; "
            f"set model.adapter_ratio to at least {1 / width:.2g}."
        )


def need_mask(settings: Any) -> None:
    """Refuse a way to draw the kept patches where all are kept.

    Raises:
        RecipeError: If nothing is dropped.
    """
    if settings.mask != "random" and not settings.mask_ratio:
        raise RecipeError(
            f'model.mask="{settings.mask}" draws the patches that are kept, but none is dropped; '
            "set model.mask_ratio above 0."
        )


def need_started_heads(settings: Any) -> None:
    """Refuse to leave heads as they were drawn at random.

    Raises:
        RecipeError: If the global heads are neither started nor trained.
    """
    if settings.warm_start == "none" and not settings.train_heads:
        raise RecipeError(
            "model.train_heads=false leaves the global heads as they were drawn, for there is no warm start; "
            "set model.warm_start=cca, or model.train_heads=true."
        )


def need_maps(settings: Any) -> None:
    """Refuse to train the warm start's maps where there are none.

    Raises:
        RecipeError: If the recipe asks for it.
    """
    if settings.warm_start == "none" and settings.train_maps:
        raise RecipeError("model.train_maps trains the warm start's maps; set model.warm_start=cca.")


def need_own_heads(warm_start: str) -> None:
    """Refuse a warm start of heads for encoders that share a space, which have none.

    Raises:
        RecipeError: If the recipe asks for one.
    """
    if warm_start != "none":
        raise RecipeError(
            f"model.warm_start={warm_start} starts heads, but these encoders share a space and have none; "
            "set model.warm_start=none."
        )


def need_downstream_adapters(settings: Any) -> None:
    """Refuse ClinVLA's second stage without the task adapters that it trains (R17).

    Raises:
        RecipeError: If there are none, or the backbones are to train too.
    """
    if settings.stage != "downstream":
        return
    if not settings.task or not settings.adapter_hidden:
        raise RecipeError(
            'model.stage = "downstream" trains task adapters; set model.task=true and model.adapter_hidden '
            "above 0."
        )
    if settings.train_backbones:
        raise RecipeError(
            'model.stage = "downstream" freezes all but task adapters; set model.train_backbones=false.'
        )


def need_queries(settings: Any, weights: Mapping[str, float]) -> None:
    """Refuse sizes and objectives that NEARL-CLIP's interaction does not allow.

    Raises:
        RecipeError: If the heads do not divide the attention's width, or texts that see images are to be
            told apart from the reports of other studies.
    """
    if settings.inner_width % settings.inner_heads:
        raise RecipeError(
            f"model.inner_width={settings.inner_width} does not divide into model.inner_heads="
            f"{settings.inner_heads}; set one of them."
        )
    if weights.get("global_contrastive") and settings.interaction != "prototype":
        raise RecipeError(
            "objectives.global_contrastive needs texts that do not see the images; "
            'set model.interaction="prototype".'
        )


def interacts(settings: Any, has_heads: bool) -> bool:
    """Whether a tower of NEARL-CLIP has adapters, which alone read the queries.

    Raises:
        RecipeError: If none has and there are no heads either: nothing would train.
    """
    found = bool(settings.vision_adapters or settings.text_adapters)
    if not found and not has_heads:
        raise RecipeError(
            "Without adapters nothing trains on encoders that share a space; set model.vision_adapters "
            "or model.text_adapters to true."
        )
    return found
