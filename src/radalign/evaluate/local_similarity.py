"""Similarity of an image's patches and a report's words, for retrieval beside or instead of the global one.

    word l attends to the image's patches ─> context c_l ─> cosine r_l ─> (1/5) log mean_l exp(5 r_l)

Patches and words are as long as the local objective takes them, with the scales that it learned (GLoRIA's
fixed ones, 4 over patches and 5 over words, for a system without any): at unit length the attention of a word
is nearly the same over all patches. The mean over words takes away the sum's bias towards long reports, and
dividing by the word scale puts the result on the scale of a cosine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from radalign.data.batches import Embeddings
from radalign.data.read_slots import read_slots
from radalign.evaluate.embeddings import EvaluationError, Progress, StudyEmbeddings, Vectors
from radalign.evaluate.grounding import LocalSystem
from radalign.objectives.local import LocalScales, report_scores_in_chunks
from radalign.study import Manifest

GLORIA = LocalScales(patch=4.0, word=5.0, logit=1 / 5.0)
BATCH = 16


@dataclass(frozen=True)
class LocalParts:
    """Patches or words of N items: [N, M, E] and which are real, bool [N, M]."""

    vectors: Tensor
    mask: Tensor

    def at(self, rows: Sequence[int]) -> LocalParts:
        """The parts of some of the items."""
        return LocalParts(self.vectors[list(rows)], self.mask[list(rows)])


def with_local(
    system: LocalSystem,
    given: StudyEmbeddings,
    manifest: Manifest,
    progress: Progress | None = None,
    texts: Sequence[str] = (),
) -> StudyEmbeddings:
    """The same embeddings with the local similarity of every image and report, [N, N], or text, [N, T].

    Args:
        system: The system that made `given`.
        given: Its embeddings, with the texts.
        manifest: Holds the studies.
        progress: Wraps the loops.
        texts: T texts that stand in for the reports, such as prompts.

    Raises:
        EvaluationError: If the system has no local embeddings or the texts are not known.
    """
    texts = texts or given.texts
    if not texts:
        raise EvaluationError("The local similarity needs the texts; embed the studies with reports=True.")
    return replace(given, local=image_scores(system, given.study_ids, manifest, texts, progress))


def image_scores(
    system: LocalSystem,
    ids: Sequence[str],
    manifest: Manifest,
    texts: Sequence[str],
    progress: Progress | None = None,
) -> Vectors:
    """Local similarity of studies' images (rows) and texts (columns), float32 [N, T]."""
    return local_scores(
        patches_of(system, ids, manifest, progress), words_of(system, texts, progress), progress,
        scales_of(system),
    )  # fmt: skip


def text_scores(
    system: LocalSystem, queries: Sequence[str], texts: Sequence[str], progress: Progress | None = None
) -> Vectors:
    """Local similarity of texts: a candidate's words (columns) attend to a query's words, float32 [Q, T]."""
    asked, known = (words_of(system, some, progress) for some in (queries, texts))
    return local_scores(asked, known, progress, scales_of(system))


def scales_of(system: LocalSystem) -> LocalScales:
    """The scales of a system's local objective, but for the last: scores are on the scale of a cosine."""
    patch, word, _ = (float(torch.as_tensor(s).detach()) for s in getattr(system, "local_scales", GLORIA))
    return LocalScales(patch, word, 1 / word)


@torch.inference_mode()
def local_scores(
    patches: LocalParts, words: LocalParts, progress: Progress | None = None, scales: LocalScales = GLORIA
) -> Vectors:
    """Score of every image (row) for every report (column), float32 [N, R]."""
    starts: Iterable[int] = range(0, len(patches.vectors), BATCH)
    rows = [
        report_scores_in_chunks(
            patches.vectors[s : s + BATCH],
            patches.mask[s : s + BATCH],
            words.vectors,
            words.mask,
            scales,
            "mean",
        ).numpy()
        for s in (progress(starts, "Comparing patches and words") if progress else starts)
    ]
    return np.concatenate(rows).astype(np.float32, copy=False)


@torch.inference_mode()
def patches_of(
    system: LocalSystem, ids: Sequence[str], manifest: Manifest, progress: Progress | None = None
) -> LocalParts:
    """The local embeddings of studies' images."""
    device, see = _device(system), getattr(system, "see", system.encode_images)

    def encode(some: Sequence[str]) -> Embeddings:
        batch = read_slots([manifest[study_id] for study_id in some], manifest, system.recipe.data)
        found: Embeddings = see(batch.to(device))
        return found

    return _joined([_part(encode(some)) for some in _batches(ids, "Embedding patches", progress)])


@torch.inference_mode()
def words_of(system: LocalSystem, texts: Sequence[str], progress: Progress | None = None) -> LocalParts:
    """The local embeddings of texts."""
    device, read = _device(system), getattr(system, "read", system.encode_texts)
    batches = _batches(texts, "Embedding words", progress)
    return _joined([_part(read(system.tokenize(some).to(device))) for some in batches])


def _device(system: LocalSystem) -> torch.device:
    found: torch.device = getattr(system, "device", torch.device("cpu"))
    return found


def _batches(items: Sequence[str], title: str, progress: Progress | None) -> Iterable[Sequence[str]]:
    cut = [items[i : i + BATCH] for i in range(0, len(items), BATCH)]
    return progress(cut, title) if progress else cut


def _part(found: Embeddings) -> LocalParts:
    if found.local is None:
        raise EvaluationError("This system has no local embeddings; use the global similarity.")
    mask = torch.ones(found.local.shape[:2], dtype=torch.bool) if found.mask is None else found.mask.cpu()
    return LocalParts(found.local.float().cpu(), mask)


def _joined(parts: Sequence[LocalParts]) -> LocalParts:
    """Batches of different lengths, padded to the longest."""
    longest = max(part.vectors.shape[1] for part in parts)
    vectors = [torch.nn.functional.pad(p.vectors, (0, 0, 0, longest - p.vectors.shape[1])) for p in parts]
    masks = [torch.nn.functional.pad(p.mask, (0, longest - p.mask.shape[1])) for p in parts]
    return LocalParts(torch.cat(vectors), torch.cat(masks))
