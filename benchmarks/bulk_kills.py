"""Kills ``speechduet bulk`` at random moments, starts it again, and looks at what is there.

    python benchmarks/bulk_kills.py --kills 50 --model DIR

Killed (SIGKILL) is a worker, all workers at once, the driver, or everything, Ray included. After
each round every result must be there and the same, byte for byte, as ``speechduet enhance`` makes
it; what was there at a kill must not have been made again; and no file but results and ledger may
be left. Needs /proc.
"""

import argparse
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from speechduet.bulk.cluster import cluster

# Starting a driver takes far longer than starting a worker.
VICTIMS = ("worker", "worker", "worker", "workers", "workers", "driver", "all")
WORKER = b"ray::MapWorker"


class Outcome(NamedTuple):
    """What was done to how many recordings in one round, and in how many starts."""

    kills: Counter[str]
    starts: int
    faults: list[str]


def main() -> None:
    """Rounds until there have been enough kills or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--recordings", type=int, default=60)
    parser.add_argument("--duration", type=float, default=3.0, help="of each recording, seconds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--model", default=None)
    parser.add_argument("--mode", default="balanced")
    parser.add_argument("--between", type=float, default=20.0, help="seconds between kills, mean")
    parser.add_argument("--minutes", type=float, default=60.0, help="no kills after that")
    parser.add_argument(
        "--keep-ray",
        action="store_true",
        help="one Ray for all starts, which is not killed: quicker",
    )
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    kills: Counter[str] = Counter()
    faults: list[str] = []
    starts = rounds = 0
    ends = time.monotonic() + 60 * given.minutes
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    with ExitStack() as stack:
        given.address = None
        if given.keep_ray:
            ray = stack.enter_context(cluster(None, given.workers + 1))
            given.address = ray.get_runtime_context().gcs_address
        folder = tempfile.TemporaryDirectory(prefix="bulk-kills-")
        place = Path(stack.enter_context(folder))
        wanted = reference(place, given)
        while kills.total() < given.kills and time.monotonic() < ends:
            seed = given.seed + rounds
            most = given.kills - kills.total()
            outcome = disturbed(place / f"round-{rounds}", wanted, given, most, ends, seed)
            kills += outcome.kills
            starts, rounds = starts + outcome.starts, rounds + 1
            faults += outcome.faults
            print(f"round {rounds}: {dict(kills)} killed so far, {starts} starts", flush=True)
            for fault in outcome.faults:
                print(f"  {fault}", flush=True)
    print(
        f"{kills.total()} kills {dict(kills)} in {rounds} rounds of {given.recordings} recordings"
    )
    print(f"{starts} starts, {len(faults)} faults")
    sys.exit(bool(faults))


def reference(place: Path, given: argparse.Namespace) -> dict[str, bytes]:
    """Recordings, and what ``enhance`` makes of each."""
    rng = np.random.default_rng(given.seed)
    (place / "in").mkdir()
    for number in range(given.recordings):
        samples = 0.1 * rng.standard_normal(round(given.duration * 16_000) + 160 * number)
        soundfile.write(place / f"in/{number:03d}.wav", samples, 16_000)
    command = [sys.executable, "-m", "speechduet", "enhance", str(place / "in")]
    command += ["-o", str(place / "wanted"), "--quiet", "--threads", "1", *asked(given)]
    subprocess.run(command, check=True)
    return {path.name: path.read_bytes() for path in (place / "wanted").iterdir()}


def asked(given: argparse.Namespace) -> list[str]:
    """The options that both commands are given."""
    return ["--mode", given.mode, *(["-m", given.model] if given.model else [])]


def disturbed(
    place: Path,
    wanted: dict[str, bytes],
    given: argparse.Namespace,
    most: int,
    ends: float,
    seed: int,
) -> Outcome:
    """One round: started again until it ends by itself, with kills between."""
    chance = random.Random(seed)
    kills: Counter[str] = Counter()
    seen: dict[str, tuple[int, int]] = {}
    faults: list[str] = []
    out, spool = place / "out", place / "spool"
    command = [sys.executable, "-m", "speechduet", "bulk", str(place.parent / "in")]
    command += ["-o", str(out), "--spool", str(spool), "--workers", str(given.workers)]
    # A recording that was killed by chance is no recording that kills.
    command += ["--tries", "100", "--quiet", *asked(given)]
    command += ["--address", given.address] if given.address else []
    starts = 0
    while True:
        starts += 1
        driver = subprocess.Popen(command, start_new_session=True)
        while driver.poll() is None:
            # Most are killed at work, some while they start.
            early = chance.random() < 0.1
            while not early and driver.poll() is None and not workers_of(driver, given):
                wait_for(driver, 1)
            wait_for(driver, chance.expovariate(1 / given.between))
            if driver.poll() is not None or kills.total() >= most or time.monotonic() > ends:
                driver.wait()
                break
            victim = chance.choice(VICTIMS)
            faults += made_again(out, seen)
            if kill(driver, victim, chance, given):
                kills[victim] += 1
                print(f"  {victim} killed with {len(seen)} results there", flush=True)
        if driver.returncode == 0:
            break
        if driver.returncode > 0:
            print(f"  it ended with status {driver.returncode}, and is started again", flush=True)
        if starts > 10 + 2 * kills.total():
            faults.append("it does not come to an end")
            break
    faults += made_again(out, seen)
    faults += differences(out, spool, wanted)
    return Outcome(kills, starts, faults)


def wait_for(driver: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait so long, or until it has ended."""
    with suppress(subprocess.TimeoutExpired):
        driver.wait(seconds)


def kill(
    driver: "subprocess.Popen[bytes]", victim: str, chance: random.Random, given: argparse.Namespace
) -> bool:
    """Kill a worker, all workers, the driver, or all with their Ray; whether one was there."""
    own_ray = given.address is None
    workers = workers_of(driver, given)
    if victim in ("worker", "workers"):
        chance.shuffle(workers)
        for one in workers if victim == "workers" else workers[:1]:
            end(one)
        return bool(workers)
    below = descendants(driver.pid) if own_ray else workers
    end(driver.pid)
    if victim == "all":
        for one in below:
            end(one)
    driver.wait()
    return True


def workers_of(driver: "subprocess.Popen[bytes]", given: argparse.Namespace) -> list[int]:
    """The processes that enhance. Only those that this script has started."""
    below = descendants(driver.pid if given.address is None else os.getpid())
    return [one for one in below if WORKER in command_of(one)]


def end(process: int) -> None:
    """Kill, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """The processes that one has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for one in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        try:
            parent = int(Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(one)
    found, left = [], [process]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def command_of(process: int) -> bytes:
    """How a process is called; empty if it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def made_again(out: Path, seen: dict[str, tuple[int, int]]) -> list[str]:
    """Results that are no longer the files that they were; ``seen`` learns those that are new."""
    faults = []
    for path in out.glob("*.wav"):
        state = path.stat()
        known = seen.setdefault(path.name, (state.st_ino, state.st_mtime_ns))
        if known != (state.st_ino, state.st_mtime_ns):
            faults.append(f"{path.name} was made twice")
    return faults


def differences(out: Path, spool: Path, wanted: dict[str, bytes]) -> list[str]:
    """What is not as an undisturbed run leaves it."""
    there = {path.name: path.read_bytes() for path in out.glob("*.wav")}
    faults = [f"{name} is missing" for name in wanted.keys() - there.keys()]
    faults += [f"{name} differs" for name in there if there[name] != wanted.get(name)]
    left = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".wav"]
    left += list(spool.rglob("*"))
    parts = [path for path in left if path.name.startswith("part-") and path.suffix == ".parquet"]
    # An undisturbed run leaves its empty lock as well.
    kept = {*parts, out / "_ledger/_lock"}
    faults += [f"{path} is left" for path in left if path not in kept]
    command = [sys.executable, "-m", "speechduet", "bulk", "--status", str(out), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if '"failed": 0' not in told:
        faults.append(f"the ledger says {told}")
    return faults


if __name__ == "__main__":
    main()
