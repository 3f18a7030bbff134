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


@pytest.mark.parametrize(
    "damage",
    ["{", "[" * 200_000, "[]", '{"format": 1}', '{"format": 1, "modes": {"a": 1}}'],
    ids=["cut", "deep", "list", "little", "wrong"],
)
def test_a_damaged_one(tmp_path: Path, damage: str) -> None:
    (tmp_path / DESCRIPTION).write_text(damage)
    with pytest.raises(ModelError, match=r"speechduet.json is damaged .*export it again"):
        Description.read(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("spectrogram.n_fft", 0),
        ("spectrogram.n_fft", 10**9),
        ("spectrogram.n_fft", "510"),
        ("spectrogram.hop", 0),
        ("spectrogram.hop", 511),
        ("spectrogram.sample_rate", -1),
        ("spectrogram.exponent", float("nan")),
        ("spectrogram.factor", 0),
        ("spectrogram.published", "yes"),
        ("frame_multiple", 0),
        ("frame_multiple", 10**9),
        ("programs", {}),
        ("programs.both", None),
        ("name", 5),
        ("spectrogram.factor", 10**400),
        ("modes.fast.steps", [{"make": "x0", "of": {"y": -(10**400)}}]),
        ("modes.balanced.offsets", []),
        ("modes.balanced.offsets", [10**12]),
        ("modes.balanced.steps", []),
        ("modes.balanced.result", "nothing"),
        ("modes.balanced.result", "z" + "9" * 5000),
        ("modes.fast.steps", [{"make": "x0", "of": {}}]),
        ("modes.fast.steps", [{"make": "x0", "of": {"y": "1"}}]),
        ("modes.fast.steps", [{"make": "x0", "of": {"later": 1}}]),
        ("modes.fast.steps", [{"run": "none", "inputs": ["y"], "t": None, "make": ["x0"]}]),
        ("modes.fast.steps", [{"run": "predictive", "inputs": [], "t": 1, "make": ["x0"]}]),
        ("modes.fast.steps", [{"run": "predictive", "inputs": ["y"], "t": "1", "make": ["x0"]}]),
    ],
)
def test_what_no_export_writes_is_refused_before_anything_is_computed(
    exported: Path, tmp_path: Path, place: str, value: object
) -> None:
    values = json.loads((exported / DESCRIPTION).read_text())
    *way, last = place.split(".")
    inner = values
    for name in way:
        inner = inner[name]
    assert last in inner
    inner[last] = value
    (tmp_path / DESCRIPTION).write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"speechduet.json is damaged"):
        Description.read(tmp_path)


def test_a_description_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / DESCRIPTION).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match=r"speechduet.json is damaged .*more than"):
        Description.read(tmp_path)


def test_a_later_format(exported: Path, tmp_path: Path) -> None:
    values = json.loads((exported / DESCRIPTION).read_text())
    (tmp_path / DESCRIPTION).write_text(json.dumps({**values, "format": 2}))
    with pytest.raises(ModelError, match="exported format 2; expected 1; update speechduet"):
        Description.read(tmp_path)
