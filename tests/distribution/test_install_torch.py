"""Which PyTorch the two set-up commands take."""

import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


class Pip:
    """What would be installed; the index of CPU builds may have nothing."""

    def __init__(self, cpu: bool = True) -> None:
        self.cpu = cpu
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str | Path) -> bool:
        self.asked.append(tuple(map(str, arguments)))
        return self.cpu or "--index-url" not in arguments


@pytest.fixture
def setup(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, on Linux without PyTorch or GPU, where the index of CPU builds answers."""
    module = script("packaging/install_torch.py")
    monkeypatch.setattr(module, "here", lambda: None)
    monkeypatch.setattr(module, "elsewhere", lambda python: None)
    monkeypatch.setattr(module, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(module, "reachable", lambda index: True)
    monkeypatch.setattr(module, "install", Pip())
    monkeypatch.setattr(module.sys, "platform", "linux")
    return module


OF_CPU = ("--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", "torch==2.13.0")


def test_without_a_gpu_the_cpu_build_is_taken(setup: ModuleType) -> None:
    assert setup.main("python3") == 0
    assert setup.install.asked == [OF_CPU]


def test_the_default_index_is_the_second_choice(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "install", Pip(cpu=False))
    assert setup.main("python3") == 0
    assert setup.install.asked == [OF_CPU, ("torch==2.13.0",)]
    assert "3 GB" in capsys.readouterr().err
    monkeypatch.setattr(setup, "reachable", lambda index: False)
    monkeypatch.setattr(setup, "install", Pip())
    assert setup.main("python3") == 0
    assert setup.install.asked == [("torch==2.13.0",)]


@pytest.mark.parametrize("case", ["GPU", "macOS"])
def test_where_the_default_index_is_right(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    if case == "GPU":
        monkeypatch.setattr(setup, "has_nvidia_gpu", lambda: True)
    else:
        monkeypatch.setattr(setup.sys, "platform", "darwin")
    assert setup.main("python3") == 0
    assert setup.install.asked == [("torch==2.13.0",)]


@pytest.mark.parametrize(
    ("version", "kept"), [("2.9.1+cu130", True), ("2.4.0", True), ("2.3.1", False), ("1.13", False)]
)
def test_what_is_there_is_kept(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, version: str, kept: bool
) -> None:
    monkeypatch.setattr(setup, "here", lambda: version)
    assert setup.main("python3") == 0
    assert bool(setup.install.asked) is not kept


def test_a_lock_counts_more_than_what_is_there(setup: ModuleType, root: Path) -> None:
    setup.here = lambda: "2.9.1"
    assert setup.main("python3", "packaging/locks") == 0
    assert setup.install.asked == [(*OF_CPU[:3], "-r", "packaging/locks/torch-cpu.txt")]


def test_another_interpreters_is_used_as_it_is(
    script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """Of an activated environment, or of the system."""
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    for place in (own, theirs):
        venv.create(place, symlinks=True)
    (site,) = theirs.glob("lib/python*/site-packages")
    for name, text in {
        "torch/__init__.py": "print('theirs')",
        "torch-2.9.1+cu130.dist-info/METADATA": "Name: torch\nVersion: 2.9.1+cu130\n",
    }.items():
        (site / name).parent.mkdir()
        (site / name).write_text(text)
    module = script("packaging/install_torch.py")
    command = [own / "bin/python", module.__file__, theirs / "bin/python"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "torch 2.9.1+cu130" in done.stdout
    used = [own / "bin/python", "-c", "import torch"]
    assert subprocess.run(used, capture_output=True, text=True).stdout == "theirs\n"
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "kept" in again.stdout
    assert module.elsewhere(sys.executable)[1] == Path(sysconfig.get_path("purelib")).resolve()


def test_an_index_that_does_not_answer_takes_seconds(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script("packaging/install_torch.py")
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        assert not module.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - begun < 5
    assert not module.reachable("http://127.0.0.1:1")
