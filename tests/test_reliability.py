"""Every row of docs/reliability.md names tests, and those tests exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows(page: str) -> list[str]:
    """The rows of all tables, without headings."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [line for line in lines if not re.match(r"\|(---|\s*what\s*\|)", line)]


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The names of the functions in a file."""
    tree = ast.parse(path.read_text())
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


def unproven(page: str, root: Path) -> list[str]:
    """Rows that name no test in their last column, and tests that are not there."""
    found = []
    for row in rows(page):
        named = TEST.findall(row.split("|")[-2])
        if not named:
            found.append(row)
        for file, name in named:
            path = root / file
            if not path.is_file() or name not in functions_of(path):
                found.append(f"{file}::{name}")
    return found


def test_every_promise_has_its_tests(root: Path) -> None:
    page = (root / "docs/reliability.md").read_text()
    assert len(rows(page)) > 40
    assert unproven(page, root) == []


@pytest.mark.parametrize(
    "row",
    [
        "| a file | it is gone | an error | |",
        "| a file | it is gone | `tests/test_reliability.py::test_every_promise_has_its_tests` | |",
        "| a file | it is gone | an error | `tests/test_reliability.py::test_of_nothing` |",
        "| a file | it is gone | an error | `tests/test_nothing.py::test_of_nothing` |",
    ],
)
def test_a_promise_without_a_test_is_found(row: str, root: Path) -> None:
    assert len(unproven(f"| what | | | |\n|---|---|---|---|\n{row}\n", root)) == 1
