"""Zero-shot AUC on given labels, as a number that a validation may be chosen by (ALTA's public code, A10).

    "There is pneumonia"     ─┐
    "There is no pneumonia"  ─┴─ cosine with every study, their difference ── AUC against the label

It uses labels of the very task: a run that is selected by it is not zero-shot on that task in earnest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

NUMBER = "zero_shot_auc"
PROMPTS = ("There is {}", "There is no {}")


class ZeroShotError(ValueError):
    """The validation studies do not give the labels that `train.zero_shot` names."""


def zero_shot_labels(system: Any) -> tuple[str, ...]:
    """The labels that a recipe asks for; none for a system without the setting."""
    recipe = getattr(system, "recipe", None)
    return tuple(getattr(getattr(recipe, "train", None), "zero_shot", ()))


def zero_shot_auc(system: Any, z_img: Tensor, labels: Tensor | None, names: Sequence[str]) -> float:
    """Mean AUC over the labels of `train.zero_shot`.

    Args:
        system: Its texts are embedded.
        z_img: [N, E] L2-normalised study embeddings.
        labels: int8 [N, C]: 1 present, 0 absent, anything else unknown.
        names: C labels.

    Raises:
        ZeroShotError: If a label is not there, or never present, or never absent.
    """
    found = []
    for wanted in zero_shot_labels(system):
        value = labels[:, list(names).index(wanted)] if labels is not None and wanted in names else None
        if value is None or not bool((value == 1).any()) or not bool((value == 0).any()):
            raise ZeroShotError(
                f"train.zero_shot names {wanted!r}, which no validation studies have as both present and "
                f"absent; name one of {', '.join(names) or 'the labels of the manifest'} that they have."
            )
        word = wanted.replace("_", " ").lower()
        here = next(system.parameters()).device
        prompts = system.tokenize([prompt.format(word) for prompt in PROMPTS]).to(here)
        z_txt = system.encode_texts(prompts).global_.float().cpu()  # [2, E]
        scores = z_img @ z_txt[0] - z_img @ z_txt[1]  # [N]
        found.append(auc(scores[value == 1], scores[value == 0]))
    return sum(found) / len(found)


def auc(present: Tensor, absent: Tensor) -> float:
    """How often a present one scores above an absent one; ties count half.

    >>> from torch import tensor
    >>> auc(tensor([0.9, 0.4]), tensor([0.1, 0.4]))
    0.875
    """
    above = present[:, None] > absent
    return (above.double() + (present[:, None] == absent).double() / 2).mean().item()
