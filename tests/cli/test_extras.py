"""Every command where each optional package is missing: it works, or one line says what to do."""

import json
import os
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from speechduet.errors import SettingError
from speechduet.extras import EXTRAS, PACKAGES, missing

OTHERWISE = {
    "prepare voicebank": "VoiceBank-DEMAND",
    "reproduce voicebank": "VoiceBank-DEMAND",
    "convert": "is no checkpoint",
    "adapt": "2.0 s of speech; expected 10 s at least",
    "--status": "no recording is in the ledger",
    "serve": "can be reached from other machines",
    "--dnsmos": "is not an ONNX network",
    "absent.yaml": "cannot read",
    "nobody-has-this/model-name": "cannot fetch",
}
"""Why a command may fail with all packages, by a part of its arguments."""

HERE = {module for module in EXTRAS if find_spec(module) is not None}
"""The packages of extras that these tests run with; all others are missing in every case."""

SCRIPT = Path(__file__).with_name("without.py")
CASES: dict[str, set[str]] = runpy.run_path(str(SCRIPT))["CASES"]


def declared(root: Path) -> dict[str, set[str]]:
    """The packages of each extra, but for those that a base installation has, and tools."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    base = {re.split("[<>=]", needed)[0] for needed in extras["dependencies"]}
    base.add("filelock")  # PyTorch itself needs it.
    return {
        extra: {re.split("[<>=]", needed)[0] for needed in packages} - base
        for extra, packages in extras["optional-dependencies"].items()
        if extra not in ("dev", "docs")
    }


def test_every_package_of_an_extra_is_known_with_its_extra(root: Path) -> None:
    packages = {PACKAGES.get(module, module): extra for module, extra in EXTRAS.items()}
    extras = declared(root)
    assert set().union(*extras.values()) == set(packages)
    for package, extra in packages.items():
        assert package in extras[extra]


def test_each_package_of_an_extra_is_missing_in_a_case() -> None:
    few = [modules for modules in CASES.values() if len(modules) <= 3]
    assert set().union(*few) == set(EXTRAS)


@pytest.fixture(scope="module")
def outcomes(root: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what came of all commands, for each module that is missing."""
    folder = tmp_path_factory.mktemp("without")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    command = [sys.executable, str(SCRIPT), str(root), str(tiny_model), str(folder)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_commands_without_a_package(case: str, outcomes: Path) -> None:
    absent = CASES[case] | (EXTRAS.keys() - HERE)
    names = {name for one in absent for name in (one, PACKAGES.get(one, one))}
    untried, *results = map(json.loads, (outcomes / f"{case}.jsonl").read_text().splitlines())
    trained = next(outcome["status"] for outcome in results if "--folder" in outcome["command"])
    assert (trained == 0) == absent.isdisjoint({"lightning", "yaml"})
    assert not untried["untried"], "give these commands arguments in without.py"
    assert len(results) > 20
    for outcome in results:
        said = outcome["command"]
        assert not outcome["trace"], f"{said}: {outcome['trace']}"
        if outcome["status"] == 0:
            continue
        assert outcome["status"] in (1, 2), outcome
        *_, line = outcome["stderr"].strip().splitlines()
        if any(key in said and reason in line for key, reason in OTHERWISE.items()):
            continue
        assert any(name in line for name in names), outcome
        assert "is not installed" in line or "need" in line, outcome
        assert re.search(r"pip install '?(speechduet\[\w+(,\w+)*\]|matplotlib)", line), outcome


def test_what_is_missing_is_named_and_not_what_needs_it() -> None:
    error = ModuleNotFoundError("No module named 'scipy'", name="scipy.signal")
    assert str(missing(error, "pystoi")) == (
        "scipy is not installed; pip install 'speechduet[evaluation]'"
    )
    other = ModuleNotFoundError("No module named 'x'", name="x")
    assert "x is not installed" in str(missing(other, "lightning", "train"))
    assert "PyYAML is not installed; pip install 'speechduet[train]'" in str(
        missing(ModuleNotFoundError(name="yaml"), "yaml")
    )
    compiled = str(missing(ModuleNotFoundError(name="pesq"), "pesq"))
    assert compiled.startswith("pesq is not installed; pip install 'speechduet[evaluation]'; it is")
    assert "C compiler: apt install gcc" in compiled
    broken = ImportError("numpy.core.multiarray failed\nto import")
    assert str(missing(broken, "pesq")) == (
        "pesq is installed but cannot be imported (numpy.core.multiarray failed to import); "
        "pip install --force-reinstall pesq"
    )
    assert isinstance(missing(broken, "pesq"), SettingError)


def test_a_compiled_part_is_named_by_its_package() -> None:
    """The loader gives the last word of its name, and the path of its file."""
    part = torch._C.__file__
    error = ImportError("libcudart.so: cannot open shared object file", name="_C", path=part)
    assert str(missing(error, "enhance")) == (
        "torch is installed but cannot be imported (libcudart.so: cannot open shared object file); "
        "pip install --force-reinstall torch"
    )
    ours = ImportError("cannot import", name="_C", path=missing.__code__.co_filename)
    with pytest.raises(ImportError, match="cannot import"):
        missing(ours, "enhance")


@pytest.mark.parametrize(
    ("reason", "memory"),
    [
        ("libtorch_cpu.so: failed to map segment from shared object", True),
        ("libtorch_cpu.so: cannot map zero-fill pages", True),
        ("x.so: cannot create shared object descriptor: Cannot allocate memory", True),
        ("x.so: failed to map segment from shared object: Operation not permitted", False),
        ("libgomp.so.1: cannot allocate memory in static TLS block", False),
    ],
)
def test_too_little_memory_is_no_broken_package(reason: str, memory: bool) -> None:
    said = str(missing(ImportError(reason, name="torch"), "enhance"))
    assert ("memory is too small to load torch (" + reason in said) == memory
    assert ("--force-reinstall torch" in said) != memory


def test_a_mistake_in_this_package_is_no_missing_package() -> None:
    error = ModuleNotFoundError(name="speechduet.nothing")
    with pytest.raises(ModuleNotFoundError):
        missing(error, "speechduet")
