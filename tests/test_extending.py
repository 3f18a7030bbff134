"""The examples of docs/extending.md run, one after another, as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[1] / "docs/extending.md"


def test_the_examples_run() -> None:
    pytest.importorskip("pesq")
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    names: dict[str, Any] = {"__name__": "extending"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert len(names["scores"].by_metric()) == 6
