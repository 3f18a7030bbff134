"""Wheel and source distribution: the same bytes each time, complete, and enough to enhance."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

pytest.importorskip("hatchling", reason="needs hatchling")


def build(source: Path, target: Path) -> dict[str, bytes]:
    """What hatchling makes of the files of a folder, in a copy of it."""
    target.mkdir()
    for name in ("src", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"):
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, target / name)
    for path in target.rglob("*"):  # another day, and another umask
        os.utime(path, (1e9, 1e9))
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run(command, cwd=target, env=environment, check=True, capture_output=True)
    return {path.name: path.read_bytes() for path in (target / "dist").iterdir()}


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both."""
    folder = tmp_path_factory.mktemp("built")
    build(root, folder / "first")
    return folder / "first" / "dist"


def test_the_same_files_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = build(built.parent, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in built.iterdir()} == again
    assert len(again) == 2


def test_what_is_in_them(root: Path, built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.infolist()[0].date_time[:2] == (2023, 11)  # SOURCE_DATE_EPOCH
        (about,) = [name for name in names if name.endswith("/METADATA")]
        metadata = archive.read(about).decode()
    package = {
        path.relative_to(root / "src").as_posix()
        for path in (root / "src/speechduet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if not name.startswith("speechduet-")} == package
    for name in ("py.typed", "app/page/page.css", "model/bundled/gp_unified_compact/config.json"):
        assert f"speechduet/{name}" in package
    for line in ("License-Expression: MIT", "Description-Content-Type: text/markdown"):
        assert line in metadata
    assert (root / "README.md").read_text(encoding="utf-8").strip() in metadata
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        folders = {name.split("/")[1] for name in archive.getnames()}
    assert folders - {".gitignore", "PKG-INFO", "dist"} == {
        *("src", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff")
    }


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_the_wheel_needs_only_what_it_asks_for(
    root: Path, built: Path, script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """In an environment with the packages of no extra: those of this one, by links."""
    place = tmp_path / "environment"
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    for name in script("packaging/licences.py").needed([""]):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__", "/") and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    (wheel,) = built.glob("*.whl")
    install = ["-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    absent = (
        "import importlib.util as u; print([*map(u.find_spec, ('scipy', 'matplotlib', 'yaml'))])"
    )
    found = subprocess.run([python, "-I", "-c", absent], capture_output=True, text=True, check=True)
    assert found.stdout == "[None, None, None]\n"
    noisy, clean = root / "samples/noisy/cafe.flac", tmp_path / "clean.wav"
    command = [place / "bin/speechduet", "enhance", noisy, "-o", clean, "--threads", "1"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    before, after = soundfile.read(noisy)[0], soundfile.read(clean)[0]
    assert before.shape == after.shape
    assert np.square(after).sum() < np.square(before).sum()
