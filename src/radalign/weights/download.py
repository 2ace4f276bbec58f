"""A repository of the model hub on this disk. Only a name that begins with `hf://` comes here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radalign.weights.names import CheckpointError

HUB = "hf://"


def download(spec: str, patterns: Sequence[str] | None = None) -> Path:
    """The folder of a hub repository; what is there already is not fetched again.

    Args:
        spec: `hf://org/name`.
        patterns: Which files; None takes all.

    Raises:
        CheckpointError: There is no network, no such repository, or no right to read it.
    """
    from huggingface_hub import snapshot_download

    asked = None if patterns is None else list(patterns)
    try:
        return Path(snapshot_download(spec.removeprefix(HUB), allow_patterns=asked))
    except (OSError, ValueError) as error:  # the hub's own errors are both
        lines = (line.strip() for line in str(error).splitlines())
        why = next(filter(None, lines), type(error).__name__).rstrip(".")
        raise CheckpointError(
            f"{spec} cannot be downloaded ({why}). Without a network, copy the repository's files "
            "into a folder and name that folder instead (of an encoder: --set backbones.vision=FOLDER)."
        ) from error
