# Two commands:  make demo  [IN=recording.wav]   and   make test
# Both create .venv on their first run and are quick afterwards.

PYTHON ?= python3
# PyPI's Linux wheel of torch may bring CUDA libraries. For a CPU-only one:
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test docs clean
.DELETE_ON_ERROR:

demo: .venv/.demo
	$(BIN)/python examples/demo.py $(if $(IN),"$(IN)")

test: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile

# The documentation as a web site, in site/.
docs: .venv/.dev
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf .venv out

.venv/.torch:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $(TORCH)
	touch $@

# The stamp of the development install also serves the demo, for it installs all that one needs.
.venv/.demo: .venv/.torch pyproject.toml
	test .venv/.dev -nt pyproject.toml || $(BIN)/pip install --quiet --editable '.[evaluation]'
	touch $@

.venv/.dev: .venv/.torch pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
