"""Train and evaluate ClinVLA and its rivals on Open-i under one budget; write docs/results/openi-slice.md.

    python scripts/openi_slice.py --data FOLDER/manifest.csv --minutes 9 --long-minutes 45 --threads 1

Every cell (recipe, seed) is kept, so a stopped script goes on where it was. Nothing is selected: a
run ends with its budget and its last weights are evaluated. The page is made from the cells that exist.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import radalign
from radalign.evaluate.embeddings import StudyEmbeddings, embed
from radalign.evaluate.findings import Prompted, prompted
from radalign.evaluate.prompt_sets import PromptSet, load_prompts
from radalign.train.precision import has_fast_bf16

FRONTAL = 'data.slots=["current_frontal"]'
# No adapters, every weight of both encoders; its rate was not tuned.
NO_ADAPTERS = (
    "model.invertible=false",
    "model.language=false",
    "model.task=false",
    "model.train_backbones=true",
    "train.lr=2e-5",
)
ARMS = {
    "ClinVLA, warm start": ("clinvla-warm", (), (0, 1)),
    "ridge map (b)": ("ridge", (), (0,)),
    "canonical correlation": ("cca", (), (0,)),
    "heads only (a)": ("clinvla-heads", (), (0, 1)),
    "full fine-tuning (c)": ("clinvla-full", (), (0, 1)),
    "printed objective (d)": ("clinvla-published", (), (0, 1)),
    "ClinVLA, default": ("clinvla", (), (0, 1)),
    "ClinVLA, warm start, frontal only": ("clinvla-warm", (FRONTAL,), (0, 1)),
    "ClinVLA, longer from the warm start": ("clinvla-warm", (), (0, 1)),
    "full fine-tuning (c), longer from the warm start": ("clinvla-warm", NO_ADAPTERS, (0,)),
}
MAIN = "ClinVLA, warm start"
LONG = "ClinVLA, longer from the warm start"
LONG_FULL = "full fine-tuning (c), longer from the warm start"
BAR = "ridge map (b)"
ALONE = "ClinVLA, warm start, frontal only"
Cell = tuple[str, int]


def cells() -> Iterator[Cell]:
    """All cells, every arm's first seed before any second one."""
    for seed in (0, 1):
        yield from ((arm, seed) for arm, (_, _, seeds) in ARMS.items() if seed in seeds)


def folder(cell: Cell, work: Path) -> Path:
    """Where a cell's run lies."""
    arm, seed = cell
    kind = {LONG: "-long", LONG_FULL: "-full-long", ALONE: "-frontal"}.get(arm, "")
    return work / f"{ARMS[arm][0]}{kind}-{seed}"


def train_cell(cell: Cell, manifest: Path, work: Path, minutes: float) -> Path:
    """Train one cell with the command a user would type, unless it is finished."""
    arm, seed = cell
    recipe, overrides, _ = ARMS[arm]
    out = folder(cell, work)
    if (out / "run.json").is_file():
        return out
    settings = [*overrides, f"train.seed={seed}", f"train.max_minutes={minutes}", "train.anneal_to=time"]
    settings += ["train.validate_at_start=false", "train.validate_studies=64", "train.epochs=30"]
    command = [sys.executable, "-m", "radalign", "train", recipe, "--data", str(manifest)]
    command += ["--out", str(out)]
    command += [word for setting in settings for word in ("--set", setting)]
    subprocess.run([*command, "--overwrite", "--json"], check=True, stdout=subprocess.DEVNULL)
    return out


def embed_cell(out: Path, manifest: radalign.Manifest, prompts: PromptSet) -> None:
    """Embed the test studies and the prompts with a cell's last weights, once."""
    path = out / "test.npz"
    if path.is_file():
        return
    system = radalign.load(out / "last")
    bf16 = has_fast_bf16(torch.device("cpu"))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        studies = embed(system, manifest.where(split="test"))
        given = prompted(system, studies, prompts)
    arrays = {"image": studies.image, "text": studies.text}
    arrays |= {f"present/{name}": rows for name, rows in given.present.items()}
    arrays |= {f"absent/{name}": rows for name, rows in given.absent.items()}
    np.savez(path, ids=np.array(studies.study_ids), **arrays)


def read_cell(out: Path, manifest: radalign.Manifest, keep: set[str] | None = None) -> Prompted:
    """What `embed_cell` kept, for all test studies or for some."""
    stored = dict(np.load(out / "test.npz"))
    rows = [i for i, name in enumerate(stored["ids"]) if keep is None or name in keep]
    chosen = [manifest[str(stored["ids"][i])] for i in rows]
    studies = StudyEmbeddings(
        stored["image"][rows],
        stored["text"][rows],
        tuple(s.id for s in chosen),
        tuple(s.patient_id for s in chosen),
        tuple(s.labels for s in chosen),
    )
    present, absent = (
        {k.split("/")[1]: v for k, v in stored.items() if k.startswith(side)}
        for side in ("present/", "absent/")
    )
    return Prompted(studies, present, absent)


def main() -> None:
    """Train what is missing, evaluate, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="manifest.csv of the Open-i folder")
    parser.add_argument("--work", type=Path, default=Path("runs/openi"))
    parser.add_argument("--minutes", type=float, default=3.0, help="training time of every run")
    parser.add_argument("--long-minutes", type=float, default=15.0, help="that of the longer arms")
    parser.add_argument("--threads", type=int, default=2, help="threads of every run and of its evaluation")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="only these")
    parser.add_argument("--page", type=Path, default=Path("docs/results/openi-slice.md"))
    parser.add_argument("--page-only", action="store_true", help="make the page from the cells there are")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    path = args.work / "openi.parquet"
    if not path.is_file():
        command = [sys.executable, "-m", "radalign", "data", "import", "table", str(args.data)]
        subprocess.run([*command, "--out", str(path)], check=True)
    manifest, prompts = radalign.Manifest.read(path), load_prompts("chest-findings")
    done: dict[Cell, Path] = {}
    for cell in cells():
        if not args.page_only and cell[0] in args.arms:
            minutes = args.long_minutes if cell[0] in (LONG, LONG_FULL) else args.minutes
            out = train_cell(cell, path, args.work, minutes)
            embed_cell(out, manifest, prompts)
        else:
            out = folder(cell, args.work)
        if (out / "test.npz").is_file():
            done[cell] = out
    from openi_page import Budget, page  # the tables and words of the page, beside this script

    budget = Budget(args.minutes, args.long_minutes, args.threads)
    args.page.write_text(page(done, manifest, prompts, budget), encoding="utf-8")


if __name__ == "__main__":
    main()
