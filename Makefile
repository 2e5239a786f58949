# The two commands: `make demo` and `make test`. Each makes the environment first, where it is missing or old.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the commands below need.
EXTRAS ?= train,synth,docs,dev
# Scripts of benchmarks/ that `make bench` runs in turn. Each takes --write, and --data for the folder of corpora.
BENCHMARKS ?= features activity live serve scale scale_simulation alternatives training memory speech2vec runtime install

.DEFAULT_GOAL := help
.PHONY: help environment demo test matrix check docs bench clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

environment: $(VENV)/.made ## the pinned environment in .venv

$(VENV)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# Modules are compiled when they are first imported: most never are, and compiling all takes half of the time.
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: $(VENV)/.made ## the main job on synthetic speech, under 5 minutes on two cores
	$(BIN)/duetto demo --out demo

check: $(VENV)/.made ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --level error

test: check ## style, types and every test, under 12 minutes on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
	$(BIN)/python tests/matrix.py --quick

matrix: $(VENV)/.made ## the tests that compute numbers as other processors, threads and locales compute them
	$(BIN)/python tests/matrix.py

docs: $(VENV)/.made ## the documentation site, into site/
	$(BIN)/mkdocs build --strict

$(VENV)/.bench: $(VENV)/.made
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS),bench]'
	@touch $@

bench: $(VENV)/.bench ## every benchmark, into benchmarks/RESULTS.md; DUETTO_DATA names the folder of corpora
	for name in $(BENCHMARKS); do OMP_NUM_THREADS=1 $(BIN)/python benchmarks/$$name.py --write $${DUETTO_DATA:+--data "$$DUETTO_DATA"} || exit 1; done

clean: ## remove what the commands above made
	rm -rf $(VENV) demo site dist build .pytest_cache .ruff_cache .hypothesis
