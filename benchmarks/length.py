"""Time and memory by the length of a recording, of `speechduet enhance` as a whole.

    python benchmarks/length.py --threads 2 --json benchmarks/results/length.json

strings the repository's own noisy samples together to recordings of each length, enhances each in
a process of its own, and reports what that process took: start-up, reading and writing included.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import torch
import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
LENGTHS_S = (10, 60, 600, 3600)


@dataclass(frozen=True)
class Row:
    """One recording: how long it is, and what enhancing it took."""

    length_s: int
    seconds: float
    """On the clock."""
    processor_seconds: float
    """Of all threads, user and system."""
    peak_memory_mb: float


def write_recording(path: Path, length_s: int) -> None:
    """So many seconds of the samples, over and over, written piece by piece."""
    pieces = [
        soundfile.read(noisy, dtype="float32")
        for noisy in sorted((ROOT / "samples/noisy").iterdir())
    ]
    rates = {rate for _, rate in pieces}
    assert len(rates) == 1, "samples of one rate"
    sound = np.concatenate([samples for samples, _ in pieces])
    rate = rates.pop()
    missing = length_s * rate
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        while missing > 0:
            file.write(sound[:missing])
            missing -= len(sound[:missing])


def enhance(recording: Path, enhanced: Path, mode: str, threads: int) -> Row:
    """Run the command in its own process and ask the system what it took."""
    command = [
        *(sys.executable, "-m", "speechduet", "enhance", str(recording), "-o", str(enhanced)),
        *("--mode", mode, "--threads", str(threads), "--overwrite"),
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{' '.join(command)} failed with {status}")
    # Kilobytes on Linux, bytes on macOS.
    memory = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Row(
        int(soundfile.info(recording).duration), seconds, usage.ru_utime + usage.ru_stime, memory
    )


def main(
    mode: Annotated[str, typer.Option(help="fast, balanced or best.")] = "balanced",
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 2,
    longest: Annotated[int, typer.Option(help="Leave out longer recordings (seconds).")] = 3600,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write it there too.")] = None,
) -> None:
    """Measure every length in turn and print a table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "noisy.wav"
        for length_s in (length for length in LENGTHS_S if length <= longest):
            write_recording(recording, length_s)
            rows.append(enhance(recording, Path(folder) / "clean.wav", mode, threads))
    table = Table("length (s)", "clock (s)", "processor (s)", "processor s per s", "peak (MB)")
    for row in rows:
        table.add_row(
            str(row.length_s),
            f"{row.seconds:.1f}",
            f"{row.processor_seconds:.1f}",
            f"{row.processor_seconds / row.length_s:.4f}",
            f"{row.peak_memory_mb:.0f}",
        )
    Console().print(table)
    if json_file is not None:
        record = {
            "mode": mode,
            "threads": threads,
            "processor": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "day": date.today().isoformat(),
            "rows": [asdict(row) for row in rows],
        }
        json_file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
