# First steps: `make smoke` takes two miniatures through every stage, `make` runs the whole miniature
# benchmark, `make test` every check.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := mini
.PHONY: smoke mini test lint style types ui docs prove-equal pins clean

# The pins were made with 3.11, so it is preferred where there are several.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)

# Two processes for tests, whatever the number of cores: those that run the workflow take two each.
# They get whole modules, in the order of tests/conftest.py.
PYTEST := python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations=15
# Which tests, by their markers.
TESTS ?= not network and not slurm

VENV := .venv
READY := $(VENV)/.ready
# Rules that call a tool by its name get the one of the environment.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

smoke: $(READY)
	snakemake --cores all --config scale=smoke

mini: $(READY)
	snakemake --cores all

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

# Writes the tables of README and docs from the results that are tracked.
docs: $(READY)
	python -m suite.report.documentation

# Shows that HEAD computes the same bits as an older commit, so that results of that one stay valid:
# make prove-equal BEFORE=COMMIT [WITHOUT="alps"], without methods that are known to differ.
prove-equal: $(READY)
	python -m tests.prove_equal $(BEFORE) $(WITHOUT)

# Copies the pins into the conda environment file.
pins:
	sed -i.old '/==/d' envs/suite.yaml && rm envs/suite.yaml.old
	sed -n 's/^\([^#].*==\)/      - \1/p' envs/requirements.txt >> envs/suite.yaml

# Leaves results alone: they may have cost days of GPU time.
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# A new environment whenever the pins or the package's own declaration change.
$(READY): envs/requirements.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "$(PYTHON) is not Python 3.11 or newer: name one, as in make PYTHON=python3.11" >&2; \
	    exit 1; }
	@echo "Installing the environment into $(VENV): some minutes, and about 2 GB (more with CUDA)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --upgrade pip
	@$(VENV)/bin/python -m pip install --quiet -r envs/requirements.txt
	@# setuptools is among the pins, so the build needs nothing from the network; its one warning
	@# is that an editable installation is an editable installation
	@PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --no-deps \
	    --no-build-isolation -e .
	@touch $@
