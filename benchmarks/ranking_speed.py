"""How fast, and in how much memory, are the retrieval metrics?

    python benchmarks/ranking_speed.py [--out ranking_speed.json] [--large]

R@1/5/10, P@5/10 by shared labels, MRR and median rank of 10,000 queries against 10,000 candidates, one
thread: wall time against the goal of 3 s, against the machine's own limit (the same scores by one matrix
product) and against the usual way (numpy argsort of the whole matrix). Memory: 2,000 queries (with --large:
100,000) against 100,000 candidates, above what the embeddings take. Processor time is given beside wall time,
because on a busy machine only the first says how much work it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

from radalign.data.provenance import peak_memory_bytes, provenance
from radalign.evaluate.ranking import dot_products, rank_scores
from radalign.evaluate.relevance import Pairs, SharedLabel, own

GOAL_S, GOAL_BYTES = 3.0, 512 << 20
WIDTH, LABELS = 128, 9


def embeddings(queries: int, candidates: int) -> tuple[np.ndarray, np.ndarray]:
    """Random unit vectors; a query lies near the candidate of its index."""
    random = np.random.default_rng(0)
    z = random.standard_normal((candidates, WIDTH), dtype=np.float32)
    q = z[:queries] + random.standard_normal((queries, WIDTH), dtype=np.float32)
    return q / np.linalg.norm(q, axis=1, keepdims=True), z / np.linalg.norm(z, axis=1, keepdims=True)


def ours(q: np.ndarray, z: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The metrics by `rank_scores`."""
    right = {"own": own(len(q)), "labels": SharedLabel(labels, labels)}
    found = rank_scores(dot_products(q, z), right, ks=(1, 5, 10))
    pair, alike = found["own"], found["labels"]
    return {
        "R@10": float(np.nanmean(pair.recall(10))),
        "MRR": float(np.nanmean(pair.reciprocal_rank())),
        "median rank": float(np.nanmedian(pair.rank())),
        "P@10": float(np.nanmean(alike.precision(10))),
    }


def usual(q: np.ndarray, z: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The metrics by sorting the whole score matrix, as evaluation scripts do."""
    order = np.argsort(-(q @ z.T), axis=1, kind="stable")
    ranks = np.argmax(order == np.arange(len(q))[:, None], axis=1) + 1
    shares = (labels.astype(np.float32) @ labels.T.astype(np.float32)) > 0
    hits = np.take_along_axis(shares, order[:, :10], axis=1)
    asked = shares.any(axis=1)
    return {
        "R@10": float((ranks <= 10).mean()),
        "MRR": float((1 / ranks).mean()),
        "median rank": float(np.median(ranks)),
        "P@10": float(hits[asked].mean()),
    }


def seconds(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall time and median processor time."""
    wall, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(processor)


def speed(repeats: int) -> dict[str, object]:
    """The 10,000 x 10,000 case against the goal, the limit and the usual way."""
    q, z = embeddings(10_000, 10_000)
    labels = np.random.default_rng(1).random((10_000, LABELS)) < 0.1
    mine, theirs = ours(q, z, labels), usual(q, z, labels)
    gap = max(abs(mine[name] - theirs[name]) for name in mine)
    (wall_s, own_s), (_, limit_s) = (
        seconds(lambda: ours(q, z, labels), repeats),
        seconds(lambda: q @ z.T, repeats),
    )
    _, usual_s = seconds(lambda: usual(q, z, labels), 1)
    return {
        "wall_s": wall_s, "ours_s": own_s, "matrix_product_s": limit_s, "argsort_s": usual_s,
        "goal_s": GOAL_S, "times_the_matrix_product": own_s / limit_s,
        "times_as_fast_as_argsort": usual_s / own_s,
        "largest_difference_to_argsort": gap, "metrics": mine, "reached": own_s < GOAL_S,
    }  # fmt: skip


def memory(queries: int) -> dict[str, object]:
    """Peak memory of what numpy allocates above the embeddings, against 100,000 candidates."""
    q, z = embeddings(queries, 100_000)
    tracemalloc.start()
    start, used = time.perf_counter(), time.process_time()
    rank_scores(dot_products(q, z), {"own": Pairs(np.arange(queries), 100_000)}, ks=(1, 5, 10))
    extra = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "queries": queries, "candidates": 100_000, "wall_s": time.perf_counter() - start,
        "processor_s": time.process_time() - used, "peak_process_bytes": peak_memory_bytes(),
        "extra_bytes": extra, "goal_bytes": GOAL_BYTES, "whole_matrix_bytes": 4 * queries * 100_000,
        "reached": extra < GOAL_BYTES,
    }  # fmt: skip


def one_thread() -> None:
    """Start again with one thread for matrix products, unless that is so already."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    if any(os.environ.get(name) != "1" for name in names):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(names, "1"))


def main() -> None:
    """Run, print ratios, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("ranking_speed.json"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="100,000 queries in the memory test (minutes).")
    given = parser.parse_args()
    one_thread()
    room = memory(100_000 if given.large else 2_000)
    fast = speed(given.repeats)
    print(
        f"10,000 x 10,000: {fast['ours_s']:.2f} s of one core, {fast['wall_s']:.2f} s wall, "
        f"goal {GOAL_S} s; "
        f"{fast['times_the_matrix_product']:.1f} x the matrix product alone, "
        f"{fast['times_as_fast_as_argsort']:.1f} x as fast as argsort of the whole matrix."
    )
    print(
        f"{room['queries']:,} x 100,000: {room['extra_bytes'] / 2**20:.0f} MiB above the embeddings "
        f"(the whole matrix takes {room['whole_matrix_bytes'] / 2**20:.0f} MiB), "
        f"{room['processor_s']:.0f} s of one core, {room['wall_s']:.0f} s wall; "
        f"the process held {room['peak_process_bytes'] / 2**20:.0f} MiB at most."
    )
    given.out.write_text(
        json.dumps({"speed": fast, "memory": room, "made_by": provenance()}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
