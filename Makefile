# GraphMER-SE: two commands do everything. `make run` needs the runtime only, `make test` adds the test tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SRC ?=
PROFILE ?= cpu

.PHONY: run test lab docs sync clean help
.DEFAULT_GOAL := help

help:                 ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

run: $(VENV)/.runtime ## the main job: make run [SRC=path] [PROFILE=cpu]
	@$(BIN)/graphmer run $(if $(SRC),"$(SRC)") --profile $(PROFILE)

test: $(VENV)/.dev    ## every test: notebooks, pipeline, faults, sync
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/all.py

lab: $(VENV)/.lab     ## JupyterLab over the notebooks
	@$(BIN)/jupyter lab --notebook-dir nbs

docs: $(VENV)/.dev    ## the documentation site (needs the quarto program)
	@command -v quarto >/dev/null || { echo "make docs needs quarto: install it from quarto.org, then call again. The report of a run needs nothing."; exit 2; }
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/nbdev-docs

sync: $(VENV)/.dev    ## notebooks -> modules and README, metadata cleaned
	@$(BIN)/nbdev-export && $(BIN)/nbdev-clean && $(BIN)/python tests/readme.py --write

clean:                ## remove the virtual environment; runs and downloads stay
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "GraphMER-SE needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 run"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is incomplete: apt-get install python3-venv, then call again"; exit 2; }

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the runtime into $(VENV) (once)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "installing the test tools into $(VENV) (once)"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.lab: $(VENV)/.dev
	@echo "installing JupyterLab into $(VENV) (once)"
	@$(PIP) --editable '.[dev,lab]'
	@touch $@
