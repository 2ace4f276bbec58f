"""Open-i (Indiana University): study-level retrieval and zero-shot classification of seven findings.

    a manifest (Parquet), from `radalign data import openi`

| | paper | strict |
|---|---|---|
| studies | all, whatever their split | the split `test` |
| thresholds, temperature | none: AUC only | from the split `validate` |

References:
    Demner-Fushman et al., JAMIA 2016;23(2):304-310. Papers report zero-shot AUC on the whole collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from radalign.evaluate.embeddings import Embedder, EvaluationError, StudyEmbeddings, embed, only_groups
from radalign.evaluate.findings import prompt_texts, prompted
from radalign.evaluate.grounding import LocalSystem
from radalign.evaluate.local_similarity import with_local
from radalign.evaluate.prompt_sets import PromptSet, load_prompts
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.readable import ask_of_readable, without
from radalign.evaluate.results import Result, joined
from radalign.evaluate.retrieval import RetrievalSettings, Similarity, evaluate_retrieval
from radalign.evaluate.zero_shot import ZeroShotSettings, evaluate_zero_shot
from radalign.study import Manifest

PROMPTS = "chest-findings"


def run(systems: Mapping[str, Embedder], path: Path, options: Options) -> Result:
    """Retrieval and zero-shot of every system."""
    manifest = Manifest.read(path)
    studies = manifest.where(split="test") if options.mode == "strict" else manifest
    if not len(studies):
        raise EvaluationError(f"{path} has no split `test`; run `radalign data split`, or use --mode paper.")

    def ask(held: Manifest) -> Result:
        return _evaluated(systems, held, options)

    result, gone = ask_of_readable(ask, manifest, studies, systems.values(), options.progress)
    return without(result, gone)


def _evaluated(systems: Mapping[str, Embedder], manifest: Manifest, options: Options) -> Result:
    strict = options.mode == "strict"
    studies = manifest.where(split="test") if strict else manifest
    named = {
        name: only_groups(embed(system, studies, options.progress), options.subgroups)
        for name, system in systems.items()
    }
    held = manifest.where(split="validate")
    tuning = {
        n: embed(s, held, options.progress, reports=False) for n, s in systems.items() if strict and len(held)
    }
    prompts = load_prompts(options.prompts or PROMPTS)
    if not prompts.findings:
        raise EvaluationError(f"{options.prompts!r} holds no findings; choose a set with [[finding]] tables.")
    seen, tuned = (_asked(systems, part, manifest, prompts, options) for part in (named, tuning))
    given = {n: prompted(systems[n], seen[n], prompts, tuned.get(n), options.similarity) for n in systems}
    if options.similarity != "global":
        named = {n: with_local(cast("LocalSystem", systems[n]), z, manifest) for n, z in named.items()}
    settings = RetrievalSettings(
        similarity=cast("Similarity", options.similarity), resamples=options.resamples, seed=options.seed
    )
    parts = [
        evaluate_retrieval(named, settings, options.progress),
        evaluate_zero_shot(
            given, prompts, ZeroShotSettings(options.pooling, options.resamples, options.seed)
        ),
    ]
    return replace(joined(parts), protocol=PROTOCOL.name, mode=options.mode)


def _asked(
    systems: Mapping[str, Embedder],
    given: Mapping[str, StudyEmbeddings],
    manifest: Manifest,
    prompts: PromptSet,
    options: Options,
) -> Mapping[str, StudyEmbeddings]:
    """The studies, compared with the prompts word by word where that is asked for."""
    if options.similarity == "global":
        return given
    texts = prompt_texts(prompts)
    return {
        name: with_local(cast("LocalSystem", systems[name]), studies, manifest, options.progress, texts)
        for name, studies in given.items()
    }


PROTOCOL = Protocol(
    "openi",
    "Open-i retrieval and zero-shot",
    "A manifest made by `radalign data import openi`.",
    run,
    "Every study counts, whatever its split; no thresholded metrics.",
)
