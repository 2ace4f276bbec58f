"""Does a system that sees the prior tell new, better, worse and stable apart? Simulated pairs, one budget.

    radalign data simulate --out phantoms --studies 1600 --priors 1 --seed 11 --split 60/10/30
    python scripts/temporal_change.py --data phantoms/manifest.parquet --work runs/temporal --epochs 4

Arms differ in their slots (with and without prior views) and in how views are fused; encoders, image size,
text, optimiser, seed and number of steps are the same. Every cell (arm, seed) is kept, so a stopped script
goes on. The page is made from the cells that exist: docs/results/temporal.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from temporal_fusion import fusion_cells
from temporal_page import Judge, by_arm, head, runs_table, table

import radalign
from radalign.evaluate.change import pair_features
from radalign.study import Manifest, Study
from radalign.train.precision import has_fast_bf16

WORDS = {
    "Effusion": "pleural effusion", "Pneumothorax": "pneumothorax", "Consolidation": "consolidation",
    "Atelectasis": "atelectasis", "Edema": "pulmonary edema", "Cardiomegaly": "cardiomegaly",
    "Nodule": "pulmonary nodule",
}  # fmt: skip
SENTENCES = {
    "new": ("New {}.", "Interval development of {}."),
    "better": ("The {} has decreased.", "The {} has resolved."),
    "worse": ("The {} has increased.", "Worsening {}."),
    "stable": ("Unchanged {}.", "The {} is stable."),
}

TWO = 'data.slots=["current_frontal", "current_lateral"]'
FOUR = 'data.slots=["current_frontal", "current_lateral", "prior_frontal", "prior_lateral"]'
SIZE_PX = 112
SHARED = (f"data.size_px={SIZE_PX}", "train.batch_size=32", "train.validate_every_epochs=1000",
          "train.validate_at_start=false", "train.validate_studies=64",
          "train.warmup_epochs=0.3")  # fmt: skip
ALIGN = ("objectives={global_contrastive=1.0}", "model.mask_ratio=0.0", "train.weight_decay=1e-4")
MAPS = ('model.warm_start="cca"',)
ATTENTION = ('model.fusion="attention"',)
ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ALTA, priors, slot maps": ("alta", (*ALIGN, *MAPS)),
    "ALTA, no priors, slot maps": ("alta", (*ALIGN, *MAPS, TWO)),
    "ALTA, priors, mean": ("alta", ALIGN),
    "ALTA, no priors, mean": ("alta", (*ALIGN, TWO)),
    "ALTA, priors, attention": ("alta", (*ALIGN, *ATTENTION)),
    "BioViL-T, frozen towers": ("biovil-t", ('model.fine_tune="none"',)),
    "canonical correlation, priors": ("cca", (FOUR,)),
    "canonical correlation, no priors": ("cca", (TWO,)),
}
FUSION_WORDS = (
    "Towers frozen; the fusion and one head per side train with InfoNCE (40 epochs, batch 96). `mean` is "
    "ALTA's fusion at its start, when the time embedding is still zero; `matrix per slot` transforms each "
    "slot's CLS before the mean; `attention with slots` is two blocks over the CLS of the views, each told "
    "its slot; `closed form` is canonical correlation with a map per slot. `change sentences` trains on the "
    "sentences of a report that say how a finding has changed, where there are any."
)
SYSTEM_WORDS = (
    "ALTA with the global objective, unmasked views, and its adapters in both towers; `slot maps` adds the "
    'closed-form map per slot (`model.warm_start = "cca"`). A system without prior slots sees the current '
    "study alone, and is judged by that. The arm `compared afterwards` is a rival of another kind: the same "
    "weights embed both studies, and the probe reads both embeddings and their difference, three times as "
    "many numbers; the prior is there, but comes in after the system. Its sentences are those of the "
    "current study."
)
AFTERWARDS = ", compared afterwards"
WHOLE = "whole report"
FUSION_GAPS = [
    (f"closed form, priors, {WHOLE}", f"closed form, no priors, {WHOLE}"),
    (f"mean, priors, {WHOLE}", f"mean, no priors, {WHOLE}"),
    (f"matrix per slot, priors, {WHOLE}", f"mean, no priors, {WHOLE}"),
    (f"matrix per slot, priors, {WHOLE}", f"mean, priors, {WHOLE}"),
    (f"attention with slots, priors, {WHOLE}", f"mean, priors, {WHOLE}"),
    ("matrix per slot, priors, change sentences", f"matrix per slot, priors, {WHOLE}"),
]
SYSTEM_GAPS = [
    ("ALTA, priors, slot maps", "ALTA, no priors, slot maps"),
    ("ALTA, priors, slot maps", f"ALTA, no priors, slot maps{AFTERWARDS}"),
    ("ALTA, priors, mean", "ALTA, no priors, mean"),
    ("ALTA, priors, mean", f"ALTA, no priors, mean{AFTERWARDS}"),
    ("ALTA, priors, attention", "ALTA, priors, mean"),
]
Cell = tuple[str, int]


def folder_of(cell: Cell, work: Path) -> Path:
    """Where a cell's run lies."""
    return work / f"{cell[0].lower().replace(', ', '-').replace(' ', '-')}-{cell[1]}"


def train_cell(cell: Cell, data: Path, work: Path, epochs: int) -> None:
    """Train a cell with the command a user would type, unless it is finished."""
    recipe, overrides = ARMS[cell[0]]
    out = folder_of(cell, work)
    if (out / "run.json").is_file():
        return
    settings = [*SHARED, *overrides, f"train.seed={cell[1]}", f"train.epochs={epochs}"]
    command = [sys.executable, "-m", "radalign", "train", recipe, "--data", str(data), "--out", str(out)]
    command += ["--cache", str(work / "pixels"), "--overwrite", "--json"]
    command += [word for setting in settings for word in ("--set", setting)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def pairs_of(manifest: Manifest) -> list[Study]:
    """Studies with a prior and a frontal view then and now."""
    before = {study.id: manifest.prior(study) for study in manifest}
    return [
        s
        for s in manifest
        if (b := before[s.id]) is not None and s.frontal is not None and b.frontal is not None
    ]


def embed_cell(out: Path, manifest: Manifest) -> None:
    """Embed all pairs and the sentences of change with a cell's last weights, once."""
    path = out / "pairs.npz"
    if path.is_file():
        return
    system = radalign.load(out / "last")
    pairs = pairs_of(manifest)
    with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(torch.device("cpu"))):
        z = pair_features(system, pairs, manifest)
        sentences = prompts()
        asked = dict(zip(sentences, system.embed_texts(list(sentences.values())), strict=True))
    np.savez(path, ids=np.array([s.id for s in pairs]), z=z, **asked)


def prompts() -> dict[str, str]:
    """Every sentence of change by its name `words/<finding>/<change>/<number>`."""
    return {
        f"words/{finding}/{change}/{i}": sentence.format(words)
        for finding, words in WORDS.items()
        for change, said in SENTENCES.items()
        for i, sentence in enumerate(said)
    }


def main() -> None:
    """Train and embed what is missing, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="manifest of simulated studies with priors")
    parser.add_argument("--work", type=Path, default=Path("runs/temporal"))
    parser.add_argument("--epochs", type=int, default=4, help="passes over the training studies of every run")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of every trained system")
    parser.add_argument("--fusion-seeds", type=int, default=3, help="seeds of the fusions on frozen features")
    parser.add_argument("--arms", nargs="*", choices=list(ARMS), default=list(ARMS), help="systems to train")
    parser.add_argument("--page", type=Path, default=Path("docs/results/temporal.md"))
    parser.add_argument("--page-only", action="store_true", help="make the page from the cells there are")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.read(args.data)
    if not args.page_only:
        fusion_cells(manifest, args.work, pairs_of(manifest), SIZE_PX, prompts(), args.fusion_seeds)
        for seed, arm in product(range(args.seeds), args.arms):
            train_cell((arm, seed), args.data, args.work, args.epochs)
            embed_cell(folder_of((arm, seed), args.work), manifest)
    args.page.write_text(page(args.work, manifest), encoding="utf-8")


def page(work: Path, manifest: Manifest) -> str:
    """The page from the cells that exist."""
    judge = Judge(pairs_of(manifest), list(WORDS))
    fused = by_arm(work / "fusion", "*.npz")
    trained = {arm: [p for seed in range(10) if (p := folder_of((arm, seed), work) / "pairs.npz").is_file()]
               for arm in ARMS}  # fmt: skip
    trained = {arm: paths for arm, paths in trained.items() if paths}
    parts = ["# Telling change with and without the prior", "", *head(manifest, judge, SIZE_PX), ""]
    parts += ["## Fusions and heads on frozen features", "", FUSION_WORDS, ""]
    parts += table(fused, judge, FUSION_GAPS)
    if trained:
        parts += ["", "## Whole systems, adapters trained", "", SYSTEM_WORDS, "", *runs_table(trained), ""]
        late = {arm + AFTERWARDS: paths for arm, paths in trained.items() if "no priors" in arm}
        parts += table({**trained, **late}, judge, SYSTEM_GAPS, late)
    return "\n".join(
        [*parts, "", "Made by `python scripts/temporal_change.py --data FOLDER/manifest.parquet`.", ""]
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
