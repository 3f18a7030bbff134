"""Puts PyTorch into the environment whose Python runs this, without downloading CUDA for nothing.

    .venv/bin/python packaging/install_torch.py PYTHON [LOCKS]

One that is there already is kept, whatever its build; so is one that PYTHON has, the interpreter
that made the environment (of the system, of conda, of an activated environment): its folder is
read from here, and nothing in it is changed. Else, on Linux without an NVIDIA GPU, it comes from
PyTorch's own index of CPU builds, or if that cannot be reached from the default index, whose
build for Linux may bring gigabytes of CUDA libraries. With LOCKS, a folder, nothing that was
there counts, and only files with the hashes in it are taken.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

TORCH = "torch==2.13.0"
OLDEST = (2, 4)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PATIENCE_S = 5
LOOK = """
import importlib.metadata
torch = importlib.metadata.distribution("torch")
print(torch.version)
print(torch.locate_file(""))
"""


def suits(version: str) -> bool:
    """Whether the project works with this version of PyTorch."""
    return tuple(map(int, re.findall(r"\d+", version)[:2])) >= OLDEST


def here() -> str | None:
    """The version of PyTorch in this environment."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def elsewhere(python: str) -> tuple[str, Path] | None:
    """Version and folder of the PyTorch that another interpreter of this version has."""
    look = f"import sys\nassert sys.version_info[:2] == {sys.version_info[:2]}\n{LOOK}"
    done = subprocess.run([python, "-c", look], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    version, folder = done.stdout.splitlines()
    return version, Path(folder).resolve()


def has_nvidia_gpu() -> bool:
    """Whether a driver of NVIDIA's is there."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def reachable(index: str) -> bool:
    """Whether an index answers soon; pip would try for minutes."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=PATIENCE_S):
            return True
    except OSError:
        return False


def install(*arguments: str | Path) -> bool:
    """Whether pip could install this."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    return subprocess.run(command, check=False).returncode == 0


def main(python: str, locks: str | None = None) -> int:
    """Exit status: 0 if PyTorch is there in the end."""
    if locks is None:
        version = here()
        if version and suits(version):
            print(f"torch {version} is here already and is kept")
            return 0
        found = elsewhere(python)
        if found and suits(found[0]):
            print(f"torch {found[0]} of {found[1]} is used")
            note = Path(sysconfig.get_path("purelib"), "torch_elsewhere.pth")
            note.write_text(f"{found[1]}\n", encoding="utf-8")
            return 0
    if sys.platform == "linux" and not has_nvidia_gpu():
        of_cpu = ["--no-deps", "--index-url", CPU_INDEX]  # what it needs comes with the rest
        wanted = ["-r", Path(locks, "torch-cpu.txt")] if locks else [TORCH]
        if reachable(CPU_INDEX) and install(*of_cpu, *wanted):
            return 0
        print(
            f"{CPU_INDEX} gives no {TORCH}: it comes from the default index, where a build "
            "with CUDA can be 3 GB to download and 7 GB on the disk",
            file=sys.stderr,
        )
    locked = ["--no-deps", "--require-hashes", "-r", Path(locks, "torch.txt")] if locks else [TORCH]
    return 0 if install(*locked) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
