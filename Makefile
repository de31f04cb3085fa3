# Every task of the project. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python of these that is 3.11 or later. Override it: make install PYTHON=/path/to/python
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$name"; break; }; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PYTEST := $(BIN)/python -m pytest
SOURCES := flow consumers service tests
PIN := $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --annotation-style=line \
	--no-header --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.PHONY: help install develop demo up test test-quick lint format bench requirements clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

install: .venv/installed ## Install Streamgauge into .venv, with the pinned packages that it needs to run

develop: .venv/developing ## Add the tools for tests and checks to .venv

demo: .venv/installed ## Run everything on this machine, with invented events: nothing else is needed
	$(BIN)/streamgauge demo

up: ## Run the production set-up in containers (needs Docker with Compose)
	@test -f deploy/compose.yaml || { echo "deploy/compose.yaml is not there: there is no container set-up to run" >&2; exit 1; }
	docker compose --file deploy/compose.yaml up --build

test: .venv/developing ## Run all tests
	$(PYTEST)

test-quick: .venv/developing ## Run the tests that need no server, in less than two minutes
	$(PYTEST) --hypothesis-profile=quick $(wildcard tests/unit tests/property)

lint: .venv/developing ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

format: .venv/developing ## Put the code into its one format, and mend what can be mended safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/developing ## Measure how fast it is on this machine
	$(BIN)/python -m tests.benchmarks

requirements: .venv/developing ## Pin all packages again, at their newest versions that fit pyproject.toml
	$(PIN) --output-file requirements/build.txt requirements/build.in
	$(PIN) --output-file requirements/runtime.txt pyproject.toml
	$(PIN) --extra dev --constraint requirements/runtime.txt --output-file requirements/development.txt pyproject.toml

clean: ## Remove .venv, caches and what was built
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than what it was made from: a second run installs nothing.
.venv/installed: pyproject.toml requirements/build.txt requirements/runtime.txt
	@test -n '$(PYTHON)' || { echo "Python 3.11 or later is needed: install it, or name it with PYTHON=/path/to/python" >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or later: name another one with PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing the pinned packages into .venv (this takes a minute, once)"
	@'$(PYTHON)' -m venv .venv
	@$(PIP) --require-hashes --requirement requirements/build.txt
	@$(PIP) --require-hashes --requirement requirements/runtime.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/developing: .venv/installed requirements/development.txt
	@echo "Installing the tools for tests and checks into .venv"
	@$(PIP) --require-hashes --requirement requirements/development.txt
	@touch $@
