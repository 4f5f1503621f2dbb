# Everything a person does here, by name. `make` alone prints the list.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# The first Python >= 3.11 on PATH. Name another one with `make run PYTHON=/path/to/python3.11`.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
    "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
SUDO = $(if $(filter 0,$(shell id -u)),,sudo -n)
APT = $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq
VENV ?= .venv
SECONDS ?= 600
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade

# Sweeps that take minutes; `make test` runs them.
THOROUGH := tests/unit/altered tests/unit/test_rotation.py tests/unit/test_deletion.py tests/unit/enroll_web \
    tests/unit/crypto/test_stream_attacks.py tests/unit/dav/test_xml_text.py tests/unit/vault/test_copying.py \
    $(wildcard tests/unit/vault/test_failures*.py tests/unit/vault/test_races.py tests/unit/vault/test_parts_*.py) \
    $(addprefix tests/unit/vault/test_,tampering.py export_large.py shared_memory.py) tests/unit/cli tests/unit/identity \
    tests/unit/dav/test_bearer.py $(addprefix tests/unit/accounts/test_,sessions.py rounds.py) \
    $(addprefix tests/unit/serving/test_,supervisor.py notify.py wire.py tls.py server.py)

.PHONY: help run keycloak setup test check lint unit fmt coverage fuzz bench bench-quick bench-peers soak screenshots \
    catalogue lock clean

help:  ## Print this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/installed  ## Set up and serve on this machine, with the embedded database and accounts
	@exec $(BIN)/sealdav serve

keycloak: setup  ## Run a real Keycloak on this machine to sign in with; ARGS="--port 8180 --site http://127.0.0.1:8080"
	@tests/services/keycloak.sh
	@exec $(BIN)/python -m tests.services.keycloak_demo $(ARGS)

setup: $(VENV)/installed-dev  ## Create .venv with everything that development needs

test: setup  ## Set up everything the tests need (Debian packages and rclone included) and run all tests
	@tests/services/install.sh
	@$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal

check: setup  ## Format, lint, types, import contracts and unit tests: what every change must pass
	@$(MAKE) --jobs=2 --output-sync=line lint unit

lint: setup  ## The part of `make check` that reads the code
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

unit: setup  ## The part of `make check` that runs it
	@$(BIN)/python -m pytest --quiet --numprocesses=auto --dist=worksteal tests/unit tests/contract tests/architecture \
	    $(addprefix --ignore=,$(THOROUGH))

fmt: setup  ## Format the code and apply the lint rules' own fixes
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

coverage: setup  ## Say which lines and branches no test inside this process reaches
	@$(BIN)/python -m pytest --cov --cov-report=term tests/unit tests/contract tests/property tests/conformance

fuzz: setup  ## Fuzz what reads requests, SECONDS=600 for each parser; keeps what leads to code that nothing else led to
	@for target in head stream chunks if destination range; do \
	    echo "== $$target"; found=$$(mktemp -d); \
	    $(BIN)/python -m tests.fuzz.run $$target $(SECONDS) $$found || exit 1; \
	    $(BIN)/python -m tests.fuzz.keep $$target $$found; rm -r $$found; \
	done

bench: bench-peers  ## Measure everything beside real peers (an hour) and write docs/performance.md anew; ARGS="--disk FOLDER"
	@$(BIN)/python -m benchmarks everything $(ARGS)

bench-quick: bench-peers  ## The table beside real peers alone, in three minutes
	@$(BIN)/python -m benchmarks peers --quick $(ARGS)

bench-peers: setup
	@tests/services/install.sh
	@benchmarks/install.sh

soak: setup  ## 64 clients of all kinds for half an hour: nothing lost, nothing grown; ARGS="--minutes 30"
	@tests/services/install.sh
	@$(BIN)/python -m benchmarks.soak $(ARGS)

screenshots: setup  ## Take the pictures in docs/ anew: every page of the site, and Keycloak's console
	@tests/services/install.sh
	@$(BIN)/python -m tests.services.screenshots

catalogue: setup  ## Bring enroll_web/translations/ up to date with the texts in the code; list what is to translate
	@$(BIN)/python -m tests.services.catalogue

lock: $(BIN)/pip  ## Choose new versions of all dependencies and write them, with hashes, to config/
	@$(PIP) install uv
	@$(LOCK) --group build pyproject.toml --output-file config/requirements.txt
	@$(LOCK) --group build --group dev --constraint config/requirements.txt --no-annotate \
	    pyproject.toml --output-file config/requirements-dev.txt

clean:  ## Remove .venv and caches; keeps every stored file and key
	rm -rf $(VENV) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +


# ── set-up: each file below is the proof that its step is done ──────────────────────────────────────────────────────
# `--no-deps`: the lists are complete, and older pips look for newer versions of what an extra (`coverage[toml]`) names.

$(VENV)/installed: pyproject.toml config/requirements.txt | $(BIN)/pip
	@echo "Installing Sealdav into $(VENV) (once)"
	@$(PIP) install --no-deps --require-hashes --requirement config/requirements.txt
	@$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed config/requirements-dev.txt
	@echo "Installing the development tools into $(VENV) (once)"
	@$(PIP) install --no-deps --require-hashes --requirement config/requirements-dev.txt
	@touch $@

# Debian keeps ensurepip, without which `venv` makes nothing, in a package of its own.
$(BIN)/pip:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo 'Sealdav needs Python 3.11 or newer. Install it, or name it: make run PYTHON=/path/to/python3' >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || \
	    { package=$$("$(PYTHON)" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])'); \
	    $(SUDO) true 2>/dev/null && echo "Installing the Debian package $$package" && $(APT) update && \
	    $(APT) install --yes --no-install-recommends $$package >/dev/null || \
	    { echo "Sealdav needs Python's venv module. Install it first: apt-get install $$package" >&2; exit 1; }; }
	@"$(PYTHON)" -m venv --clear $(VENV)
