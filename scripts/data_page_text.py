"""The page of scripts/data_page.py: each measured step as a section, what is missing said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SPEEDS = {
    "sections": "sections",
    "clean": "sections, cleaned text",
    "sections_and_assertions_repeated": "sections and assertions, sentences recur",
    "sections_and_assertions_new_wording": "the same, no sentence seen before",
    "sections_and_assertions_new_structure": "the same, random lists and cues in every sentence",
    "sections_and_assertions_not_remembered": "the same, nothing remembered from one sentence to the next",
    "manifest_cleaned": "cleaned text, Open-i's own reports",
    "manifest_assertions_once": "assertions, Open-i's own reports, one pass, nothing remembered",
}


def page(results: dict[str, Any], sets: Sequence[str]) -> str:
    """The whole page as Markdown."""
    parts = [opening(results)]
    parts += [flow(name, results[name]["result"]) for name in sets if name in results]
    for step, section in SECTIONS.items():
        missing = f"*The step `{step}` was not measured here yet.*"
        parts.append(section(results[step]["result"]) if step in results else missing)
    return "\n\n".join(parts) + "\n"


def opening(results: dict[str, Any]) -> str:
    """What was run, on what."""
    made = next(iter(results.values()))["made"]
    extras = ", ".join(f"{name} {version}" for name, version in made["extras"].items())
    return (
        "# Data: what was measured\n\n"
        "Made by `python scripts/data_page.py --data FOLDER --work FOLDER` from the commands named in each "
        "section.\nReal radiographs: the development parts of four public sets, imported with "
        "`radalign data import table FOLDER --quality note`. Nothing of their images or texts is here.\n\n"
        f"Machine: {made['processor']}, 2 cores shared with other work (so times vary), "
        f"Python {made['python']}, numpy {made['packages']['numpy']}, pydicom "
        f"{made['packages']['pydicom']}, Pillow {made['packages']['pillow']}. Extras: {extras}."
    )


def flow(name: str, result: dict[str, Any]) -> str:
    """The exclusion flow of one set."""
    rows = [("found", result["found"])]
    rows += [(f"left out: {reason}", counts) for reason, counts in result["left_out"].items()]
    rows += [("**kept**", result["kept"])]
    rows += [(f"of these: {reason}", counts) for reason, counts in result["noted"].items()]
    lines = [f"## Exclusion flow: {name}", "", "| step | images | studies |", "|---|---:|---:|"]
    lines += [f"| {step} | {counts['images'] or ''} | {counts['studies'] or ''} |" for step, counts in rows]
    return "\n".join([*lines, "", f"{result['kept']['patients']} patients. A patient is in one split only."])


def checked(result: dict[str, Any]) -> str:
    """Burned-in text and quality on a sample."""
    reasons = ", ".join(f"{name} {count}" for name, count in result["reasons"].items()) or "none"
    return (
        f"## Burned-in text and quality, Open-i, a sample of {result['checked']} images\n\n"
        "`radalign data check openi.parquet --images N --ocr off`, border bands of a fifth.\n\n"
        "| | images |\n|---|---:|\n"
        f"| marks that would be masked | {result['with_masked_marks']} |\n"
        f"| marks still found after masking | {result['still_marked']} |\n\n"
        f"Quality filter, by reason: {reasons}. All images of the set: see the flow above. Without OCR "
        "every mark found counts, side letters too; only what is as small as a label is masked.\n"
    )


def read(result: dict[str, Any]) -> str:
    """The same with OCR, on fewer images."""
    return (
        f"With OCR (`--ocr on`), a sample of {result['checked']} images: marks that would be masked on "
        f"{result['with_masked_marks']}, marks read as safe and kept on {result['with_safe_marks']}, marks "
        f"still found after masking on {result['still_marked']}."
    )


def written(result: dict[str, Any]) -> str:
    """What is left of text that was written on images on purpose."""
    lines = ["## Text written on simulated radiographs", "",
             "`benchmarks/burned_in.py`: names and record numbers should go, side letters and words such as "
             "PORTABLE should stay. *Gone*: nine tenths of the ink changed; *untouched*: none of it.", "",
             "| way | mark | gone | untouched |", "|---|---|---:|---:|"]  # fmt: skip
    for way, numbers in result.items():
        lines += [
            f"| {way} | {kind} | {share} | {numbers['untouched'][kind]} |"
            for kind, share in numbers["gone"].items()
        ]
    seconds = "; ".join(
        f"{way} {n['processor seconds per image']['median']} ({n['processor seconds per image']['smallest']} "
        f"to {n['processor seconds per image']['largest']})"
        for way, n in result.items()
    )
    return "\n".join([*lines, "", f"Processor seconds per image of 512 px, median and range: {seconds}."])


def scored(result: dict[str, Any]) -> str:
    """Precision and recall of the assertions, per status, change and finding."""
    lines = ["## Reading reports", "",
             "`radalign report score`: hand-labelled sentences of this project's own.",
             "The rules were built on the development half. The held-out one was written blind;",
             "its misses have not been used to mend rules ([reports.md](reports.md#assertions)).", "",
             "| half | what | labelled | precision | recall | F1 |",
             "|---|---|---:|---:|---:|---:|"]  # fmt: skip
    for half, scores in result.items():
        for kind in ("statuses", "changes"):
            lines += [_score_row(half, name, s) for name, s in scores[kind].items()]
    held = result.get("held_out", {}).get("findings", {})
    lines += ["", "Held-out half, per finding:", "", "| finding | labelled | precision | recall | F1 |",
              "|---|---:|---:|---:|---:|"]  # fmt: skip
    lines += ["|" + _score_row("", name, s).split("|", 2)[2] for name, s in held.items() if s["true"]]
    return "\n".join(lines)


def _score_row(half: str, name: str, score: dict[str, Any]) -> str:
    figures = (f"{score[key]:.3f}" for key in ("precision", "recall", "f1"))
    return f"| {half} | {'negation (absent)' if name == 'absent' else name} | {score['true']} | " + (
        " | ".join(figures) + " |"
    )


def speeds(result: dict[str, Any]) -> str:
    """Reports per second."""
    limit = result["limit_per_s"]
    lines = [f"## Report speed\n\n`benchmarks/report_speed.py`, processor time of one core; the aim is "
             f"{limit:,} reports/s. The best of seven passes, and how many million empty loops per second "
             "the core did just before it: this machine is shared, and its speed varies twofold.", "",
             "| what | reports/s | of the aim | the core, million loops/s |",
             "|---|---:|---:|---:|"]  # fmt: skip
    loops = result["loops_per_s"]
    lines += [
        f"| {text} | {result[k]:,.0f} | {result[k] / limit:.2f} | {loops[k] / 1e6:.0f} |"
        for k, text in SPEEDS.items()
        if k in result
    ]
    return "\n".join(lines)


def stored(result: dict[str, Any]) -> str:
    """The 500 files."""
    lines = [f"## {result['files']} DICOM files against the same images without DICOM", "",
             "`benchmarks/dicom_storage.py`: simulated radiographs, random polarity, bits stored, sign, "
             "window, rescale, orientation and codec; also a property test with shrinking.", "",
             "| transfer syntax | files | largest difference, of 255 |", "|---|---:|---:|"]  # fmt: skip
    counts = result["counts"]
    lines += [f"| {k} | {counts['syntax'][k]} | {v:.3f} |" for k, v in result["per_syntax_of_255"].items()]
    bits = ", ".join(f"{k}: {counts['bits'][k]}" for k in sorted(counts["bits"], key=int))
    lines += ["", f"Files per bits stored: {bits}. Orientations: {len(counts['turn'])}, windows: "
              f"{', '.join(counts['window'])}. Largest of all: {result['largest_difference_of_255']:.3f}/255 "
              f"(limit 1). {result['redrawn']} storages whose own rounding leaves no room (few bits under a "
              "steep sigmoid or wide headroom) were drawn again."]  # fmt: skip
    return "\n".join(lines)


def shipped(result: dict[str, Any]) -> str:
    """What became of the files of pydicom."""
    counts = "; ".join(f"{name}: {count}" for name, count in result["outcomes"].items())
    return (
        f"## The {result['files']} files that ship inside pydicom {result['pydicom']}\n\n"
        f"`scripts/pydicom_files.py`, with the codecs above: {counts}. None crashes."
    )


def tree(result: dict[str, Any]) -> str:
    """The MIMIC-shaped import."""
    lines = ["## Importing a MIMIC-CXR-shaped tree", "",
             "`benchmarks/mimic_import.py`: simulated metadata, labels, reports in a zip, empty image files. "
             "The bar for 100,000 studies: 120 s, 1 GiB.", "",
             "| studies | views | with a prior | seconds | of processor | peak memory |",
             "|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    lines += [f"| {r['studies']:,} | {r['views']:,} | {r['priors']:,} | {r['seconds']} | "
              f"{r['cpu_seconds']} | {r['peak_gib']} GiB |" for r in result["sizes"]]  # fmt: skip
    verdict = "meets" if result["meets"] else "MISSES"
    return "\n".join(
        [*lines, "", f"Time per study, full size over a quarter: {result['growth']}; {verdict} the bar."]
    )


def pixels(result: dict[str, Any]) -> str:
    """DICOM speed against pydicom and Pillow."""
    rows = {name: row for name, row in result.items() if isinstance(row, dict)}
    lines = ["## DICOM to a small square", "",
             "`benchmarks/dicom_pixels.py`: 2,500 x 2,000 pixels, 12 bits, one core, against pydicom "
             "`pixel_array` + `apply_voi_lut` and Pillow. The bar: four times, 1/255.", ""]  # fmt: skip
    if rows:
        names = list(next(iter(rows.values())))
        heads = (name.replace("_", " ") for name in names)
        lines += ["| window, polarity, size | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(names)]
        lines += [f"| {k} | " + " | ".join(str(row[n]) for n in names) + " |" for k, row in rows.items()]
    return "\n".join(lines)


SECTIONS = {
    "check": checked,
    "check_ocr": read,
    "burned": written,
    "score": scored,
    "speed": speeds,
    "storage": stored,
    "pydicom": shipped,
    "pixels": pixels,
    "mimic": tree,
}
