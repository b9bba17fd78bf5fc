# make reproduce   set up, run the default workflow, show the leaderboard
# make test        set up, pass the tests
# make check       lint, formats, types
# make bench       the benchmarks of tests/bench
CORES ?= all
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: reproduce test check bench format setup

reproduce: setup
	@$(BIN)/snakemake --cores $(CORES) --workflow-profile workflow/profiles/default --quiet rules host
	@$(BIN)/python -m unlabel leaderboard --results reports/results.parquet --report reports/index.html

test: setup
	@$(BIN)/python -m pytest tests

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow

bench: setup
	@$(BIN)/python tests/bench/augmentation.py
	@$(BIN)/python tests/bench/step.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

setup:
	@workflow/setup.sh
