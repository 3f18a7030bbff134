"""The small distribution: all that the runner imports, and a fresh environment with no more."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.enhancement.enhancer import Enhancer as WithPyTorch

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")

MOST_BYTES = 200_000_000
NEEDS_PYAV = {"av"}
"""Imported where a file needs it, with a message where it is missing."""


def needed(tree: ast.AST) -> Iterator[str]:
    """Modules that are imported, also inside functions, but not those for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from needed(node)


def packed(root: Path) -> tuple[set[Path], list[str]]:
    """The modules of the small distribution, and the packages that it needs."""
    folder = root / "packaging" / "onnx"
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    files: set[Path] = set()
    include = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, target in include.items():
        path = (folder / source).resolve()
        assert path.exists(), path
        if path.name != "LICENSE":
            assert path.relative_to(root / "src") == Path(target)
        files |= set(path.rglob("*.py")) if path.is_dir() else {path}
    return files, project["project"]["dependencies"]


def test_all_that_is_imported_is_packed(root: Path) -> None:
    files, dependencies = packed(root)
    modules = {
        ".".join(path.relative_to(root / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in files
        if path.suffix == ".py"
    }
    third = {requirement.partition(">")[0] for requirement in dependencies}
    assert third == {"numpy", "onnxruntime", "soundfile", "soxr"}
    known = third | set(sys.stdlib_module_names) | NEEDS_PYAV | {"torch"}
    for path in files:
        if path.suffix != ".py":
            continue
        for name in needed(ast.parse(path.read_text(encoding="utf-8"))):
            package = name.partition(".")[0]
            if package != "speechduet":
                assert package in known, (path, name)
                if package == "torch":  # of a tensor that a caller has
                    assert path.name == "waveform.py"
            elif (root / "src" / Path(*name.split("."))).with_suffix(".py").exists():
                assert name in modules, (path, name)


@pytest.mark.slow
def test_a_fresh_environment(root: Path, exported: Path, tiny_model: Path, tmp_path: Path) -> None:
    """A bundled sample, enhanced where PyTorch is not, in less than 200 MB."""
    place = tmp_path / "environment"
    python = place / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    command = [python, "-m", "pip", "install", "-q", "--timeout", "20", "--retries", "1"]
    command.append(root / "packaging" / "onnx")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    except subprocess.TimeoutExpired:
        pytest.skip("pip cannot reach packages in time")
    if done.returncode:
        unreachable = ("No matching distribution", "Could not find a version", "onnection")
        assert any(text in done.stderr for text in unreachable), done.stderr
        pytest.skip("pip reaches no packages here")
    size = sum(path.lstat().st_size for path in place.rglob("*"))
    assert size < MOST_BYTES
    target = tmp_path / "clean.wav"
    source = root / "samples" / "noisy" / "cafe.flac"
    enhance = ["-m", "speechduet.onnx", exported, source, "-o", target, "--threads", "1"]
    # -I: neither the folder that one is in nor PYTHONPATH.
    subprocess.run([python, "-I", *enhance], check=True, cwd=tmp_path, capture_output=True)
    absent = "import importlib.util as u; assert not any(map(u.find_spec, ('torch', 'pydantic')))"
    subprocess.run([python, "-I", "-c", absent], check=True)
    noisy, rate = soundfile.read(source, dtype="float32")
    expected = WithPyTorch.from_pretrained(tiny_model, "cpu")(noisy, rate)
    # The file holds 16-bit numbers.
    np.testing.assert_allclose(soundfile.read(target)[0], expected, rtol=0, atol=1e-4)
