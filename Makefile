# `make demo` and `make test` on a fresh machine: each installs what it needs into .venv and runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo docs test test-all lint dist clean

demo: $(VENV)/.core
	$(BIN)/framecast demo

# A process a core, each with one thread: two threads a process would wait for each other. One that has nothing left takes from others.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

# The site, into docs/_build/html, without a network: tutorials are executed, and a link that leads nowhere is an error.
docs: $(VENV)/.test
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.core: pyproject.toml setup.py constraints.txt $(wildcard src/framecast/ops/native/*.c src/framecast/ops/native/*.h)
	$(PYTHON) -c 'import sys; sys.exit("framecast needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[demo]'
	touch $@

# pysteps and scores are second opinions: some tests compare with them and are skipped, saying so, where they cannot be
# installed (pysteps is compiled here and needs a C compiler).
$(VENV)/.test: $(VENV)/.core
	$(PIP) --editable '.[test]'
	$(PIP) --editable '.[oracles]' || echo "pysteps or scores could not be installed: the tests that compare with them are skipped"
	$(PIP) --editable '.[kernels]' || echo "Triton could not be installed: the test of the kernels for GPUs is skipped"
	touch $@

# The source distribution, a wheel with the loops for this platform, and one without them for any.
dist: $(VENV)/.test
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	CC=false $(BIN)/python -m build --wheel --outdir dist

clean:
	rm -rf $(VENV) build dist demo runs docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
