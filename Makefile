# make run     set up, then run the demo experiment     (make run ARGS="acquisition/fusion=max seed=1")
# make test    set up, then run the whole test suite    (make test ARGS="tests/acquisition")
# make lint    set up, then lint, check formatting and types

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: run test lint
.DELETE_ON_ERROR:

run: $(INSTALLED)
	$(BIN)/python scripts/run.py $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --editable .
	@touch $@
