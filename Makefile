# `make smoke` runs every stage on two miniatures, `make` the full miniature benchmark, `make test` all
# checks and tests.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := mini
.PHONY: smoke mini check test lint style types ui docs site prove-equal pins release clean

# The pins were made with Python 3.11, which is preferred if there are several.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)

# Two test processes on any machine, since tests of the workflow take two cores each. Each process
# runs whole modules, in the order of tests/conftest.py.
PYTEST := python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations=15
# Selection of tests, by marker.
TESTS ?= not network and not slurm

VENV := .venv
READY := $(VENV)/.ready
# Tools of the environment come first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

smoke: $(READY)
	snakemake --cores all --config scale=smoke

mini: $(READY)
	snakemake --cores all

# Compares a finished run with its tracked example: make check [RUN=claim].
RUN ?= mini
check: $(READY)
	@python -m leap_suite.report.check $(RUN)

test: $(READY)
	$(MAKE) --jobs 2 lint
	$(PYTEST) -m "$(TESTS)"

lint: style types

style: $(READY)
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile workflow baselines
	lint-imports --no-logo
	snakemake --lint
	@diff <(sed -n '/^[^#].*==/p' envs/requirements.txt) \
	    <(sed -n 's/^ *- \(.*==.*\)/\1/p' envs/suite.yaml) \
	    || { echo "envs/suite.yaml differs from envs/requirements.txt: run make pins" >&2; exit 1; }

types: $(READY)
	mypy

ui: $(READY)
	@grep -Hos 'http[^"]*leaderboard[^"]*' results/*/tracking/*.json || true
	mlflow ui --host 127.0.0.1 --backend-store-uri sqlite:///results/mlflow.db --workers 1

# Writes the tables of README and docs from the tracked results.
docs: $(READY)
	python -m leap_suite.report.documentation

# The documentation as a site, in site/. Needs envs/docs.txt.
site: $(READY)
	python -m pip install --quiet -r envs/docs.txt
	mkdocs build --strict

# Proves that HEAD computes the same bits as an older commit, whose results then stay valid:
# make prove-equal BEFORE=COMMIT [WITHOUT="alps"], where WITHOUT excludes methods known to differ.
prove-equal: $(READY)
	python -m tests.prove_equal $(BEFORE) $(WITHOUT)

# Copies the pins into the conda environment file.
pins:
	sed -i.old '/==/d' envs/suite.yaml && rm envs/suite.yaml.old
	sed -n 's/^\([^#].*==\)/      - \1/p' envs/requirements.txt >> envs/suite.yaml

# Checks versions and dates, builds both distributions into dist/, and prints what publishes them.
release: $(READY)
	@python -m tests.release

# Keeps results, which may have taken days of GPU time.
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment is rebuilt if the pins or pyproject.toml change.
$(READY): envs/requirements.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(PYTHON) is not Python 3.11 or newer: set one, as in make PYTHON=python3.11" >&2; \
	    exit 1; }
	@echo "Installing the environment into $(VENV): a few minutes, about 2 GB (more with CUDA)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --upgrade pip
	@$(VENV)/bin/python -m pip install --quiet -r envs/requirements.txt
	@# setuptools is pinned, so the build needs no network; its only warning is about the editable
	@# installation
	@PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --no-deps \
	    --no-build-isolation -e .
	@touch $@
