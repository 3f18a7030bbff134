# Two commands:  make demo  [IN=recording.wav]   and   make test
# Both create .venv on their first run and are quick afterwards. Both take
#   LOCKED=1            the versions and hashes in packaging/locks
#   TORCH="torch==..."  a PyTorch of your choice, as pip takes it; without, install_torch.py chooses

PYTHON ?= python3
BIN := .venv/bin
TOOLS := .venv/tools/bin
LOCKS := packaging/locks

.PHONY: demo test lint docs picture dist lock sbom audit clean
.DELETE_ON_ERROR:

demo: .venv/.demo
	$(BIN)/python examples/demo.py $(if $(IN),"$(IN)")

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist loadfile

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

picture: .venv/.dev
	$(BIN)/python docs/pictures/structure.py

# Wheel and source distribution, into dist/: twice the same from the same files.
dist: .venv/.dev
	$(BIN)/python -m hatchling build

# What .venv holds, as CycloneDX.
sbom: .venv/.demo .venv/tools
	mkdir -p out
	$(TOOLS)/cyclonedx-py environment --no-validate --pyproject pyproject.toml --output-reproducible -o out/sbom.json .venv

# Known vulnerabilities of what is locked; asks PyPI.
audit: .venv/tools
	$(TOOLS)/pip-audit --strict --no-deps --disable-pip -r $(LOCKS)/test.txt -r $(LOCKS)/torch.txt

# New versions and hashes, of all platforms and Pythons. Not those of torch-cpu.txt: its index gives them.
COMPILE = $(TOOLS)/uv pip compile --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --quiet
CUDA = $$(sed -nE 's/^((torch|triton|cuda-|nvidia-)[a-z0-9-]*)==.*/--no-emit-package \1/p' $(LOCKS)/torch.txt)
lock: .venv/tools
	grep -o '^torch==[0-9.]*' $(LOCKS)/torch-cpu.txt | $(COMPILE) --upgrade - -o $(LOCKS)/torch.txt
	$(COMPILE) --upgrade pyproject.toml --extra dev $(LOCKS)/build.in -c $(LOCKS)/torch.txt $(CUDA) -o $(LOCKS)/test.txt
	$(COMPILE) --upgrade pyproject.toml --extra evaluation $(LOCKS)/build.in -c $(LOCKS)/torch.txt -c $(LOCKS)/test.txt $(CUDA) -o $(LOCKS)/demo.txt

# The documentation as a web site, in site/.
docs: .venv/.dev
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf .venv out dist site

.venv/.torch:
	$(PYTHON) -m venv .venv
	$(if $(TORCH),$(BIN)/pip install --quiet $(TORCH),$(BIN)/python packaging/install_torch.py $(PYTHON) $(if $(LOCKED),$(LOCKS)))
	touch $@

# From a lock file each package with its hash, then the project, whose hash nobody can know.
INSTALL = $(if $(LOCKED),\
	$(BIN)/pip install --quiet --no-deps --require-hashes -r $(LOCKS)/$(1).txt && \
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .,\
	$(BIN)/pip install --quiet --editable '.[$(2)]')

# The stamp of the development install also serves the demo, for it installs all that one needs.
.venv/.demo: .venv/.torch pyproject.toml
	test .venv/.dev -nt pyproject.toml || { $(call INSTALL,demo,evaluation); }
	touch $@

.venv/.dev: .venv/.torch pyproject.toml
	$(call INSTALL,test,dev)
	touch $@

# Apart, so that they are no part of what they describe.
.venv/tools:
	$(PYTHON) -m venv $@
	$(TOOLS)/pip install --quiet 'uv>=0.13' 'cyclonedx-bom>=7' 'pip-audit>=2.10' || { rm -rf $@; exit 1; }
