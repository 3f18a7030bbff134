"""What describes the project to others says the same as pyproject.toml."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import speechduet

LOCKS = ("demo", "test", "torch", "torch-cpu")
OF_CONDA = {"pytorch": "torch", "pysoundfile": "soundfile", "soxr-python": "soxr"}


def text(path: Path) -> str:
    """What a file says."""
    return path.read_text(encoding="utf-8")


def pinned(lock: str) -> set[str]:
    """The packages of a lock file."""
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*)==", lock, flags=re.MULTILINE))


def test_the_version_is_the_same_everywhere(root: Path, project: dict) -> None:
    version = project["version"]
    assert version == speechduet.__version__
    assert f"\nversion: {version}\n" in text(root / "CITATION.cff")
    assert f"\n  version: {version}\n" in text(root / "packaging/conda/recipe.yaml")
    headings = re.findall(r"^## (\S+)", text(root / "CHANGELOG.md"), flags=re.MULTILINE)
    assert next(name for name in headings if name != "Unreleased") == version
    assert headings.index("Unreleased") == 0


def test_the_conda_recipe_asks_for_the_same(root: Path, project: dict) -> None:
    yaml = pytest.importorskip("yaml")
    recipe = yaml.safe_load(text(root / "packaging/conda/recipe.yaml"))
    python, *needed = recipe["requirements"]["run"]
    assert python == f"python {project['requires-python']}"
    packages = dict(line.split() for line in needed)
    renamed = {OF_CONDA.get(name, name): version for name, version in packages.items()}
    asked = dict(re.split("(?=>)", line, maxsplit=1) for line in project["dependencies"])
    assert renamed == asked
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert entry == f"speechduet = {project['scripts']['speechduet']}"


@pytest.mark.parametrize("path", [".github", ".pre-commit-config.yaml"])
def test_files_for_other_programs_are_yaml(root: Path, path: str) -> None:
    yaml = pytest.importorskip("yaml")
    files = [root / path] if path.endswith("yaml") else list((root / path).rglob("*.yml"))
    assert all(yaml.safe_load(text(file)) for file in files)
    assert files


def test_the_workflow_tests_every_python_that_is_named(root: Path, project: dict) -> None:
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load(text(root / ".github/workflows/test.yml"))["jobs"]
    named = [line.rpartition(" :: ")[2] for line in project["classifiers"] if ":: 3." in line]
    assert jobs["linux"]["strategy"]["matrix"]["python"] == named


def test_the_dockerfile(root: Path) -> None:
    dockerfile = root / "packaging/Dockerfile"
    for stage in ("cpu", "cuda"):
        after = text(dockerfile).partition(f"FROM base AS {stage}\n")[2].partition("FROM")[0]
        assert "RUN make demo LOCKED=1" in after
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists() and not shutil.which("hadolint"):
        pytest.skip("needs hadolint")
    program = hadolint if hadolint.exists() else "hadolint"
    done = subprocess.run([program, dockerfile], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes_and_no_index(root: Path, name: str) -> None:
    lock = text(root / "packaging/locks" / f"{name}.txt")
    packages = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", lock))
    for package in packages:
        assert re.match(r"[a-z0-9-]+==\S+( ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}", package)
    assert "index-url" not in lock
    assert "://" not in "".join(packages)


def test_the_locks_have_all_that_is_asked_for(
    root: Path, project: dict, script: Callable[[str], ModuleType]
) -> None:
    locks = {name: text(root / "packaging/locks" / f"{name}.txt") for name in LOCKS}
    version = script("packaging/install_torch.py").TORCH
    assert f"{version} " in locks["torch"]
    assert f"{version} " in locks["torch-cpu"]
    extras = project["optional-dependencies"]
    (others,) = [line for line in extras["dev"] if line.startswith("speechduet[")]
    named = re.split(r"[\[\],]", others)[1:-1]
    everything = [line for name in ("dev", *named) for line in extras[name]]
    wanted = {"demo": extras["evaluation"], "test": everything}
    for name, further in wanted.items():
        asked = {
            re.split(r"[\[<>=]", line)[0].lower().replace("_", "-")
            for line in [*project["dependencies"], *further]
        }
        assert asked - {"torch", "speechduet"} <= pinned(locks[name]), "run: make lock"
        assert pinned(locks[name]) & pinned(locks["torch-cpu"]) == set()


def test_licences_are_allowed_and_listed(root: Path, script: Callable[[str], ModuleType]) -> None:
    licences = script("packaging/licences.py")
    extras = ("", "train", "evaluation", "hub", "onnx", "app")
    packages = licences.needed(extras)
    refused = {name: licences.licence(name) for name in packages if not licences.allowed(name)}
    assert not refused
    assert {"torch", "av", "soxr"} <= packages.keys()
    listed = text(root / "docs/dependencies.md")
    for name in licences.needed([""]):
        assert f"| {name} | {licences.licence(name)} | always |" in listed or "nvidia" in name


@pytest.mark.parametrize("statement", ["GPL-3.0-only", "MIT AND GPL-2.0-or-later", "unheard of"])
def test_a_licence_that_is_not_known_is_refused(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    licences = script("packaging/licences.py")
    monkeypatch.setattr(licences, "licence", lambda package: statement)
    assert not licences.allowed("some-package")
    assert licences.allowed("nvidia-cublas")


def test_the_picture_of_the_structure_is_current(
    root: Path, script: Callable[[str], ModuleType]
) -> None:
    structure = script("docs/pictures/structure.py")
    imports = structure.imports()
    assert {"errors", "audio"} <= imports["enhancement"]
    assert text(structure.PICTURE) == structure.draw(imports), "run: make picture"
