"""All measurements of a request, one after another."""

import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from torch import Tensor

from speechduet import __version__
from speechduet.backend.allocator import keep_freed_memory, return_freed_memory
from speechduet.bench.machine import Peak, description, finisher, peak
from speechduet.bench.memory import memory
from speechduet.bench.operations import Clocked, Products
from speechduet.bench.report import Measured, Report
from speechduet.bench.request import PLAIN, Candidate, MeasuredPrecision, Request
from speechduet.bench.timing import alternate
from speechduet.bench.workloads import Workload, workload
from speechduet.network.cost import counted

Tell = Callable[[str], None]


def measure(request: Request, repeats: int, tell: Tell = lambda _: None) -> Report:
    """Everything: times by turns, operations and their kinds, the machine's limits, memory.

    ``tell`` hears what is being done. First runs warm up, and serve to count multiplications and
    to compare the results. Only PyTorch shows its operations: another backend has the
    multiplications of PyTorch in float32, and no kinds of operations.
    """
    made = {candidate: workload(request, candidate) for candidate in request.candidates}
    first = next(iter(made.values()))
    finish = finisher(first.device)
    results, macs = _warmed_up(made, tell)
    tell(f"timing: {repeats} by turns")
    runs = {told: _finished(one, finish) for told, one in made.items()}
    if request.as_shipped:
        runs = {told: with_own_memory(told, run) for told, run in runs.items()}
        for run in runs.values():
            run()  # fills what is kept
    seconds = alternate(runs, repeats)
    kinds: dict[Candidate, dict[str, float]] = {}
    products: dict[MeasuredPrecision, Products] = {}
    for candidate in macs:
        tell(f"operations: {candidate.name}")
        with Clocked(finish) as clocked, Products() as called:
            made[candidate].run()
        kinds[candidate] = clocked.shares()
        # What was asked for comes before the float32 of others, which is held to the same limit.
        products.setdefault(candidate.precision, called)
    tell("limits of the machine")
    peaks: dict[MeasuredPrecision, Peak] = {
        precision: peak(first.device, precision, finish)
        for precision in {told.precision for told in made} - {"int8"}
    }
    floors = {precision: called.floor_s(finish) for precision, called in products.items()}
    audio_s, examples, machine = first.audio_s, first.examples, description(first.device)
    # Results and models go before memory is measured in other processes.
    differences = {
        told: relative_difference(result, results[request.candidates[0]])
        for told, result in results.items()
    }
    del made, first, results
    measured = {}
    for candidate in request.candidates:
        tell(f"memory: {candidate.name}")
        measured[candidate.name] = Measured(
            macs.get(candidate, macs.get(PLAIN, 0)),
            audio_s,
            examples,
            seconds[candidate],
            differences[candidate],
            kinds.get(candidate, {}),
            floors.get(candidate.precision),
            peaks.get(candidate.precision),
            memory(request, candidate),
        )
    today = datetime.now(timezone.utc).date().isoformat()
    return Report(request, __version__, commit(), today, machine, measured)


def _warmed_up(
    made: Mapping[Candidate, Workload], tell: Tell
) -> tuple[dict[Candidate, Tensor], dict[Candidate, int]]:
    """Results of all, and multiplications of those that PyTorch can count."""
    results, macs = {}, {}
    for candidate, one in made.items():
        tell(f"warming up: {candidate.name}")
        if candidate.shows_operations:
            results[candidate], macs[candidate] = counted(one.run)
        else:
            results[candidate] = one.run()
            one.run()  # CUDA graphs are recorded in a second run
    return results, macs


def relative_difference(result: Tensor, reference: Tensor) -> float:
    """The greatest difference, as a part of the reference's greatest magnitude."""
    greatest = (result - reference).abs().max() / reference.abs().max()
    return float(greatest)


def commit() -> str | None:
    """The commit of a checkout that this package is run from, ``+`` if files differ from it."""
    here = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    with suppress(OSError, subprocess.CalledProcessError):
        git(
            "ls-files", "--error-unmatch", "__init__.py"
        )  # not merely inside of somebody's checkout
        return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "-s", str(here)) else "")
    return None


def with_own_memory(candidate: Candidate, run: Callable[[], Any]) -> Callable[[], Any]:
    """A run with the allocator as the candidate's programs set it."""
    prepare = keep_freed_memory if candidate.code == "speechduet" else return_freed_memory

    def prepared() -> None:
        prepare()
        run()

    return prepared


def _finished(one: Workload, finish: Callable[[], None]) -> Callable[[], Any]:
    def run() -> None:
        one.run()
        finish()

    return run
