"""How many reports per second does one core read: sections, cleaning, assertions?

The reader remembers sentences, and their patterns (negations, joints, findings by number, in order), so it is
measured on reports made here with less and less to remember:

    repeated        sentences recur, as in an archive
    new wording     no sentence was seen before (three invented words in each), but six ways to say things
    new structure   no sentence was seen before, and random lists of findings, places, hedges and changes
    not remembered  the same, each sentence read as if it were the first

    python benchmarks/report_speed.py [--reports 2000] [--manifest manifest.parquet] [--json out.json]

`--manifest` adds one pass over the reports of a manifest, with nothing remembered at its start.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from radalign.reports.assertions import assert_report, forget
from radalign.reports.clean import CleanOptions, clean_report
from radalign.reports.lexicon import default_lexicon
from radalign.reports.sections import parse_report
from radalign.study import Manifest, Report

LIMIT_PER_S = 5_000
SENTENCES = (
    "The heart is mildly enlarged, image {n}.",
    "No pleural effusion or pneumothorax is seen on image {n}.",
    "There is a {n} 6 mm nodule in the right upper lobe.",
    "Patchy opacity at the left base, series {n}, may represent atelectasis or pneumonia.",
    "The right effusion, {n} by estimate, has decreased since the prior study.",
    "Osseous structures are intact at level {n}.",
)
CUES = (
    "No",
    "There is",
    "Possible",
    "New",
    "Stable",
    "Resolved",
    "Increasing",
    "Without",
    "Mild",
    "Decreased",
)
THINGS = ("effusion", "pneumothorax", "consolidation", "edema", "atelectasis", "nodule", "fracture", "hernia",
          "cardiomegaly", "opacity", "scoliosis", "pneumonia", "emphysema", "mass", "granuloma")  # fmt: skip
TAILS = ("is seen", "has resolved", "is stable", "cannot be excluded", "in the left lung",
         "with enlarged heart", "compared with the prior", "but the lungs are clear",
         "and normal heart size", "")  # fmt: skip
WORDS = [first + last for first in ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu") for last in
         ("dan", "fel", "gim", "hor", "jup", "kas", "len", "mir", "pot", "rul")]  # fmt: skip


class Pace(NamedTuple):
    """Reports per second, and the empty loops per second that the core did at that moment."""

    reports_per_s: float
    loops_per_s: float


def report(rng: random.Random, spread: int) -> str:
    """A MIMIC-shaped report of about 60 words."""
    lines = [rng.choice(SENTENCES).format(n=_word(rng.randrange(spread))) for _ in range(5)]
    return (
        "FINAL REPORT\n INDICATION:  Cough.\n\n COMPARISON:  None.\n\n FINDINGS:\n\n "
        f"{' '.join(lines[:4])}\n\n IMPRESSION:\n\n 1. {lines[4]}\n"
    )


def new_structure(rng: random.Random) -> str:
    """A report of five sentences whose lists, cues and tails are random."""
    said = [
        f"{rng.choice(CUES)} {_word(rng.randrange(10**9))} "
        + rng.choice((", ", " or ", " and ")).join(rng.sample(THINGS, rng.randrange(1, 4)))
        + f" {rng.choice(TAILS)}."
        for _ in range(5)
    ]
    findings = " ".join(said[:4])
    return f"INDICATION: Cough.\n\nCOMPARISON: None.\n\nFINDINGS: {findings}\n\nIMPRESSION: {said[4]}\n"


def _word(number: int) -> str:
    return " ".join(WORDS[number // 100**place % 100] for place in range(3))


def per_second(read: Callable[[str], object], texts: list[str], before: Callable[[], object] = bool) -> Pace:
    """The best of seven passes in processor time, and how fast the core was just before that one.

    Args:
        read: Reads one text.
        texts: All of them.
        before: Called before each pass.
    """
    best = Pace(0.0, 0.0)
    for _ in range(7):
        before()
        loops = _loops_per_s()
        start = time.process_time()
        for text in texts:
            read(text)
        rate = len(texts) / (time.process_time() - start)
        best = max(best, Pace(rate, loops))
    return best


def main() -> None:
    """Measure, print the ratio to the promise, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=2_000)
    parser.add_argument("--manifest", type=Path, help="Also read the reports of this manifest.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = random.Random(0)
    unique = [report(rng, 10**9) for _ in range(options.reports)]
    structures = [new_structure(rng) for _ in range(options.reports)]
    repeated = [report(rng, 40) for _ in range(options.reports)]
    cleaning = CleanOptions()
    paces = {
        "sections": per_second(parse_report, unique),
        "clean": per_second(lambda text: clean_report(parse_report(text), cleaning), unique),
        "sections_and_assertions_new_wording": _once(unique),
        "sections_and_assertions_new_structure": _once(structures),
        "sections_and_assertions_not_remembered": per_second(_read_without_memory, structures),
        "sections_and_assertions_repeated": per_second(
            lambda text: assert_report(parse_report(text)), repeated
        ),
    }
    result: dict[str, object] = {"limit_per_s": LIMIT_PER_S}
    if options.manifest:
        bodies = [study.report.body for study in Manifest.read(options.manifest)]
        result["manifest_reports"] = len(bodies)
        paces["manifest_assertions_once"] = _once(bodies, assert_report)
        paces["manifest_cleaned"] = per_second(lambda body: clean_report(Report(findings=body)), bodies)
    for name, pace in paces.items():
        print(
            f"{name:40s} {pace.reports_per_s:10,.0f} reports/s   {pace.reports_per_s / LIMIT_PER_S:5.2f} x "
            f"the promise, the core at {pace.loops_per_s / 1e6:.0f} million empty loops per second"
        )
    result |= {name: pace.reports_per_s for name, pace in paces.items()}
    result["loops_per_s"] = {name: pace.loops_per_s for name, pace in paces.items()}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def _loops_per_s() -> float:
    """How fast this core is just now: a quiet one of 3 GHz does 40 to 50 million empty loops per second."""
    start = time.process_time()
    for _ in range(300_000):
        pass
    return 300_000 / (time.process_time() - start)


def _read_whole(text: str) -> object:
    return assert_report(parse_report(text))


def _read_without_memory(text: str) -> object:
    return assert_report(parse_report(text), default_lexicon())


def _once(texts: list[str], read: Callable[[str], object] = _read_whole) -> Pace:
    """Passes that each begin with nothing remembered."""
    assert_report("Warm.")
    return per_second(read, texts, forget)


if __name__ == "__main__":
    main()
