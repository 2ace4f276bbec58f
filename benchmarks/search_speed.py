"""How fast is exact search, against numpy's argsort of the same vectors, and against one pass over them?

The peer does no more than it must: one float32 matrix-vector product and `np.argsort`. The index also gives
ties by id, percentiles, rows and filters. Adding is compared with saving and syncing the vectors, opening
with reading the files' bytes once.

    OMP_NUM_THREADS=1 python benchmarks/search_speed.py [--studies 100000] [--width 128] [--json out.json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from radalign.search.filters import Filter
from radalign.search.index import Index
from radalign.search.rows import Row

K = 10


def best_s(
    run: Callable[[], object], times: int = 7, clock: Callable[[], float] = time.process_time
) -> float:
    """The best of some runs in processor time (one thread), so that a busy machine counts less."""
    taken = []
    for _ in range(times):
        start = clock()
        run()
        taken.append(clock() - start)
    return min(taken)


def unit(count: int, width: int, seed: int) -> np.ndarray:
    """Random directions, float32 [count, width]."""
    vectors = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows(count: int) -> list[Row]:
    """Rows as an archive has them: one percent has the label Edema."""
    report = "There is a small left pleural effusion. The heart is normal in size. No pneumothorax. " * 3
    return [
        Row(f"study-{i:07d}", f"p{i // 3}", ("PA", "LL"), ("a/f.png", "a/l.png"), "/archive",
            ("Edema",) if i % 100 == 0 else ("Effusion",), report=report, age_years=50.0, sex="F")
        for i in range(count)
    ]  # fmt: skip


def fill(folder: Path, vectors: np.ndarray, held: list[Row], per_write: int) -> Index:
    """A new index, written in pieces."""
    shutil.rmtree(folder, ignore_errors=True)
    index = Index.create(folder, "bench", vectors.shape[1])
    for start in range(0, len(vectors), per_write):
        part = slice(start, start + per_write)
        index.add([row.study_id for row in held[part]], vectors[part], held[part])
    return index


def plain_write(folder: Path, vectors: np.ndarray) -> None:
    """The peer of adding: the same vectors, saved and synced."""
    with (folder / "plain.npy").open("wb") as file:
        np.save(file, vectors)
        file.flush()
        os.fsync(file.fileno())


def measure(folder: Path, studies: int, width: int) -> dict[str, float]:
    """All numbers, in seconds and ratios."""
    vectors, queries, held = unit(studies, width, 0), unit(64, width, 1), rows(studies)
    start = time.perf_counter()
    index = fill(folder / "idx", vectors, held, 10_000)
    add_s = time.perf_counter() - start
    one, edema = queries[0], Filter(labels=("Edema",))
    ours = [hit.study_id for hit in index.search(one, K)[0]]
    peer = [held[i].study_id for i in np.argsort(-(vectors @ one), kind="stable")[:K]]
    if ours != peer:
        raise SystemExit("The index and the peer disagree; this is a bug, not a speed.")
    numbers = {
        "search_one_s": best_s(lambda: index.search(one, K)),
        "search_64_per_query_s": best_s(lambda: index.search(queries, K), 3) / 64,
        "search_filtered_s": best_s(lambda: index.search(one, K, edema)),
        "peer_argsort_s": best_s(lambda: np.argsort(-(vectors @ one), kind="stable")[:K]),
        "peer_read_vectors_once_s": best_s(lambda: vectors @ one),
        "open_s": best_s(lambda: Index.open(folder / "idx"), 3),
        "peer_read_files_s": best_s(lambda: [p.read_bytes() for p in (folder / "idx").rglob("*.*")], 3),
        "add_s": add_s,
        "add_64_s": best_s(lambda: add_and_delete(index, vectors[:64]), 3, time.perf_counter),
        "peer_save_s": best_s(lambda: plain_write(folder, vectors), 3, time.perf_counter),
    }
    return numbers | {
        "argsort_over_search": numbers["peer_argsort_s"] / numbers["search_one_s"],
        "argsort_over_search_64": numbers["peer_argsort_s"] / numbers["search_64_per_query_s"],
        "search_over_one_pass": numbers["search_one_s"] / numbers["peer_read_vectors_once_s"],
        "open_over_reading": numbers["open_s"] / numbers["peer_read_files_s"],
        "added_per_s": studies / add_s,
    }


def add_and_delete(index: Index, vectors: np.ndarray) -> None:
    """Two acknowledged changes: 64 studies come and go."""
    ids = [f"new-{i}" for i in range(len(vectors))]
    index.add(ids, vectors)
    index.delete(ids)


def main() -> None:
    """Measure, print the ratios, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.studies, options.width)
    result |= {"studies": options.studies, "width": options.width, "k": K}
    print(f"{options.studies} studies, {options.width} wide, {K} hits, exact:")
    for name, value in result.items():
        print(f"  {name:28s} {value:.4g}")
    print(f"Plain argsort takes {result['argsort_over_search']:.2f}x as long as one search.")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
