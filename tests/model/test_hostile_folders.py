"""Model folders of strangers: what they declare takes no memory before it is known to fit."""

import json
import resource
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speechduet.errors import ModelError
from speechduet.model.folder import CONFIG, RANGES, WEIGHTS, load

MOST_MB = 100


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture(autouse=True)
def memory() -> Any:
    """Asserts that a test leaves the peak of this process's memory where it was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert sys.platform != "linux" or taken < MOST_MB * 1024


def hole(path: Path, size: int, start: bytes = b"") -> None:
    """A file of this size, all of it behind the start a hole."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


def test_a_config_of_a_terabyte(folder: Path) -> None:
    hole(folder / CONFIG, 1 << 40)
    with pytest.raises(ModelError, match=r"config.json is damaged \(it has more than 1,048,576 b"):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network", "[" * 400 + "]" * 400),
        ("name", "[" * 400 + "]" * 400),
        ("modes", "[" * 100_000),
        ("metadata", '{"a":' * 400 + "1" + "}" * 400),
        ("process", "9" * 4000),
        ("spectrogram", "9" * 5000),
        ("network", json.dumps({"kind": "x" * 1_000_000})),
    ],
)
def test_values_without_end(folder: Path, key: str, value: str) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config[key] = "HERE"
    (folder / CONFIG).write_text(json.dumps(config).replace('"HERE"', value))
    if key == "metadata":
        load(folder)
        return
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2000


def test_a_network_of_gigabytes_for_a_few_weights(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["network"]["width"] = 4000
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ModelError, match="does not fit its configuration: .*4000"):
        load(folder)


def with_header(change: Callable[[dict[str, Any]], None], weights: Path) -> bytes:
    """A file of weights with another header."""
    data = weights.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def enlarged(header: dict[str, Any]) -> None:
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"] = [1 << 40]


def doubled(header: dict[str, Any]) -> None:
    name = next(name for name in header if name != "__metadata__")
    for number in range(20):
        header[f"{name}.{number}"] = header[name]


def huge(header: dict[str, Any]) -> None:
    for name, entry in header.items():
        if name != "__metadata__":
            entry["data_offsets"] = [0, 1 << 40]


@pytest.mark.parametrize("change", [enlarged, doubled, huge])
def test_headers_that_lie(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    (folder / WEIGHTS).write_bytes(with_header(change, folder / WEIGHTS))
    with pytest.raises(ModelError, match="model.safetensors"):
        load(folder)


def test_one_weight_of_a_terabyte(folder: Path) -> None:
    header = {"x": {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]}}
    text = json.dumps(header).encode()
    start = struct.pack("<Q", len(text)) + text
    hole(folder / WEIGHTS, (1 << 40) + len(start), start)
    with pytest.raises(
        ModelError, match=r"model.safetensors (does not fit .*unknown x|is damaged .unable to mmap)"
    ):
        load(folder)


@pytest.mark.parametrize("size", [1 << 21, 1 << 32, (1 << 64) - 1])
def test_a_header_of_gigabytes(folder: Path, size: int) -> None:
    hole(folder / WEIGHTS, 1 << 34, struct.pack("<Q", size))
    with pytest.raises(ModelError, match=f"a header of {size:,} bytes"):
        load(folder)


@pytest.mark.parametrize(
    "text",
    ['{"encoder": [0, 1' + "0" * 400 + ", 0, 0]}", "[" * 100_000, '{"encoder": [0, 1e400, 0, 0]}'],
)
def test_ranges_that_are_none(folder: Path, text: str) -> None:
    (folder / RANGES).write_text(text)
    with pytest.raises(ModelError, match="activation_ranges.json is damaged"):
        load(folder)


def test_nothing_outside_is_read_by_name(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    config["weights"] = "../../etc/passwd"
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ModelError, match="unknown key 'weights'"):
        load(folder)
