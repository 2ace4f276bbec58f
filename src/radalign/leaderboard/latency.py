"""How long one study and one report take through the encoders, and how many operations.

What a system or the reader of reports remembers is forgotten before every pass, outside of the time: in use a
study or a report is met once, so an answer from memory would be the time of nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from radalign.evaluate.embeddings import evaluable
from radalign.leaderboard.remember import Remembering
from radalign.study import Manifest


def latency(remembering: Remembering, studies: Manifest, repeats: int = 9) -> dict[str, float]:
    """Median time of one study's images (already read) and of one report, from its words, in ms.

    Args:
        remembering: A system that has embedded the studies.
        studies: The first that can be embedded is timed.
        repeats: Timed passes, after two that warm up.

    Returns:
        `study_ms`, `report_ms`, `studies_per_s` of the whole embedding, reading of files included, and
        `passes`, which only results have whose every pass was computed.
    """
    import torch

    from radalign.data.read_slots import read_slots
    from radalign.data.report_text import report_text

    some = evaluable(studies, remembering)[:1]
    if not some:
        return {}
    system = remembering.system
    batch = read_slots(some, studies, system.recipe.data).to(system.device)
    found = {"passes": float(repeats)}
    with torch.inference_mode(), remembering.precision():
        found["study_ms"] = _median_ms(lambda: system.encode_images(batch), system, repeats)
        if getattr(system, "aligns", True) and some[0].report.body:
            words = report_text(some[0].report, system.recipe.data.text)
            # Tokens are part of the time: some systems read the report there, with rules.
            found["report_ms"] = _median_ms(
                lambda: system.encode_texts(system.tokenize([words]).to(system.device)), system, repeats
            )
    images, _ = remembering.seen
    if remembering.images_s:
        found["studies_per_s"] = images / remembering.images_s
    return found


def study_flops(remembering: Remembering, studies: Manifest, some: int = 8) -> dict[str, float]:
    """Operations of the matrix products that one study's images take, mean of some studies: `study`."""
    import torch

    from radalign.data.read_slots import read_slots
    from radalign.train.profile.products import MatrixProducts

    system = remembering.system
    chosen = evaluable(studies, remembering)[:some]
    if not chosen:
        return {}
    batch = read_slots(chosen, studies, system.recipe.data).to(system.device)
    _forget(system)
    with torch.inference_mode(), MatrixProducts() as count:
        system.encode_images(batch)
    return {"study": count.flops / len(chosen)}


def _median_ms(call: Callable[[], Any], system: Any, repeats: int) -> float:
    times = []
    for _ in range(repeats + 2):
        _forget(system)
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1000 * float(np.median(times[2:]))


def _forget(system: Any) -> None:
    from radalign.reports.assertions import forget
    from radalign.systems.remembered import forget_features

    forget()
    forget_features(system)
