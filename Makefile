# gridchain: everything a developer or CI runs. `make` alone prints this list.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# Candidates are *run*, not looked up: a version-manager shim may exist and still fail.
PYTHON_CANDIDATES ?= $(PYTHON) python3.11 python3.12 python3 python python3.13
SOAK_SEEDS ?= 20000
FROM ?= 1000
TO ?= 101000

# Hundreds of processes are started by the tests, four by the demo: none should compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test check fmt sim model oracle soak bench prices clean

help:
	@echo "make install  make the environment in $(VENV)"
	@echo "make demo     four validators trade a real neighbourhood's day"
	@echo "make test     all tests that CI runs"
	@echo "make check    format, lint, types, import rules"
	@echo "make fmt      format the sources"
	@echo "make sim      200 simulator seeds of each engine and size of committee"
	@echo "make soak     the long runs: seeds until docs/reliability.csv has 20,000 (SOAK_SEEDS=), then the tests marked soak"
	@echo "make model    the voting rules in TLC (Java 17, Maven)"
	@echo "make oracle   100,000 random programs against the oracle (FROM=, TO=, JOURNAL=file to go on later)"
	@echo "make bench    throughput and latency   make clean  remove what the others made"
	@echo "make prices   the dearest nanoseconds per gas of every operation of contracts"

$(VENV)/installed: pyproject.toml constraints.txt
	@found=""; for candidate in $(PYTHON_CANDIDATES); do \
	  if "$$candidate" -c 'import sys, venv; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))' >/dev/null 2>&1; \
	  then found="$$candidate"; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "gridchain needs Python 3.11, 3.12 or 3.13 with the venv module; none of these could be run: $(PYTHON_CANDIDATES)" >&2; \
	  echo "Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	echo "environment: $$("$$found" --version) in $(VENV)"; \
	rm -rf $(VENV) && "$$found" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[solvers]' || \
	  echo "no solver of optimisation problems for this machine: its tests are skipped" >&2
	@touch $@

install: $(VENV)/installed

demo: install
	@$(BIN)/gridchain demo

test: install
	@$(BIN)/python tests/side_by_side.py $(PYTEST_REPORTS)

check: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fmt: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

sim: install
	@$(BIN)/python tests/simulation/soak.py sim 200

model: install
	@$(BIN)/python tests/model/check.py

oracle: install
	@$(BIN)/python tests/oracle/campaign.py $(FROM) $(TO) $(JOURNAL)

soak: install
	@$(BIN)/python tests/simulation/soak.py soak $(SOAK_SEEDS)
	@$(BIN)/python -m pytest -m soak --timeout 7200 tests

bench: install
	@$(BIN)/gridchain bench tps --engine solo --validators 1
	@$(BIN)/gridchain bench tps --engine bft --validators 4

prices: install
	@$(BIN)/python tests/support/gas_prices.py 120

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
