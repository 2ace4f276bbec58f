"""Benchmark sets that everybody draws anew, built by rule with an explicit seed and a hash of the list."""

from __future__ import annotations

from pathlib import Path

from radalign.data.benchmark_sets.built import BenchmarkError, BenchmarkList, Built

__all__ = ["SETS", "BenchmarkError", "BenchmarkList", "Built", "build"]

SETS = ("chexpert-5x200", "chexpert-8x200", "rsna", "mscxr-t")


def build(name: str, folder: Path, out: Path, seed: int = 0, extra: Path | None = None) -> Built:
    """Build a benchmark set and write its lists.

    Args:
        name: One of `SETS`.
        folder: The data set's folder; for 8x200 also that of ConVIRT's own lists, which are then checked.
        out: Where the lists go.
        seed: Of the draw.
        extra: For 5x200 the table of CheXpert Plus (impressions); for MS-CXR-T the folder of MIMIC-CXR-JPG.

    Raises:
        BenchmarkError: If there is no such set, or it cannot be built from what is there.
    """
    if name == "chexpert-5x200":
        from radalign.data.benchmark_sets.chexpert import build_5x200

        return build_5x200(folder, out, seed, extra)
    if name == "chexpert-8x200":
        from radalign.data.benchmark_sets.chexpert import build_8x200, published_8x200

        published = (folder / "image-retrieval" / "candidate.csv").is_file()
        return published_8x200(folder) if published else build_8x200(folder, out, seed)
    if name == "rsna":
        from radalign.data.benchmark_sets.rsna import build_rsna

        return build_rsna(folder, out, seed)
    if name == "mscxr-t":
        from radalign.data.benchmark_sets.mscxr_t import build_mscxr_t

        return build_mscxr_t(folder, out, extra)
    raise BenchmarkError(f"There is no benchmark set {name!r}; choose one of {', '.join(SETS)}.")
