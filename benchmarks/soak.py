"""Hours of enhancement in one process, and of one live stream: does anything grow?

    python benchmarks/soak.py --hours 2 --way files
    python benchmarks/soak.py --hours 2 --way live --json soak.json

*files* enhances one recording after another from disk to disk; *live* takes blocks of 20 ms of the
same sound, each at the moment at which a microphone would give it. Every minute one line tells
memory (resident, MB), open handles, threads, the real-time factor (computing time over sound) and,
of the live stream, by how much blocks came late: the worst and the median time from the moment at
which a block is complete to that at which it has been taken in and what it completed given out. At
the end stands the slope of each by the hour, with its 95 % interval (least squares, without the
first tenth; minutes depend on one another, so the true interval is somewhat wider). Needs /proc.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from speechduet import Enhancer, enhance_file

ROOT = Path(__file__).parents[1]
BLOCK_S = 0.02


class Minute(NamedTuple):
    """What was measured in about a minute that ended so many hours after the start."""

    hours: float
    memory_mb: float
    handles: int
    threads: int
    real_time_factor: float
    late_ms: float
    worst_late_ms: float


class Slope(NamedTuple):
    """Change by the hour, with the half-width of its 95 % interval, and the mean."""

    per_hour: float
    interval: float
    mean: float


def main() -> None:
    """One of the two ways, until the time is over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--way", choices=["files", "live"], default="files")
    parser.add_argument("--mode", default="fast")
    parser.add_argument("--model", default=None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.5, help="of the live stream, seconds")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two lines")
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    enhancer = Enhancer.from_pretrained(given.model, "cpu", given.threads)
    work = (enhanced_files if given.way == "files" else live_stream)(enhancer, given)
    print("   hours  memory MB  handles  threads  real-time factor  late ms  worst ms", flush=True)
    minutes = list(measured(work, 3600 * given.hours, given.every))
    found = {name: slope(minutes, name) for name in Minute._fields[1:]}
    print(
        f"\n{given.way}, mode {given.mode}, {len(minutes)} lines in {minutes[-1].hours:.2f} hours"
    )
    for name, (per_hour, interval, mean) in found.items():
        print(f"{name:17} mean {mean:10.4g}   slope {per_hour:+.4g} ± {interval:.2g} per hour")
    if given.json is not None:
        told = {
            **{"way": given.way, "mode": given.mode, "threads": given.threads},
            **{"model": enhancer.pretrained.name, "torch": torch.__version__},
            "slopes": {name: one._asdict() for name, one in found.items()},
            "minutes": [minute._asdict() for minute in minutes],
        }
        given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.stdout.flush()


class Piece(NamedTuple):
    """A piece of work: seconds of sound, seconds of computing, seconds that it came late."""

    sound_s: float
    taken_s: float
    late_s: float


def enhanced_files(enhancer: Enhancer, given: argparse.Namespace) -> Iterator[Piece]:
    """The bundled samples from disk to disk, for ever."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        for source in cycle(sorted((ROOT / "samples/noisy").glob("*.flac"))):
            begun = time.perf_counter()
            target = Path(name) / source.name
            sound_s = enhance_file(source, target, enhancer, given.mode, progress=lambda *_: None)
            yield Piece(sound_s, time.perf_counter() - begun, 0.0)


def live_stream(enhancer: Enhancer, given: argparse.Namespace) -> Iterator[Piece]:
    """The same sound through one stream as it comes, for ever."""
    sounds = [
        soundfile.read(path, dtype="float32")[0]
        for path in sorted((ROOT / "samples/noisy").glob("*.flac"))
    ]
    rate = enhancer.spectrogram.sample_rate
    size = round(BLOCK_S * rate)
    sound = np.concatenate(sounds)
    blocks = cycle(sound[: len(sound) // size * size].reshape(-1, size))
    live = enhancer.live(rate, 1, given.latency, given.mode)
    begun = time.perf_counter()
    given_out = 0
    for number, block in enumerate(blocks, 1):
        complete_s = begun + number * BLOCK_S
        time.sleep(max(0.0, complete_s - time.perf_counter()))
        taken_in_s = time.perf_counter()
        given_out += len(live.process(block))
        done_s = time.perf_counter()
        if number * size - given_out > live.latency_samples:
            sys.exit(f"after block {number} {given_out} samples were given out")
        yield Piece(BLOCK_S, done_s - taken_in_s, done_s - complete_s)


def measured(work: Iterator[Piece], seconds: float, every_s: float) -> Iterator[Minute]:
    """A line for every so many seconds."""
    begun = last = time.perf_counter()
    pieces: list[Piece] = []
    while last - begun < seconds:
        pieces.append(next(work))
        now = time.perf_counter()
        if now - last < every_s:
            continue
        sound_s, taken_s, late_s = map(np.asarray, zip(*pieces, strict=True))
        minute = Minute(
            (now - begun) / 3600,
            resident_mb(),
            len(list(Path("/proc/self/fd").iterdir())),
            threading.active_count(),
            float(taken_s.sum() / sound_s.sum()),
            1000 * float(np.median(late_s)),
            1000 * float(late_s.max()),
        )
        print(
            f"{minute.hours:8.3f} {minute.memory_mb:10.1f} {minute.handles:8} {minute.threads:8} "
            f"{minute.real_time_factor:17.3f} {minute.late_ms:8.1f} {minute.worst_late_ms:9.1f}",
            flush=True,
        )
        yield minute
        last, pieces = now, []


def resident_mb() -> float:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def slope(minutes: list[Minute], name: str) -> Slope:
    """Of one of the columns, without the first tenth."""
    kept = minutes[len(minutes) // 10 :]
    values = np.array([getattr(minute, name) for minute in kept], float)
    hours = np.array([minute.hours for minute in kept])
    if len(kept) < 3:
        return Slope(float("nan"), float("nan"), float(values.mean()))
    (per_hour, _), covariance = np.polyfit(hours, values, 1, cov="unscaled")
    left = values - np.polyval(np.polyfit(hours, values, 1), hours)
    deviation = np.sqrt(covariance[0, 0] * (left**2).sum() / (len(kept) - 2))
    return Slope(float(per_hour), float(1.96 * deviation), float(values.mean()))


if __name__ == "__main__":
    main()
