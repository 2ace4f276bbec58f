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

from radalign.evaluate.embeddings import Embedder, EvaluationError, embed
from radalign.evaluate.findings import prompted
from radalign.evaluate.prompt_sets import load_prompts
from radalign.evaluate.protocols.protocol import Options, Protocol
from radalign.evaluate.results import Result, joined
from radalign.evaluate.retrieval import RetrievalSettings, evaluate_retrieval
from radalign.evaluate.zero_shot import ZeroShotSettings, evaluate_zero_shot
from radalign.study import Manifest

PROMPTS = "chest-findings"


def run(systems: Mapping[str, Embedder], path: Path, options: Options) -> Result:
    """Retrieval and zero-shot of every system."""
    manifest = Manifest.read(path)
    strict = options.mode == "strict"
    studies = manifest.where(split="test") if strict else manifest
    if not len(studies):
        raise EvaluationError(f"{path} has no split `test`; run `radalign data split`, or use --mode paper.")
    named = {name: embed(system, studies, options.progress) for name, system in systems.items()}
    held = manifest.where(split="validate")
    tuning = {
        n: embed(s, held, options.progress, reports=False) for n, s in systems.items() if strict and len(held)
    }
    prompts = load_prompts(PROMPTS)
    given = {n: prompted(systems[n], named[n], prompts, tuning.get(n)) for n in systems}
    settings = RetrievalSettings(resamples=options.resamples, seed=options.seed)
    parts = [
        evaluate_retrieval(named, settings, options.progress),
        evaluate_zero_shot(
            given, prompts, ZeroShotSettings(options.pooling, options.resamples, options.seed)
        ),
    ]
    return replace(joined(parts), protocol=PROTOCOL.name, mode=options.mode)


PROTOCOL = Protocol(
    "openi",
    "Open-i retrieval and zero-shot",
    "A manifest made by `radalign data import openi`.",
    run,
    "Every study counts, whatever its split; no thresholded metrics.",
)
