"""Memory of ``speechduet bulk`` with a long manifest of which most is done.

    python benchmarks/bulk_memory.py --rows 100000 --left 20 --model DIR

All rows point to one recording. Prints the peak of the driver, and of the largest worker, in MB.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile


def main() -> None:
    """Make the results that count as done, run, and watch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--left", type=int, default=20)
    parser.add_argument("--model", default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bulk-memory-") as name:
        place = Path(name)
        samples = 0.1 * np.random.default_rng(0).standard_normal(16_000)
        soundfile.write(place / "one.wav", samples, 16_000)
        with (place / "list.jsonl").open("w") as manifest:
            for row in range(given.rows):
                output = f"{row // 1000:04d}/{row:08d}.wav"
                manifest.write(json.dumps({"path": "one.wav", "output": output}) + "\n")
                if row < given.rows - given.left:
                    result = place / "out" / output
                    result.parent.mkdir(parents=True, exist_ok=True)
                    result.touch()
        command = [sys.executable, "-m", "speechduet", "bulk", str(place / "list.jsonl")]
        command += ["-o", str(place / "out"), "--workers", "2"]
        command += ["-m", given.model] if given.model else []
        for run in ("first", "second"):
            begun = time.monotonic()
            driver, worker, status = watched(command)
            print(
                f"{run}: driver {driver / 1024:.0f} MB, largest worker {worker / 1024:.0f} MB, "
                f"{time.monotonic() - begun:.0f} s, exit status {status}",
                flush=True,
            )


def watched(command: list[str]) -> tuple[int, int, int]:
    """Peaks in kB of the driver and of the largest worker, and the exit status."""
    driver = subprocess.Popen(command)
    own = largest = 0
    while driver.poll() is None:
        own = max(own, peak_of(driver.pid))
        for path in Path("/proc").glob("[0-9]*"):
            called = content_of(path / "cmdline")
            if called.startswith("ray::MapWorker(MapBatches(Pieces"):
                largest = max(largest, peak_of(int(path.name)))
        time.sleep(0.2)
    return own, largest, driver.returncode


def peak_of(process: int) -> int:
    """The peak of a process's memory in kB, or 0 if it is gone."""
    for line in content_of(Path(f"/proc/{process}/status")).splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def content_of(path: Path) -> str:
    """A file of /proc; empty if its process is gone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
