"""Which slot each present view sits in, for modules that treat every slot differently."""

from __future__ import annotations

from torch import Tensor


def slot_of_each_view(present: Tensor, slots: int) -> Tensor:
    """The slot of every present view: bool [B, V] -> int [N], N = present views, study by study.

    Args:
        present: bool [B, V], True = the view is there.
        slots: V that the module was made for.

    Raises:
        ValueError: If the batch has another number of slots; its places would then mean something else.

    >>> import torch
    >>> slot_of_each_view(torch.tensor([[True, True], [False, True]]), 2).tolist()
    [0, 1, 1]
    """
    if present.shape[1] != slots:
        raise ValueError(
            f"The batch has {present.shape[1]} slots per study and this model was made for {slots}; "
            "read the batch with the model's own recipe (data.slots)."
        )
    return present.nonzero()[:, 1]
