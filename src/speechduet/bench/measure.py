"""All measurements of a request, one after another."""

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import torch
from torch import Tensor

from speechduet import __version__
from speechduet.backend.allocator import keep_freed_memory, return_freed_memory
from speechduet.bench.machine import description, finisher, peak
from speechduet.bench.memory import memory
from speechduet.bench.operations import Operations, profiled
from speechduet.bench.report import Performance, Record
from speechduet.bench.request import PLAIN, Candidate, Precision, Request
from speechduet.bench.workloads import Workload, workload
from speechduet.errors import SettingError
from speechduet.network.cost import counted

Name = TypeVar("Name")
Log = Callable[[str], None]


def measure(request: Request, repeats: int, log: Log = lambda _: None) -> Record:
    """Everything: times by turns, operations and their kinds, the machine's limits, memory.

    ``log`` gets a line for each stage. First runs warm up, and serve to count multiplications and
    to compare the results. Only PyTorch shows its operations: another backend has the
    multiplications of PyTorch in float32, and no kinds of operations.
    """
    workloads = {candidate: workload(request, candidate) for candidate in request.candidates}
    first = next(iter(workloads.values()))
    device, audio_s, examples = first.device, first.audio_s, first.examples
    finish = finisher(device)
    results, macs = _warmed_up(workloads, log)
    log(f"timing: {repeats} by turns")
    seconds = alternate(_runs(request, workloads, finish), repeats)
    operations: dict[Candidate, Operations] = {}
    for candidate in macs:
        log(f"operations: {candidate.name}")
        operations[candidate] = profiled(workloads[candidate].run, device)
    log("limits of the machine")
    peaks = {
        precision: peak(device, precision, finish)
        for precision in {candidate.precision for candidate in workloads} - {"int8"}
    }
    floors: dict[Precision, float] = {}
    for candidate, seen in operations.items():
        # What was asked for comes before the float32 of others, which is held to the same limit.
        if (precision := candidate.precision) not in floors:
            dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
            floors[precision] = seen.floor_s(device, dtype, finish)
    machine, reference = description(device), results[request.candidates[0]]
    differences = {
        candidate: relative_difference(result, reference) for candidate, result in results.items()
    }
    # Results and models go before memory is measured in other processes.
    del workloads, first, results, reference
    measured = {}
    for candidate in request.candidates:
        log(f"memory: {candidate.name}")
        measured[candidate.name] = Performance(
            macs.get(candidate, macs.get(PLAIN, 0)),
            audio_s,
            examples,
            seconds[candidate],
            differences[candidate],
            operations[candidate].shares() if candidate in operations else {},
            floors.get(candidate.precision),
            peaks.get(candidate.precision),
            memory(request, candidate),
        )
    today = datetime.now(timezone.utc).date().isoformat()
    return Record(request, __version__, commit(), today, machine, measured)


def _warmed_up(
    workloads: Mapping[Candidate, Workload], log: Log
) -> tuple[dict[Candidate, Tensor], dict[Candidate, int]]:
    """Results of all, and multiplications of those that PyTorch can count."""
    results, macs = {}, {}
    for candidate, work in workloads.items():
        log(f"warming up: {candidate.name}")
        if candidate.backend == "pytorch":
            results[candidate], macs[candidate] = counted(work.run)
        else:
            results[candidate] = work.run()
            work.run()  # CUDA graphs are recorded in a second run
    return results, macs


def _runs(
    request: Request, workloads: Mapping[Candidate, Workload], finish: Callable[[], None]
) -> dict[Candidate, Callable[[], None]]:
    """What is timed of each: a run to its end, if wanted with the allocator of its own programs."""

    def timed(candidate: Candidate, work: Workload) -> Callable[[], None]:
        def run() -> None:
            work.run()
            finish()

        if not request.as_shipped:
            return run
        run = with_own_memory(candidate, run)
        run()  # fills what is kept
        return run

    return {candidate: timed(candidate, work) for candidate, work in workloads.items()}


def with_own_memory(candidate: Candidate, run: Callable[[], object]) -> Callable[[], None]:
    """A run with the allocator as the candidate's programs set it."""
    prepare = keep_freed_memory if candidate.code == "speechduet" else return_freed_memory

    def prepared() -> None:
        prepare()
        run()

    return prepared


def alternate(
    runs: Mapping[Name, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = perf_counter,
) -> dict[Name, list[float]]:
    """Seconds of each run, A B A B ..., so that a machine that slows down slows all of them.

    Every other round goes backwards: A B, B A, ..., for who comes after whom can matter too.
    """
    if repeats < 1:
        raise SettingError(f"{repeats} repeats", "1 or more")
    taken: dict[Name, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        names = list(runs)
        for name in reversed(names) if number % 2 else names:
            begun = clock()
            runs[name]()
            taken[name].append(clock() - begun)
    return taken


def relative_difference(result: Tensor, reference: Tensor) -> float:
    """The greatest difference, as a part of the reference's greatest magnitude."""
    return float((result - reference).abs().max() / reference.abs().max())


def commit() -> str | None:
    """The commit of a checkout that this package is run from, ``+`` if files differ from it."""
    here = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with suppress(OSError, subprocess.CalledProcessError):
        # Tracked there, and not merely inside of somebody's checkout.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "-s", str(here)) else "")
    return None
