"""The scripts of the folder packaging, as modules."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def script(root: Path) -> Callable[[str], ModuleType]:
    """A script of the repository, imported without being run."""

    def load(name: str) -> ModuleType:
        """The module that a script is."""
        spec = importlib.util.spec_from_file_location(Path(name).stem, root / name)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def project(root: Path) -> dict:
    """The table [project] of pyproject.toml."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
