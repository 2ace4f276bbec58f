"""The `data` and `train` sections of a recipe: every setting with its unit, its default and its limits.

    DataSettings ── AugmentSettings, TextSettings, SoftTargetSettings
    TrainSettings

Nothing here imports torch, so that a recipe can be read and checked at no cost.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slot = Literal["current_frontal", "current_lateral", "prior_frontal", "prior_lateral"]
Share = tuple[float, float]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AugmentSettings(_Section):
    """Small changes of the training images; there is no flip, because it moves the heart.

    >>> AugmentSettings(rotate_deg=10).rotate_deg
    10.0
    """

    probability: float = Field(1.0, ge=0, le=1, description="Share of the images that change; 0 = off.")
    rotate_deg: float = Field(10.0, ge=0, le=45, description="Largest rotation either way, degrees.")
    translate: float = Field(
        0.05, ge=0, le=0.5, description="Largest shift either way, share of the image's side."
    )
    scale: Share = Field((0.9, 1.1), description="Smallest and largest magnification.")
    shear_deg: float = Field(0.0, ge=0, le=30, description="Largest horizontal shear either way, degrees.")
    brightness: Share = Field((0.8, 1.2), description="Smallest and largest factor on the grey values.")
    contrast: Share = Field(
        (0.8, 1.2), description="Smallest and largest factor on the distance to the mean."
    )
    same_over_time: bool = Field(True, description="Current and prior view of one type change alike (ALTA).")

    @model_validator(mode="after")
    def _ranges_are_ordered(self) -> AugmentSettings:
        for name in ("scale", "brightness", "contrast"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(
                    f"data.augment.{name} must be two positive numbers, smaller first; got {low}, {high}."
                )
        return self


class TextSettings(_Section):
    """Which part of a report trains, and how its sentences vary from epoch to epoch."""

    section: Literal["body", "findings", "impression", "any"] = Field(
        "body",
        description="`body` = findings + impression; `any` draws one of the three per epoch. "
        "A section that a report lacks falls back to the body.",
    )
    shuffle: bool = Field(True, description="Put the sentences in a random order (training only).")
    sample_probability: float = Field(
        0.0, ge=0, le=1, description="Share of the reports cut to some sentences."
    )
    sample_share: Share = Field(
        (0.3, 0.8), description="Smallest and largest share of sentences that a cut keeps."
    )

    @model_validator(mode="after")
    def _shares_are_ordered(self) -> TextSettings:
        low, high = self.sample_share
        if not 0 < low <= high <= 1:
            raise ValueError(
                f"data.text.sample_share must be two shares in 0..1, smaller first; got {low}, {high}."
            )
        return self


class SoftTargetSettings(_Section):
    """When another study's report counts as right too."""

    rule: Literal["none", "identical", "sentences", "labels"] = Field(
        "none",
        description="`identical`: the normalised texts are equal; `sentences`: Jaccard overlap of the "
        "normalised sentences is at least `threshold`; `labels`: the same, non-empty set of present labels.",
    )
    weight: float = Field(
        0.3, ge=0, le=1, description="Agreement given to such a report (the own one has 1)."
    )
    threshold: float = Field(0.5, gt=0, le=1, description="Least Jaccard overlap for the rule `sentences`.")


class DataSettings(_Section):
    """From a manifest to batches: size, geometry, slots, augmentation, text.

    >>> DataSettings().slots
    ('current_frontal', 'current_lateral')
    """

    size_px: int = Field(
        224, ge=8, le=2048, description="Side of the square image that the encoder sees, pixels."
    )
    cache_px: int = Field(0, ge=0, le=2048, description="Side of the cached image, pixels; 0 = size_px.")
    geometry: Literal["stretch", "crop", "pad"] = Field(
        "stretch", description="How a non-square image becomes square."
    )
    resize_px: int = Field(
        0,
        ge=0,
        le=4096,
        description="`crop`: the shorter side is scaled to this before the middle is kept; 0 = size_px.",
    )
    resample: Literal["bilinear", "bicubic"] = Field("bilinear", description="How images are resized.")
    mean: tuple[float, ...] = Field(
        (), description="Mean of the grey values (0..1), one or per channel; empty = the backbone's own."
    )
    std: tuple[float, ...] = Field((), description="Their standard deviation; empty = the backbone's own.")
    window: Literal["dicom", "percentile"] | tuple[float, float] = Field(
        "dicom",
        description="Grey values: the file's own window, percentiles, or (level, width) in modality units.",
    )
    force_window: bool = Field(
        False,
        description="Use such a (level, width) on DICOM images without Hounsfield units (CR, DX) too; warns.",
    )
    crop_collimation: bool = Field(
        False, description="Cut DICOM images to the collimator or shutter edges of their headers."
    )
    slots: tuple[Slot, ...] = Field(
        ("current_frontal", "current_lateral"), description="The model's inputs, in order."
    )
    unknown_view: Literal["frontal", "skip"] = Field(
        "frontal",
        description="A view without a position: take it as frontal when there is no frontal, or skip it.",
    )
    view_choice: Literal["random", "first"] = Field(
        "random",
        description="Which of several views fills a slot in training; evaluation always takes the first.",
    )
    augment: AugmentSettings = Field(
        default_factory=AugmentSettings, description="Small changes of the images."
    )
    text: TextSettings = Field(default_factory=TextSettings, description="Which text, and how it varies.")
    soft_targets: SoftTargetSettings = Field(
        default_factory=SoftTargetSettings, description="Other right reports."
    )
    labels: tuple[str, ...] = Field(
        (), description="Classes in order, for systems that learn from labels; empty = all of the manifest."
    )
    classes: Literal["all", "base", "novel"] = Field(
        "all", description="Which of the classes train: all, the first half (rounded up), or the second."
    )
    shots: int = Field(
        0, ge=0, description="Training studies per class, drawn by train.seed (validation: at most 4); 0: all"
    )

    @model_validator(mode="after")
    def _slots_make_sense(self) -> DataSettings:
        if not self.slots or len(set(self.slots)) != len(self.slots):
            raise ValueError(
                f"data.slots must name each slot once, and at least one; got {list(self.slots)}."
            )
        if 0 < self.cache_px < self.size_px:
            raise ValueError(
                f"data.cache_px ({self.cache_px}) must be 0 or at least data.size_px ({self.size_px})."
            )
        return self

    @model_validator(mode="after")
    def _preprocessing_makes_sense(self) -> DataSettings:
        if self.resize_px and (self.geometry != "crop" or self.resize_px < self.size_px):
            raise ValueError(
                f"data.resize_px ({self.resize_px}) is for data.geometry = 'crop' and must be at least "
                f"data.size_px ({self.size_px}); set both, or data.resize_px=0."
            )
        if self.force_window and isinstance(self.window, str):
            raise ValueError(
                f"data.force_window is for data.window = [level, width], which is {self.window!r}; set "
                "that, or data.force_window=false."
            )
        lengths = (len(self.mean), len(self.std))
        if lengths not in ((0, 0), (1, 1), (3, 3)) or any(value <= 0 for value in self.std):
            raise ValueError(
                "data.mean and data.std must be given together, one number or three each, the second "
                f"positive; got {list(self.mean)}, {list(self.std)}."
            )
        return self

    def enlarged(self, scale: int) -> DataSettings:
        """The same with images `scale` times as large, for targets that are finer than the input.

        >>> DataSettings(size_px=224).enlarged(2).size_px
        448
        """
        if scale == 1:
            return self
        size_px = self.size_px * scale
        if 0 < self.cache_px < size_px:
            raise ValueError(
                f"data.cache_px ({self.cache_px}) is smaller than the images to rebuild ({size_px} px); set "
                "it to 0 or at least to that."
            )
        return self.model_copy(update={"size_px": size_px, "resize_px": self.resize_px * scale})

    @property
    def cached_px(self) -> int:
        """Side of the cached image, pixels."""
        return self.cache_px or self.size_px

    @property
    def cached_resize_px(self) -> int:
        """What `resize_px` is for the cached image: the same margin."""
        return self.resize_px * self.cached_px // self.size_px


class TrainSettings(_Section):
    """The loop: how long, how fast, what is kept.

    >>> TrainSettings(epochs=5).accumulate
    1
    """

    epochs: int = Field(10, ge=1, description="Passes over the training studies.")
    batch_size: int = Field(32, ge=1, description="Studies per forward pass (per process).")
    few_shot_batch_size: int = Field(
        0, ge=0, description="Studies per forward pass when data.shots is 1 to 4; 0 = batch_size."
    )
    optimiser: Literal["adamw", "sgd"] = Field("adamw", description="AdamW, or SGD with momentum.")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD's momentum.")
    accumulate: int = Field(1, ge=1, description="Forward passes per optimiser step.")
    lr: float = Field(
        1e-4, gt=0, description="Base learning rate; a system's parameter groups may set their own."
    )
    weight_decay: float = Field(1e-4, ge=0, description="AdamW's decoupled, or SGD's L2, weight decay.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="AdamW's two moment decays.")
    eps: float = Field(1e-8, gt=0, description="AdamW's lower bound of the second moment's root.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="After the warm-up: half a cosine, or flat."
    )
    warmup_epochs: float = Field(1.0, ge=0, description="Epochs of linear warm-up (fractions allowed).")
    warmup_lr: float = Field(
        0.0, ge=0, description="Constant learning rate of the warm-up (CoOp: 1e-5); 0 = a linear one."
    )
    horizon_epochs: float = Field(
        0.0, ge=0, description="Epoch at which the cosine ends; 0 = epochs (ALTA uses 100)."
    )
    anneal_to: Literal["epochs", "time"] = Field(
        "epochs",
        description="What ends the cosine: the horizon (repeats to the bit), or max_minutes if sooner.",
    )
    final_lr_share: float = Field(
        0.0, ge=0, le=1, description="Share of the learning rate left where the cosine ends."
    )
    clip: float = Field(0.0, ge=0, description="Largest gradient norm; 0 = no clipping.")
    average: Literal["none", "ema", "uniform"] = Field(
        "none",
        description="Weights that are validated and saved: the last, an exponential or a plain average.",
    )
    average_decay: float = Field(0.999, gt=0, lt=1, description="Decay per step of the exponential average.")
    average_from_epoch: float = Field(0.0, ge=0, description="Epoch at which averaging starts.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="`auto` = bf16 where the hardware has it."
    )
    seed: int = Field(0, ge=0, description="Seed of order, augmentation, masks and initial weights.")
    workers: int = Field(0, ge=0, description="Loader threads; 0 = load in the training thread.")
    group_by_length: bool = Field(
        False, description="Batches of reports of similar length (less spread, less waste)."
    )
    max_minutes: float = Field(
        0.0,
        ge=0,
        description="Stop after this wall time (it counts a warm start), validating once more; 0 = no limit.",
    )
    save_every_steps: int = Field(
        0, ge=0, description="Optimiser steps between resume points; 0 = once per epoch."
    )
    select: str = Field(
        "r10",
        description="Validation number that picks the best checkpoint: larger is better (`loss`: smaller); "
        "of two equal ones, that with the smaller validation loss.",
    )
    zero_shot: tuple[str, ...] = Field(
        (),
        description="Labels whose mean zero-shot AUC each validation adds as `zero_shot_auc`, to select by.",
    )
    patience: int = Field(0, ge=0, description="Stop after so many epochs without a better one; 0 = never.")
    validate_studies: int = Field(0, ge=0, description="Studies used in validation, spread evenly; 0 = all.")
    validate_every_epochs: int = Field(
        1, ge=1, description="Epochs between validations; the last always has one."
    )
    validate_at_start: bool = Field(
        True, description="Validate before the first step too: the untrained system."
    )
    track: Literal["none", "tensorboard"] = Field("none", description="Also write curves for TensorBoard.")

    @model_validator(mode="after")
    def _the_rate_lasts(self) -> TrainSettings:
        ends = self.schedule == "cosine" and 0 < self.horizon_epochs < self.epochs
        if ends and not self.final_lr_share:
            raise ValueError(
                f"train.horizon_epochs ({self.horizon_epochs:g}) is before the last of {self.epochs} epochs, "
                "so the rest would have a learning rate of 0; raise it, lower train.epochs or set "
                "train.final_lr_share."
            )
        return self
