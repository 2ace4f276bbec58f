"""The same encoders and heads without what the adapters learned: the baseline "unadapted"."""

from __future__ import annotations

from radalign.evaluate.embeddings import EvaluationError
from radalign.systems.base import System, build, part_of


def unadapted(system: System) -> System:
    """A copy of a trained system whose adapters are back at their start, the heads kept.

    Adapters start as the identity (zero up-projections), so the copy's towers are the frozen encoders.

    Args:
        system: A trained system.

    Raises:
        EvaluationError: If the system has no adapters, or its adapters do not start as the identity.
    """
    if system.recipe.model.get("adapter_init", "zero") != "zero":
        raise EvaluationError(
            "This system's adapters do not start as the identity (adapter_init), so there are no unadapted "
            "encoders to compare with; give the folder of a run as --baseline instead."
        )
    state = system.own_state()
    kept = {name: tensor for name, tensor in state.items() if not part_of(name, False).endswith("adapters")}
    if len(kept) == len(state):
        raise EvaluationError("This system has no adapters; give the folder of another run as --baseline.")
    fresh = build(system.recipe)
    fresh.load_state_dict(kept, strict=False)
    return fresh.to(system.device).eval()
