# Everything a person types here. `make` alone lists it.
#
#   PYTHON=python3.12 make test    another interpreter (3.11 or newer)
#   make clean                     forget the environment, e.g. after changing PYTHON

PYTHON ?= python3
WORKERS ?= 2
SEEDS ?= 2000

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
CODE := src tests examples $(wildcard bench)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test quick lint format types bench sim npm page page-check extension clean

help:
	@echo "make demo     three peers on this machine, live"
	@echo "make test     everything that must hold before a change lands: lint, types, the whole suite"
	@echo "make quick    the suite without its slow tests"
	@echo "make lint     ruff: rules and format        make format   let ruff repair what it can"
	@echo "make types    mypy                          make clean    remove what make made"
	@echo "make sim      the simulation, longer: SEEDS=$(SEEDS)"
	@echo "make bench    the figures, each against a peer or a floor"
	@echo "make npm      packages of npm, for the tests that need some (nothing else does)"
	@echo "make page     build the page of web/ into the package      make page-check   is it what was built?"
	@echo "make extension  build and test editors/vscode"

# ------------------------------------------------------------------------------------ the environment

# Made once, and again when pyproject.toml changes. The package is installed editable: sources are
# read where they are, so an edit needs no reinstall.
.venv/installed: pyproject.toml | .venv/made
	@echo "Installing meerkat into .venv ..."
	@$(PIP) install --editable .
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/made
	@echo "Installing meerkat and its development tools into .venv ..."
	@$(PIP) install --editable '.[dev]'
	@touch $@ .venv/installed

.venv/made:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "Meerkat needs Python 3.11 or newer, and '$(PYTHON)' is not here."; \
	    echo "Install it (Debian, Ubuntu: apt install python3 python3-venv) or name one: make PYTHON=/path/to/python3"; \
	    exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Meerkat needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12"; \
	    exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make a virtual environment."; \
	    echo "Debian and Ubuntu keep that apart: apt install python3-venv"; \
	    exit 1; }
	@echo "Making .venv with $$($(PYTHON) -V) ..."
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
	@touch $@

# ------------------------------------------------------------------------------------------- the work

demo: .venv/installed
	@$(BIN)/meerkat demo

# pytest comes last: its closing line is the last thing printed.
test: lint types
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --hypothesis-profile ci

quick: .venv/installed-dev
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --hypothesis-profile ci -m "not slow"

lint: .venv/installed-dev
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)

format: .venv/installed-dev
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

types: .venv/installed-dev
	@$(BIN)/mypy $(CODE)

sim: .venv/installed-dev
	@$(BIN)/pytest tests/simulation -n $(WORKERS) --dist worksteal --hypothesis-profile long \
	    --seeds $(SEEDS) -o faulthandler_timeout=3600

bench: .venv/installed-dev
	@for script in $(sort $(wildcard bench/[a-z]*.py)); do \
	    echo "== $$script"; $(BIN)/python -m "bench.$$(basename "$$script" .py)" || exit 1; done

# ------------------------------------------------------------------------------------ what Node builds

# Exact versions are in package.json or, where the result must be the same bytes, in a lock file. Not
# `npm ci`: it wants the packages of every other platform in the lock, and npm leaves those out.
NPM := npm --no-audit --no-fund --ignore-scripts --loglevel=error
NPM_FOLDERS := $(patsubst %/package.json,%,$(wildcard $(addsuffix /package.json,tests/interop web editors/vscode)))
BUILT := build/page

npm: $(addsuffix /node_modules/.installed,$(NPM_FOLDERS))

%/node_modules/.installed: %/package.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer and npm are needed for $*."; exit 1; }
	@echo "Installing packages of npm into $* ..."
	@cd $* && $(NPM) install $$([ -e package-lock.json ] || echo --no-package-lock)
	@touch $@

page: web/node_modules/.installed
	@cd web && npm run --silent build

page-check: web/node_modules/.installed
	@cd web && npm run --silent check
	@rm -rf $(BUILT)
	@cd web && npm run --silent build -- --outDir ../$(BUILT) --emptyOutDir --logLevel warn
	@diff -r $(BUILT) src/meerkat/web/page || { \
	    echo "src/meerkat/web/page is not what web/ builds: make page, and commit it"; exit 1; }
	@echo "The page is what web/ builds."

extension: editors/vscode/node_modules/.installed
	@cd editors/vscode && npm run --silent compile && npm test --silent

clean:
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
