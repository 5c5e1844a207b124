# Set-up and checks. Needs make and Python 3.11 or newer, nothing else, and no root.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO := tests/e2e/test_demo.py
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

.PHONY: help demo test lint soak protos clean

help:
	@echo "make demo    install into $(VENV) and run the main job on this machine"
	@echo "make test    install what tests need; lint, types, imports, all tests"
	@echo "make soak    the tests with long runs and large counts"
	@echo "make protos  generate linkage/v1 from protos/"

demo: $(VENV)/.demo
	$(BIN)/padan demo

# The processes of tests take the cores: threads of linear algebra that wait by spinning would only
# take them away. The demo's go first and alone: so the loops are compiled once, and not by each
# process that begins with the others.
test: export OPENBLAS_NUM_THREADS := 1
test: lint
	$(BIN)/python -m pytest -m "not soak" $(DEMO)
	$(BIN)/python -m pytest -m "not soak" -n 4 --dist loadfile --no-loadscope-reorder --ignore $(DEMO)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PYTHON=$(BIN)/python .ci/protos.sh --check

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak

protos: $(VENV)/.dev
	PYTHON=$(BIN)/python .ci/protos.sh

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	$(PIP) -e '.[bench]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml .ci/constraints.txt
	$(PIP) -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist
