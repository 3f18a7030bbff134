"""SIGKILL at random moments, and the same command again: a small run of the benchmark."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc"),
]


@pytest.mark.parametrize(
    "given",
    [
        ["enhance", "--recordings", "4", "--workers", "2"],
        ["train", "--steps", "20"],
        ["adapt", "--steps", "4"],
    ],
    ids=lambda given: given[0],
)
def test_in_the_end_all_is_as_if_nothing_had_been_killed(root: Path, given: list[str]) -> None:
    pytest.importorskip("lightning", reason="needs the extra train")
    pytest.importorskip("pesq", reason="needs the extra evaluation")
    script = root / "benchmarks/kills.py"
    done = subprocess.run(
        [sys.executable, str(script), *given, "--kills", "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills" in done.stdout and "0 faults" in done.stdout
