"""The shape of the package: the order of imports, names, sizes and docstrings."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "speechduet"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    *MODULES,
    *(
        path
        for folder in ("tests", "examples", "samples", "benchmarks", "docs", "recipes")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
]

# The order in which data flows. A module imports from rooms above its own, or from its own.
ROOMS = (
    {"errors", "extras", "seed", "framing", "settings", "attempt", "names", "files", "audio"},
    {"sampling", "spectrogram", "expected_error"},
    {"process"},
    {"sampler"},
    {"network"},
    {"recipe"},
    {"model"},
    {"backend"},
    {"enhancement"},
    {"onnx"},
    {"export"},
    {"data", "metrics", "picture", "overview", "comparison"},
    {"evaluation", "training"},
    {"bench", "study", "app", "adaptation", "bulk"},
    {"cli"},
)


def room(name: str) -> int:
    """Index of the room of a part of the package."""
    places = [index for index, names in enumerate(ROOMS) if name in names]
    assert places, f"give speechduet.{name} a place in ROOMS"
    return places[0]


def imported(tree: ast.AST) -> Iterator[str]:
    """The parts of the package that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "speechduet":
            names = [f"speechduet.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "speechduet" and rest and not rest.startswith("_"):
                yield rest.partition(".")[0]


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_imports_run_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part in ("__init__", "__main__"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    upwards = {name for name in imported(tree) if room(name) > room(part)}
    assert not upwards, f"{identify(path)} imports from below: {', '.join(sorted(upwards))}"


def test_relative_imports_are_not_used() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), identify(path)


def test_names_say_what_is_inside() -> None:
    vague = {"util", "utils", "helper", "helpers", "misc", "common", "other"}
    for path in SOURCES:
        parts = set(path.relative_to(ROOT).with_suffix("").parts)
        assert not parts & vague, identify(path)


def test_files_fit_a_reader() -> None:
    lengths = {identify(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines >= 350} == {}


def public(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    """Public classes and functions of a module, and public methods of public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                        yield method


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_the_public_interface_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree), "the module has no docstring"
    undocumented = [node.name for node in public(tree) if not ast.get_docstring(node)]
    assert not undocumented


def test_the_command_line_answers_without_pytorch() -> None:
    """It takes seconds to import, and help, completion and usage errors need none of it."""
    code = "import sys, speechduet.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_caught_unseen() -> None:
    """Who catches everything must raise it again."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and ast.unparse(node).startswith(
                ("except:", "except Exception", "except BaseException")
            ):
                last = node.body[-1]
                assert isinstance(last, ast.Raise) and last.exc is None, identify(path)
