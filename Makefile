# Developer verbs; the same here and in CI. `make run` and `make test` need only Python 3.10+.
PYTHON ?= python3
BIN := .venv/bin
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
endif
PYTEST := $(BIN)/python -m pytest
# Tests start many processes: each reads compiled modules instead of compiling all of them again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run install dev ui test test-slow test-pythons test-extras test-install test-all lint format types layers cov wheel clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

run: install  ## set everything up and start the workbench at http://127.0.0.1:8642
	$(BIN)/zhilu up

install:  ## what running needs, pinned
	$(PYTHON) scripts/install.py

dev:  ## what the tests need
	$(PYTHON) scripts/install.py --dev

ui:  ## build the workbench only
	$(PYTHON) scripts/install.py --ui-only

test: dev lint types layers  ## set up and pass the default tests
	$(PYTEST) -m "not slow and not browser and not real_model and not install and not gpu and not network" -n 2

test-slow: dev  ## the slow ones: browser, kill -9, real models, the front end's own
	$(PYTEST) -m "(slow or browser or real_model) and not install and not gpu and not network"
	$(PYTHON) scripts/install.py --ui-check

test-pythons:  ## the default tests on the newest other Python here and (unit, contract) the oldest, without PyTorch
	$(PYTHON) scripts/pythons.py

test-extras:  ## stores, launchers and libraries that are no part of Zhilu, in an environment of their own (3 GB)
	$(PYTHON) scripts/extras.py

test-install: dev  ## the README, command by command, in a fresh clone (needs the package index)
	$(PYTEST) -m install -s

test-all: test test-slow test-install  ## everything but GPU tests

lint:
	$(BIN)/ruff check src tests scripts benchmarks
	$(BIN)/ruff format --check src tests scripts benchmarks

format:  ## mend style
	$(BIN)/ruff check --fix src tests scripts benchmarks
	$(BIN)/ruff format src tests scripts benchmarks

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports --no-cache

cov:  ## coverage of the default tests
	$(PYTEST) -m "not slow and not browser and not real_model and not install and not gpu and not network" -n 2 --cov --cov-report=term --cov-report=html

wheel: ui  ## the distributable, with the built workbench inside
	$(BIN)/python -m pip wheel --no-deps -w dist .

clean:
	rm -rf .venv .venv-* build dist htmlcov .coverage* ui/node_modules src/zhilu/host/static
