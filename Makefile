# Everything runs in .venv, which any target makes when it is missing: Python, pip and make are all it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test soak bench growth catalogue format clean

demo: .venv/installed
	$(BIN)/python examples/demo.py

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

soak: .venv/installed
	$(BIN)/python tests/test_random_layers.py 1000

bench: .venv/bench
	$(BIN)/python -m benchmarks --markdown docs/benchmark.md --plot docs/benchmark.svg

growth: .venv/bench
	$(BIN)/python -m benchmarks --growth --plot docs/growth.svg

# Those to compare with: one that cannot be installed is skipped by name.
.venv/bench: .venv/installed
	-$(BIN)/python -m pip install --quiet -e ".[bench]" -c constraints.txt
	touch $@

catalogue: .venv/installed
	$(BIN)/python -m benchmarks.catalogue

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "gradproof needs Python 3.10 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e ".[dev,torch]" -c constraints.txt
	touch $@
