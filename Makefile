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
SOURCES := flow consumers service grafana tests
PIN := $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras --annotation-style=line \
	--no-header --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

# Apache Kafka for the tests, where Maven and Java are at hand; elsewhere they run on another broker, and say so.
KAFKA := $(if $(shell command -v mvn),$(if $(shell command -v java),build/kafka/installed))

# Tests start hundreds of processes, and each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install develop demo up test test-quick image-test chaos lint format dashboards bench bench-detector bench-scale requirements clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

install: .venv/installed ## Install Streamgauge into .venv, with the pinned packages that it needs to run

develop: .venv/developing ## Add the tools for tests and checks to .venv

demo: .venv/installed ## Run everything on this machine, with invented events: nothing else is needed
	$(BIN)/streamgauge demo

up: ## Run the whole stack in containers (needs Docker with Compose)
	deploy/compose/prepare.sh
	docker compose --file deploy/compose/compose.yaml up --build

test: .venv/developing $(KAFKA) ## Run all tests, in two processes at once
	$(PYTEST) --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-quick: .venv/developing ## Run the tests that need no server, in less than two minutes
	$(PYTEST) --hypothesis-profile=quick $(wildcard tests/unit tests/property)

image-test: .venv/developing ## Build the container image and run its processes (needs root, buildah and debootstrap; minutes)
	$(PYTEST) -m image --timeout 1800 tests/image

chaos: .venv/developing $(KAFKA) ## Kill and pause everything under load, and compare all that can be read (half an hour)
	$(BIN)/python -m tests.chaos $(CHAOS)

lint: .venv/developing ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: .venv/developing ## Put the code into its one format, and mend what can be mended safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dashboards: .venv/developing ## Write the Grafana dashboards again
	$(BIN)/python -m grafana

bench: .venv/developing $(KAFKA) ## Measure how fast it is on this machine
	$(BIN)/python -m tests.benchmarks

bench-detector: .venv/developing ## Measure what the bottleneck detector sees, and how soon (half an hour)
	$(BIN)/python -m tests.benchmarks.detector

bench-scale: .venv/developing ## Measure how cost grows with streams, items and partitions (some minutes)
	$(BIN)/python -m tests.benchmarks.scale

requirements: .venv/developing ## Pin all packages again, at their newest versions that fit pyproject.toml
	$(PIN) --output-file requirements/build.txt requirements/build.in
	$(PIN) --output-file requirements/runtime.txt pyproject.toml
	$(PIN) --extra dev --constraint requirements/runtime.txt --output-file requirements/development.txt pyproject.toml
	$(PIN) --constraint requirements/development.txt --output-file requirements/compiler.txt requirements/compiler.in

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

build/kafka/installed: tests/pom.xml
	@echo "Fetching Apache Kafka for the tests into build/kafka (once)"
	@rm -rf build/kafka && mkdir -p build/kafka
	@if mvn --quiet --batch-mode --no-transfer-progress --file tests/pom.xml generate-resources; then touch $@; \
		else echo "It could not be fetched: the tests run without it" >&2; fi
