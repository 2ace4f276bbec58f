"""Begin from a trained system: the tensors of an align run become the start of a downstream run.

runs/align ── same kind, same backbones ──> every own tensor whose name and shape the new system shares
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from radalign.systems.folder import (
    TENSORS,
    SystemFolderError,
    check_backbones,
    located,
    own_tensors,
    saved_recipe,
)

if TYPE_CHECKING:
    from radalign.systems.base import System


@dataclass(frozen=True)
class Started:
    """What a system took over.

    Attributes:
        folder: The folder's own name, without its path.
        sha256: Of its tensors' file.
        taken: Names of the tensors that were taken.
        fresh: Names of trainable or computed tensors that stay as they were drawn.
    """

    folder: str
    sha256: str
    taken: tuple[str, ...]
    fresh: tuple[str, ...]

    def sentence(self) -> str:
        """What a person should know."""
        rest = f"; {len(self.fresh)} start anew ({', '.join(self.fresh[:3])}, ...)" if self.fresh else ""
        return f"Starts from {self.folder}: {len(self.taken)} tensors taken{rest}."


def start_from(system: System, name: str | Path) -> Started:
    """Take the tensors of a trained system into a new one of the same kind, over the same backbones.

    What the earlier recipe had and the new one has not (a reconstruction head) is left behind.

    Args:
        system: New; its recipe may differ in stage, objectives, data and loop.
        name: The trained system's folder or its run's.

    Raises:
        SystemFolderError: If the folder is damaged, of another kind of system, or on other backbones, if a
            shared tensor has another shape, or if it trained a backbone that is frozen here.
    """
    folder = located(name)
    recipe = saved_recipe(folder)
    if recipe.system != system.recipe.system:
        raise SystemFolderError(
            f"{folder} holds a system of kind {recipe.system}, and this run trains {system.recipe.system}; "
            "start from one of the same kind."
        )
    check_backbones(system, folder)
    there, own = own_tensors(folder), system.own_state()
    shared = sorted(own.keys() & there.keys())
    _need_fit(system, folder, own, there)
    system.load_state_dict({n: there[n] for n in shared}, strict=False)
    fresh = system.saved_state().keys() - there.keys()
    with (folder / TENSORS).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Started(Path(name).name, sha256, tuple(shared), tuple(sorted(fresh)))


def _need_fit(system: System, folder: Path, own: Mapping[str, Tensor], there: Mapping[str, Tensor]) -> None:
    frozen = {name for name, p in system.named_parameters() if not p.requires_grad}
    lost = sorted((there.keys() - own.keys()) & frozen)
    wrong = sorted(n for n in own.keys() & there.keys() if own[n].shape != there[n].shape)
    if lost:
        why = (
            f"it trained its backbone ({lost[0]}, ...), which is frozen here; set model.train_backbones=true"
        )
    elif wrong or not own.keys() & there.keys():
        fault = f"{wrong[0]} has another shape there" if wrong else "it shares no tensor with this system"
        why = f"{fault}; use the sizes of its recipe.toml"
    else:
        return
    raise SystemFolderError(f"This run cannot start from {folder}: {why}.")
