"""The scripts of recipes/gpu, which are no package."""

import importlib.util
from pathlib import Path
from types import ModuleType

GPU = Path(__file__).parents[1] / "recipes/gpu"


def script(name: str) -> ModuleType:
    """One of them as a module."""
    spec = importlib.util.spec_from_file_location(name, GPU / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
