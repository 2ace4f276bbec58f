"""Whether a module's tensors are still the same, for what is computed from them once and kept."""

from __future__ import annotations

from torch import nn


def state_of(module: nn.Module) -> tuple[object, ...]:
    """Equal as long as no tensor of the module is changed in place, replaced, moved or cast.

    Tensors made in inference mode count no changes; of those, only a replacement is seen.

    >>> layer = nn.Linear(1, 1)
    >>> before = state_of(layer)
    >>> _ = layer.weight.detach().add_(1)
    >>> state_of(layer) == before
    False
    """
    tensors = (*module.parameters(), *module.buffers())
    return tuple((0 if t.is_inference() else t._version, t.data_ptr(), t.dtype, t.device) for t in tensors)
