"""Every command where each optional package is missing: it works, or one line says what to do."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from speechduet.errors import SettingError
from speechduet.extras import EXTRAS, PACKAGES, missing

EXPECTED = {
    # Where huggingface_hub is there, the model is not, and other failures have other reasons.
    "nobody-has-this/model-name": "",
    "prepare voicebank": "VoiceBank-DEMAND",
    "reproduce voicebank": "VoiceBank-DEMAND",
    "convert": "is no checkpoint",
    "openvino": "",
    "simulate-rooms": "pyroomacoustics is not installed",
    "--dnsmos": "is not an ONNX network",
    "absent.yaml": "cannot read",
}


def declared(root: Path) -> dict[str, set[str]]:
    """The packages of each extra, but for those that a base installation has, and tools."""
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    base = {re.split("[<>=]", needed)[0] for needed in extras["dependencies"]}
    return {
        extra: {re.split("[<>=]", needed)[0] for needed in packages} - base
        for extra, packages in extras["optional-dependencies"].items()
        if extra != "dev"
    }


def test_every_package_of_an_extra_is_known_with_its_extra(root: Path) -> None:
    packages = {PACKAGES.get(module, module): extra for module, extra in EXTRAS.items()}
    extras = declared(root)
    assert set().union(*extras.values()) == set(packages)
    for package, extra in packages.items():
        assert package in extras[extra]


@pytest.mark.slow
@pytest.mark.parametrize("module", EXTRAS)
def test_commands_without_a_package(
    module: str, root: Path, tiny_model: Path, tmp_path: Path
) -> None:
    package = PACKAGES.get(module, module)
    script = Path(__file__).with_name("without.py")
    command = [sys.executable, str(script), module, package, str(root), str(tiny_model)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    untried, *told = map(json.loads, ended.stdout.splitlines())
    assert not untried["untried"], "give these commands arguments in without.py"
    for outcome in told:
        said = outcome["command"]
        assert not outcome["trace"], f"{said}: {outcome['trace']}"
        if outcome["status"] == 0:
            continue
        assert outcome["status"] in (1, 2), outcome
        *_, line = outcome["stderr"].strip().splitlines()
        names = {package, module}
        if any(name in line for name in names):
            assert "is not installed" in line or "need" in line, outcome
            assert re.search(r"pip install '?(speechduet\[\w+(,\w+)*\]|matplotlib)", line), outcome
        else:
            # It failed for another reason, one that it has with all packages.
            assert any(key in said and reason in line for key, reason in EXPECTED.items()), outcome


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
    broken = ImportError("numpy.core.multiarray failed\nto import")
    assert str(missing(broken, "pesq")) == (
        "pesq is installed but cannot be imported (numpy.core.multiarray failed to import); "
        "pip install --force-reinstall pesq"
    )
    assert isinstance(missing(broken, "pesq"), SettingError)


def test_a_mistake_in_this_package_is_no_missing_package() -> None:
    error = ModuleNotFoundError(name="speechduet.nothing")
    with pytest.raises(ModuleNotFoundError):
        missing(error, "speechduet")
