"""The commands of docs/scaling.md as they stand there, on a Ray that the command itself starts."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from documents import blocks, calls


@pytest.mark.slow
def test_the_first_commands(root: Path, tmp_path: Path) -> None:
    first = blocks((root / "docs/scaling.md").read_text(encoding="utf-8"), "console")[0]
    (tmp_path / "samples").symlink_to(root / "samples", target_is_directory=True)
    said = []
    for call in calls(f"```console\n{first}```\n"):
        command = [sys.executable, "-m", *shlex.split(call)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        said.append(done.stdout + done.stderr)
    noisy = {path.name for path in (root / "samples/noisy").iterdir()}
    assert {path.name for path in (tmp_path / "out/bulk").iterdir()} == noisy | {"_ledger"}
    assert f"{len(noisy)} enhanced" in said[0]
    assert f"{len(noisy)} done, 0 failed, 0 found" in said[1]
