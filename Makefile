PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
UV     := $(VENV)/bin/uv
UV_VERSION := 0.13.9
ARGS   ?=
CHECK  ?=
PYTHON312 ?= python3.12
export UV_LINK_MODE ?= hardlink
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
unexport PYTHONDONTWRITEBYTECODE  # the tests start hundreds of processes, each of which would compile every module

.PHONY: help demo test test-all check bench figures peers lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rollahead needs Python >= 3.11, and $(PYTHON) is older; pass PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "this Python has no venv module: apt-get install python3-venv, or pass another PYTHON="; exit 1; }
	@$(PY) -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

$(VENV)/.ready: requirements.lock pyproject.toml | $(UV)
	@echo "installing what requirements.lock names into $(VENV)"
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.ready  ## drive a robot under inference delay, and write a report (5 minutes at most)
	@$(VENV)/bin/rollahead demo $(ARGS)

test: $(VENV)/.ready  ## run the tests
	@$(PY) -m pytest -q -n 2 -m "not slow" $(ARGS)

test-all: $(VENV)/.ready  ## run all tests, in every Python lane found here
	@$(PY) -m pytest -q -n 2 $(ARGS)
	@sh tests/lanes.sh whole

check: $(VENV)/.ready  ## format, lint, types, import layers
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.ready  ## make every figure again (see docs/benchmarks.md for the time each takes)
	@$(PY) -m benchmarks.skeleton $(ARGS)

figures: $(VENV)/.ready  ## print all figures against their goals; CHECK=name runs that figure again
	@$(PY) -m benchmarks.figures $(if $(CHECK),check=$(CHECK))

peers: $(VENV)/.ready  ## install what the benchmarks compare with (5 GB; needs PYTHON312=/path/to/python3.12)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON312) .venv-peers
	@$(UV) pip install --quiet --python .venv-peers/bin/python --require-hashes -r benchmarks/peers.lock

lock: $(UV)  ## refresh requirements.lock
	@$(UV) pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url --no-header --no-annotate --no-emit-package rollahead pyproject.toml -o requirements.lock
	@$(UV) pip compile --quiet --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --no-annotate benchmarks/peers.in -o benchmarks/peers.lock

clean:  ## remove the environment
	rm -rf $(VENV)
