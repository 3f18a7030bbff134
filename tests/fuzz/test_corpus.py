"""Inputs that fuzzing begins with, and those it has found: each is read, or refused with reason."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(path for path in CORPUS.rglob("*") if path.is_file())
SCRIPT = Path(__file__).parents[2] / "benchmarks/fuzz_targets.py"


@pytest.fixture(scope="module")
def targets() -> dict[str, Any]:
    pytest.importorskip("yaml", reason="recipes are YAML")
    pytest.importorskip("av", reason="most kinds of recordings need PyAV")
    spec = importlib.util.spec_from_file_location("fuzz_targets", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.TARGETS
    return found


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_but_an_answer(tmp_path: Path, targets: dict[str, Any], path: Path) -> None:
    targets[path.parent.name](path.read_bytes(), tmp_path)


def test_every_target_has_inputs(targets: dict[str, Any]) -> None:
    assert set(targets) == {path.parent.name for path in INPUTS}
    assert sum(path.stat().st_size for path in INPUTS) < 200_000
