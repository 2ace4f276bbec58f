"""How long does a MIMIC-CXR-shaped tree take to import, how much memory, and is it linear in its size?

    python benchmarks/mimic_import.py [--studies 100000] [--out results.json]

A tree with PhysioNet's names is simulated: gzipped metadata, split and label tables, reports in a zip, and
images that are links to a few files of a JPEG's first bytes (of a large set the files are looked at, not
decoded; links are quick to make and to remove). The import runs in its own process, on a quarter, on half and
on all of the studies. The bar for 100,000 studies is 2 minutes and 1 GiB.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from radalign.data.sources.labels import CHEXPERT

JPEG_HEAD = b"\xff\xd8\xff\xe0" + bytes(150)
LINKS = 10_000
BAR_S, BAR_GIB = 120, 1.0
METADATA = (
    "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows",
    "Columns", "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)  # fmt: skip
SENTENCES = (
    "The lungs are clear.",
    "There is a small left pleural effusion, slightly larger than before.",
    "No pneumothorax is seen.",
    "The heart is mildly enlarged.",
    "An endotracheal tube ends 4 cm above the carina.",
    "Bibasilar opacities likely reflect atelectasis.",
)
# Imported in a fresh interpreter, whose peak memory is then the import's own.
CHILD = """
import json, resource, sys, time
from radalign.data.importing import import_source, write_import
start = time.perf_counter()
manifest, flow = import_source("mimic", sys.argv[1])
write_import(manifest, flow, sys.argv[2])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
priors = sum(bool(s.prior_study_id) for s in manifest)
seconds, cpu_seconds = round(time.perf_counter() - start, 1), round(time.process_time(), 1)
print(json.dumps({"studies": len(manifest), "views": flow.images_kept, "priors": priors, "seconds": seconds,
                  "cpu_seconds": cpu_seconds, "peak_gib": round(peak, 3)}))
"""


def write_tree(folder: Path, studies: int) -> None:
    """Simulate `studies` studies of a third as many patients, 1.65 images each."""
    rng = random.Random(0)
    tables = {name: io.StringIO() for name in ("metadata", "split", "chexpert")}
    writers = {name: csv.writer(text) for name, text in tables.items()}
    writers["metadata"].writerow(METADATA)
    writers["split"].writerow(("dicom_id", "study_id", "subject_id", "split"))
    writers["chexpert"].writerow(("subject_id", "study_id", *CHEXPERT))
    with zipfile.ZipFile(folder / "mimic-cxr-reports.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(studies):
            _write_study(folder, number, rng, writers, archive)
    for name, text in tables.items():
        (folder / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), 1))


def _write_study(
    folder: Path, number: int, rng: random.Random, writers: dict, archive: zipfile.ZipFile
) -> None:
    subject, study = f"{10_000_000 + number // 3 * 7}", f"{50_000_000 + number * 3}"
    place = f"files/p{subject[:2]}/p{subject}"
    split = "train" if int(subject) % 50 else "test"
    date = f"21{rng.randrange(100):02d}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
    (folder / place / f"s{study}").mkdir(parents=True)
    for view in rng.choice((("PA", "LATERAL"), ("PA", "LATERAL"), ("AP",))):
        dicom = "-".join(f"{rng.getrandbits(32):08x}" for _ in range(5))
        time_of_day = f"{rng.randrange(24):02d}1530.5"
        row = (dicom, subject, study, "CHEST (PA AND LAT)", view, 3056, 2544, date, time_of_day)
        writers["metadata"].writerow((*row, "CHEST", "", "Erect"))
        writers["split"].writerow((dicom, study, subject, split))
        # A file system allows some 65,000 links to one file.
        head = folder / f"head{number // LINKS}.jpg"
        if not head.exists():
            head.write_bytes(JPEG_HEAD)
        os.link(head, folder / place / f"s{study}" / f"{dicom}.jpg")
    values = (rng.choice(("", "", "1.0", "0.0", "-1.0")) for _ in CHEXPERT)
    writers["chexpert"].writerow((subject, study, *values))
    archive.writestr(f"{place}/s{study}.txt", _report(rng))


def _report(rng: random.Random) -> str:
    findings = " ".join(rng.choices(SENTENCES, k=6))
    head = " " * 33 + "FINAL REPORT\n INDICATION:  ___ with cough.\n \n"
    return f"{head} FINDINGS: \n \n {findings}\n \n IMPRESSION: \n \n {rng.choice(SENTENCES)}\n"


def measure(studies: int) -> dict[str, float]:
    """Simulate a tree, import it in a process of its own, and read back what that cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        write_tree(folder, studies)
        print(f"simulated {studies:,} studies in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        command = [sys.executable, "-c", CHILD, str(folder), str(folder / "out" / "manifest.parquet")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
        return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print one line per size and the growth, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sizes = [options.studies // 4, options.studies // 2, options.studies]
    rows = [measure(size) for size in sizes]
    for row in rows:
        print(f"{row['studies']:>9,} studies  {row['views']:>9,} views  {row['seconds']:>6} s  "
              f"{row['cpu_seconds']:>6} s of processor  {row['peak_gib']} GiB")  # fmt: skip
    growth = rows[-1]["cpu_seconds"] / rows[0]["cpu_seconds"] / 4
    bar_s = BAR_S * options.studies / 100_000
    meets = rows[-1]["seconds"] <= bar_s and rows[-1]["peak_gib"] <= BAR_GIB
    verdict = "meets" if meets else "MISSES"
    print(
        f"time per study, full size over a quarter: {growth:.2f}x; {verdict} {bar_s:g} s and {BAR_GIB:g} GiB"
    )
    if options.out:
        result = {
            "question": __doc__.splitlines()[0],
            "sizes": rows,
            "growth": round(growth, 2),
            "meets": meets,
        }
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
