"""What a system is fed and what it gives back: tensors in frozen dataclasses, checked at the door.

ImageBatch ─┐
TextBatch  ─┼─> StudyBatch ──> System.objectives
Embeddings <── System.encode_images, System.encode_texts
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class BatchError(ValueError):
    """A batch has the wrong shape, type or range; the message says what was expected."""


@dataclass(frozen=True)
class ImageBatch:
    """The views of some studies, one grey channel each, in slot order.

    Args:
        images: [B, V, H, W], uint8 (0..255) or float (0..1), bright = dense; a missing view's are ignored.
        view_mask: bool [B, V], True = the view is present.

    Raises:
        BatchError: If shapes, types or the range are wrong, or a study has no view at all.

    >>> one = ImageBatch(torch.zeros(1, 2, 4, 4, dtype=torch.uint8), torch.tensor([[True, False]]))
    >>> len(one), one.slots
    (1, 2)
    """

    images: Tensor
    view_mask: Tensor

    def __post_init__(self) -> None:
        _need(self.images.ndim == 4, f"Images must be [B, V, H, W]; got {list(self.images.shape)}.")
        _need_mask(self.view_mask, self.images.shape[:2], "view_mask")
        _need(
            self.images.dtype == torch.uint8 or self.images.is_floating_point(),
            f"Images must be uint8 (0..255) or float (0..1); got {self.images.dtype}.",
        )
        if _values_can_be_read(self.images):
            _need_unit_range(self.images, self.view_mask)
            absent = (~self.view_mask.any(dim=1)).nonzero().flatten().tolist()
            _need(
                not absent,
                f"Studies {absent} of the batch have no view; drop such studies first.",
            )

    def __len__(self) -> int:
        return self.images.shape[0]

    @property
    def slots(self) -> int:
        """The number of slots, V."""
        return self.images.shape[1]

    def to(self, device: torch.device | str) -> ImageBatch:
        """The same batch on another device."""
        return ImageBatch(self.images.to(device), self.view_mask.to(device))


@dataclass(frozen=True)
class TextBatch:
    """Tokenised texts, padded on the right.

    Args:
        input_ids: int64 [B, L].
        attention_mask: bool [B, L], True = a real token.

    Raises:
        BatchError: If shapes or types are wrong, or a text has no token at all.

    >>> TextBatch(torch.tensor([[101, 7, 102]]), torch.tensor([[True, True, True]])).lengths.tolist()
    [3]
    """

    input_ids: Tensor
    attention_mask: Tensor

    def __post_init__(self) -> None:
        _need(
            self.input_ids.ndim == 2,
            f"input_ids must be [B, L]; got {list(self.input_ids.shape)}.",
        )
        _need(self.input_ids.dtype == torch.int64, f"input_ids must be int64; got {self.input_ids.dtype}.")
        _need_mask(self.attention_mask, self.input_ids.shape, "attention_mask")
        if _values_can_be_read(self.attention_mask):
            empty = (~self.attention_mask.any(dim=1)).nonzero().flatten().tolist()
            _need(not empty, f"Texts {empty} of the batch have no token; keep at least the special tokens.")

    def __len__(self) -> int:
        return self.input_ids.shape[0]

    @property
    def lengths(self) -> Tensor:
        """Real tokens per text, int64 [B]."""
        return self.attention_mask.sum(dim=1)

    def to(self, device: torch.device | str) -> TextBatch:
        """The same batch on another device."""
        return TextBatch(self.input_ids.to(device), self.attention_mask.to(device))


@dataclass(frozen=True)
class StudyBatch:
    """Studies with their reports: row i of the images and row i of the texts are one study.

    Args:
        images: The views, B studies.
        texts: The reports, B texts.
        same: Float [B, B], how far column j's report also describes row i's study (0..1, diagonal 1);
            None when only the own report is right. With W processes it is [W * B, W * B], in gathered order.
        study_ids: B ids, () when unknown.
        labels: [B, C] int8: 1 present, 0 absent, -1 unsure, -2 unknown; None when there are none.

    Raises:
        BatchError: If the parts do not have the same number of studies, or `same` is not an agreement matrix.
    """

    images: ImageBatch
    texts: TextBatch
    same: Tensor | None = None
    study_ids: tuple[str, ...] = ()
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        size = len(self.images)
        _need(
            len(self.texts) == size,
            f"{size} studies but {len(self.texts)} texts; give each study one.",
        )
        _need(
            len(self.study_ids) in (0, size),
            f"{size} studies but {len(self.study_ids)} study ids.",
        )
        if self.labels is not None:
            _need(
                self.labels.shape[:1] == (size,),
                f"labels must be [{size}, C]; got {list(self.labels.shape)}.",
            )
        if self.same is not None:
            whole = self.same.ndim == 2 and self.same.shape[0] == self.same.shape[1]
            fits = whole and size > 0 and self.same.shape[0] % size == 0
            _need(fits, f"same must be [{size}, {size}]; got {list(self.same.shape)}.")
            _need(self.same.is_floating_point(), f"same must be float; got {self.same.dtype}.")
            if _values_can_be_read(self.same):
                _need(bool((self.same.diagonal() == 1).all()), "same must be 1 on its diagonal.")
                _need(bool(((self.same >= 0) & (self.same <= 1)).all()), "same must lie in 0..1.")

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> StudyBatch:
        """The same batch on another device."""
        same = None if self.same is None else self.same.to(device)
        labels = None if self.labels is None else self.labels.to(device)
        return StudyBatch(self.images.to(device), self.texts.to(device), same, self.study_ids, labels)


@dataclass(frozen=True)
class Embeddings:
    """What a system says about studies or texts, always L2-normalised.

    Args:
        global_: [B, E], one vector per study or text.
        local: [B, N, E], one vector per patch or word; None when the system has none.
        mask: bool [B, N], True = a real patch or word; None means all are (or there is no `local`).

    Raises:
        BatchError: If the shapes do not fit each other.

    >>> Embeddings(torch.tensor([[0.6, 0.8]])).global_.norm(dim=1).tolist()
    [1.0]
    """

    global_: Tensor
    local: Tensor | None = None
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        _need(self.global_.ndim == 2, f"global_ must be [B, E]; got {list(self.global_.shape)}.")
        if self.local is None:
            _need(self.mask is None, "A mask without local embeddings makes no sense; give both or neither.")
            return
        fits = self.local.ndim == 3 and self.local.shape[0] == self.global_.shape[0]
        _need(fits, f"local must be [{len(self)}, N, E]; got {list(self.local.shape)}.")
        if self.mask is not None:
            _need_mask(self.mask, self.local.shape[:2], "mask")

    def __len__(self) -> int:
        return self.global_.shape[0]

    def to(self, device: torch.device | str) -> Embeddings:
        """The same embeddings on another device."""
        local = None if self.local is None else self.local.to(device)
        mask = None if self.mask is None else self.mask.to(device)
        return Embeddings(self.global_.to(device), local, mask)


def _need(condition: bool, sentence: str) -> None:
    if not condition:
        raise BatchError(sentence)


def _need_mask(mask: Tensor, shape: torch.Size, name: str) -> None:
    _need(
        mask.dtype == torch.bool and mask.shape == shape,
        f"{name} must be bool {list(shape)} (True = present); got {mask.dtype} {list(mask.shape)}.",
    )


def _values_can_be_read(tensor: Tensor) -> bool:
    # Reading values on an accelerator waits for it, and a graph capture has none to read.
    return tensor.device.type == "cpu" and tensor.numel() > 0 and not torch.compiler.is_compiling()


def _need_unit_range(images: Tensor, view_mask: Tensor) -> None:
    if images.dtype == torch.uint8 or not bool(view_mask.any()):
        return
    low, high = (value.item() for value in images[view_mask].aminmax())
    # NaN fails both comparisons and so is refused too; the margin forgives rounding in an interpolation.
    fits = low >= -1e-3 and high <= 1.001
    _need(
        fits,
        f"Float images must lie in 0..1; got {low:.3g} to {high:.3g}. Give uint8, or divide first.",
    )
