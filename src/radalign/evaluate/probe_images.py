"""Counterfactual images on disk for as long as an evaluation needs them.

    simulated studies ─┐
    fresh patients ────┴─ probes ── rendered twice each ──> Pair(two studies, two sentences) + a manifest

The studies of the manifest come first; if they are fewer than asked for, patients of a seed that no
simulation draws are added, so that no training set has seen them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from radalign.data.phantom.counterfactual import (
    FACTORS,
    Counterfactual,
    counterfactual,
    probes,
    write_probe,
)
from radalign.data.phantom.files import SimulationError
from radalign.evaluate.embeddings import EvaluationError, Progress
from radalign.study import Manifest, Study

FRESH_SEED = 1_000_003


@dataclass(frozen=True)
class Pair:
    """Two versions of one study and the sentence that is true of each alone.

    Args:
        factor: What differs.
        finding: What it differs in.
        patient_id: Whose study it is.
        ids: Of the two versions, in the manifest.
        sentences: Of the two versions.
    """

    factor: str
    finding: str
    patient_id: str
    ids: tuple[str, str]
    sentences: tuple[str, str]


@contextmanager
def rendered_pairs(
    studies: Sequence[Study], count: int, factors: Sequence[str] = tuple(FACTORS), size_px: int = 256,
    progress: Progress | None = None,
) -> Iterator[tuple[list[Pair], Manifest]]:  # fmt: skip
    """Render counterfactual pairs into a temporary folder, which goes when the block ends.

    Args:
        studies: Simulated studies.
        count: Pairs per factor.
        factors: Of `FACTORS`.
        size_px: Side of the images, pixels.
        progress: Wraps the loop over pairs.

    Raises:
        EvaluationError: If the studies are not simulated.
    """
    wanted = [pair for factor in factors for pair in islice(_pairs(studies, factor), count)]
    with TemporaryDirectory(prefix="radalign-probes-") as name:
        folder = Path(name)
        pairs, rows = [], []
        items: Iterable[Counterfactual] = progress(wanted, "Rendering probes") if progress else wanted
        for item in items:
            actual, other = write_probe(item, folder, size_px)
            rows += [*actual, *other]
            ids = actual[-1].id, other[-1].id
            sentences = item.actual.sentence, item.other.sentence
            pairs.append(Pair(item.factor, item.name, actual[-1].patient_id, ids, sentences))
        yield pairs, Manifest(rows, folder)


def _pairs(studies: Sequence[Study], factor: str) -> Iterator[Counterfactual]:
    """The factor's findings in turn: first on the given studies, then on fresh patients without end."""
    names = FACTORS[factor]
    try:
        given = [
            counterfactual(study, factor, names[n % len(names)], n // len(names))
            for n, study in enumerate(studies)
        ]
    except SimulationError as error:
        raise EvaluationError(
            f"Counterfactual images need simulated studies ({error}) "
            "For real reports, use --task report-edits."
        ) from error
    blocks = (probes(factor, 16, FRESH_SEED, start) for start in range(0, 1 << 30, 16))
    return chain(given, chain.from_iterable(blocks))
