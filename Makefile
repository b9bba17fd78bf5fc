# make reproduce   set up, run the default workflow, show the leaderboard
# make test        set up, pass the tests
# make check       lint, formats, types, and known vulnerabilities of the packages in requirements.lock
# make faults      inject faults into the workflow; only some kinds: make faults ONLY="kills disk"
# make publish     run all studies, copy their verdicts to reports/published for git
# make bench       run the benchmarks of tests/bench; only some: make bench ONLY="step probes"
CORES ?= all
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: reproduce test check faults bench publish format setup

reproduce: setup
	@$(BIN)/snakemake --cores $(CORES)
	@$(BIN)/python -m unlabel leaderboard --results reports/results.parquet --report reports/index.html

test: setup
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile \
		--no-loadscope-reorder tests

check: setup .venv/audit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/python workflow/audit/scan.py

# If it cannot be installed, the scan says so.
.venv/audit: workflow/audit/requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --upgrade --target $@ -r $< && touch $@ || true

faults: setup
	@$(BIN)/python tests/faults $(ONLY)
	@echo "report: $(CURDIR)/reports/faults.md"

bench: setup .venv/bench
	@$(BIN)/python tests/bench $(ONLY)
	@$(BIN)/python -m unlabel bench --record reports/bench.json --page reports/bench.html
	@echo "report: $(CURDIR)/reports/bench.html"

publish: setup
	@$(BIN)/snakemake --cores $(CORES) reports/statements.html
	@$(BIN)/python -m unlabel publish

# what the benchmarks compare with
.venv/bench: tests/bench/requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --upgrade --target $@ -r $<
	@touch $@

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

setup:
	@workflow/setup.sh
