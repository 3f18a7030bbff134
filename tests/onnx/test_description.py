"""``speechduet.json``: written, read, damaged."""

import json
from pathlib import Path

import pytest

from speechduet.errors import ModelError
from speechduet.onnx.description import DESCRIPTION, Description


def test_it_is_read_as_it_was_written(exported: Path, tmp_path: Path) -> None:
    description = Description.read(exported)
    assert description.name == "tiny" and description.precision == "float32"
    assert list(description.modes) == ["fast", "balanced", "best"]
    (tmp_path / DESCRIPTION).write_text(description.to_text())
    assert Description.read(tmp_path) == description


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', '{"format": 1, "modes": {"a": 1}}'])
def test_a_damaged_one(tmp_path: Path, damage: str) -> None:
    (tmp_path / DESCRIPTION).write_text(damage)
    with pytest.raises(ModelError, match=r"speechduet.json is damaged .*export it again"):
        Description.read(tmp_path)


def test_a_later_format(exported: Path, tmp_path: Path) -> None:
    values = json.loads((exported / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps({**values, "format": 2}))
    with pytest.raises(ModelError, match="exported format 2; expected 1; update speechduet"):
        Description.read(tmp_path)
