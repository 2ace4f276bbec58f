"""Write docs/results/data.md: what the import, the pixels and the reports were measured to do.

    python scripts/data_page.py --data FOLDER --work FOLDER [--out docs/results/data.md] [--only STEP]

`--data` holds one folder per set with a manifest.csv. Every number comes from a command of this project;
its JSON is kept in `--work`, and a step whose JSON is there is not run again. The page holds counts, never a
name, a sentence or an image of the data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_page_text import page

from radalign.data.provenance import provenance, version_of

ROOT = Path(__file__).parent.parent
SETS = ("openi_iu_xray", "covid19_image_data", "hannover_covid19", "nih_cxr14_small")
CHECKED, CHECKED_OCR, WRITTEN = 300, 40, 24
EXTRAS = ("pyjpegls", "pylibjpeg-openjpeg", "python-gdcm", "imagecodecs", "rapidocr")
Steps = dict[str, Callable[[Path], list[str]]]


def verb(*words: str) -> list[str]:
    """A command line of the package."""
    return [sys.executable, "-m", "radalign", *words]


def steps(data: Path, work: Path) -> Steps:
    """Step -> the command that measures it, given where its JSON goes."""
    found: Steps = {}
    for name in SETS:
        command = verb("data", "import", "table", str(data / name), "--out", str(work / f"{name}.parquet"))
        found[name] = lambda out, command=command: [*command, "--quality", "note", "--json"]
    manifest = str(work / f"{SETS[0]}.parquet")
    found["check"] = lambda out: verb(
        "data", "check", manifest, "--images", str(CHECKED), "--ocr", "off", "--json"
    )
    found["check_ocr"] = lambda out: verb(
        "data", "check", manifest, "--images", str(CHECKED_OCR), "--ocr", "on", "--json"
    )
    found["burned"] = lambda out: [*benchmark("burned_in", "--json", out), "--images", str(WRITTEN)]
    found["score"] = lambda out: verb("report", "score", "--json")
    found["storage"] = lambda out: benchmark("dicom_storage", "--json", out)
    found["pixels"] = lambda out: benchmark("dicom_pixels", "--out", out)
    found["mimic"] = lambda out: benchmark("mimic_import", "--out", out)
    found["speed"] = lambda out: [*benchmark("report_speed", "--json", out), "--manifest", manifest]
    found["pydicom"] = lambda out: [sys.executable, str(ROOT / "scripts" / "pydicom_files.py"), str(out)]
    return found


def benchmark(name: str, option: str, out: Path) -> list[str]:
    """The command of a benchmark that writes its JSON itself."""
    return [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), option, str(out)]


def measure(step: str, command: list[str], out: Path) -> None:
    """Run a command, and keep its JSON with what it ran on."""
    print(f"{step} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    text = out.read_text(encoding="utf-8") if out.is_file() else done.stdout.strip().splitlines()[-1]
    made = provenance() | {"extras": {name: version_of(name) for name in EXTRAS}}
    out.with_suffix(".done.json").write_text(
        json.dumps({"result": json.loads(text), "made": made}, indent=1) + "\n", encoding="utf-8"
    )


def main() -> None:
    """Measure what is missing, then write the page from all that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "data.md")
    parser.add_argument("--only", action="append", help="Measure only this step, write no page; repeatable.")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for step, command in steps(options.data, options.work).items():
        out = options.work / f"{step}.json"
        kept = out.with_suffix(".done.json")
        wanted = not options.only or step in options.only
        if step == "check_ocr" and version_of("rapidocr") == "not installed":
            wanted = False
        if wanted and not kept.is_file():
            measure(step, command(out), out)
        if kept.is_file():
            results[step] = json.loads(kept.read_text(encoding="utf-8"))
    if not options.only:
        options.out.write_text(page(results, SETS), encoding="utf-8")
        print(f"Wrote {options.out}.", file=sys.stderr)


if __name__ == "__main__":
    main()
