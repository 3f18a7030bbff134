"""Throughput of ``speechduet bulk`` beside ``speechduet enhance --workers 2``, in turns.

    python benchmarks/bulk_throughput.py --copies 30

Each command enhances a folder of copies of the bundled samples, from its start to its end: that of
Ray, PyTorch and the model included. Prints seconds, and those of ``bulk`` divided by ``enhance``'s.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SAMPLES = Path(__file__).parents[1] / "samples/noisy"
BULK = "bulk, {} workers"


def main() -> None:
    """Measure in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--copies", type=int, default=30, help="of the four bundled samples")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--mode", default="balanced")
    given = parser.parse_args()
    base = [sys.executable, "-m", "speechduet"]
    ways = {
        "enhance": [*base, "enhance", "--workers", "2", "--threads", "1"],
        **{BULK.format(n): [*base, "bulk", "--workers", str(n)] for n in (1, 2)},
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory(prefix="bulk-throughput-") as name:
        folder = Path(name) / "in"
        for copy in range(given.copies):
            shutil.copytree(SAMPLES, folder / f"{copy:03d}")
        for _ in range(given.turns):
            for way, command in ways.items():
                taken[way].append(seconds(command, folder, given.mode))
                print(f"{way}: {taken[way][-1]:.1f} s", flush=True)
    for way in list(ways)[1:]:
        pairs = zip(taken[way], taken["enhance"], strict=True)
        ratios = [mine / other for mine, other in pairs]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{way} / enhance: {median(ratios):.2f} ({each})")


def seconds(command: list[str], folder: Path, mode: str) -> float:
    """How long a command takes to enhance the folder."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        begun = time.perf_counter()
        asked = [str(folder), "-o", out, "--mode", mode, "--quiet"]
        subprocess.run([*command, *asked], check=True)
        return time.perf_counter() - begun


if __name__ == "__main__":
    main()
