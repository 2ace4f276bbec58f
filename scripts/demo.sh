#!/usr/bin/env bash
# The whole path on simulated studies: simulate, train, evaluate, index, search by words and by image.
# Usage: scripts/demo.sh [FOLDER]. Each command is printed before it runs; all of them work on your own data too.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-demo}
radalign=.venv/bin/radalign
run() { printf '\n$ radalign %s\n' "$*"; "$radalign" "$@"; }

run data simulate --out "$out/studies" --studies 400 --size 224 --priors 0 --seed 0
run data show "$out/studies/manifest.parquet" --sheet "$out/studies.png"
[ -f "$out/run/run.json" ] || run train clinvla-warm --data "$out/studies/manifest.parquet" --out "$out/run" \
    --set train.max_minutes=3 --overwrite
run evaluate "$out/run" --data "$out/studies/manifest.parquet" --task retrieval
run index "$out/run" --data "$out/studies/manifest.parquet" --split test --out "$out/index"
mkdir -p "$out/answers"
run search "$out/index" "large left pleural effusion" -k 8 --sheet "$out/answers/1-left-effusion.png"
run search "$out/index" "enlarged heart with a pacemaker" -k 8 --sheet "$out/answers/2-pacemaker.png"
run search "$out/index" "no acute disease" -k 8 --view PA --sheet "$out/answers/3-normal.png"
query=$(find "$out/studies" -name '*.png' -path '*image*' | sort | tail -n 1)
run search "$out/index" --image "$query" -k 8 --sheet "$out/answers/4-like-this-image.png"
printf '\nLook at the answers:\n'; ls "$out"/answers/*.png
