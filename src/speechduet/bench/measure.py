"""All measurements of a request, one after another."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from torch import Tensor

from speechduet import __version__
from speechduet.bench.machine import description, finisher, peak
from speechduet.bench.memory import memory
from speechduet.bench.operations import Clocked, Products
from speechduet.bench.report import Measured, Report
from speechduet.bench.request import Contestant, Precision, Request
from speechduet.bench.subjects import Subject, subject
from speechduet.bench.timing import alternate
from speechduet.network.cost import counted

Tell = Callable[[str], None]


def measure(request: Request, repeats: int, tell: Tell = lambda _: None) -> Report:
    """Everything: times by turns, operations and their kinds, the machine's limits, memory.

    ``tell`` hears what is being done. A first run of each warms up, and serves to count its
    multiplications and to compare the results.
    """
    made = {contestant: subject(request, contestant) for contestant in request.contestants}
    first = next(iter(made.values()))
    finish = finisher(first.device)
    results, macs = {}, {}
    for contestant, one in made.items():
        tell(f"warming up: {contestant.name}")
        results[contestant], macs[contestant] = counted(one.run)
    tell(f"timing: {repeats} by turns")
    seconds = alternate({told: _finished(one, finish) for told, one in made.items()}, repeats)
    kinds: dict[Contestant, dict[str, float]] = {}
    products: dict[Precision, Products] = {}
    for contestant, one in made.items():
        tell(f"operations: {contestant.name}")
        with Clocked(finish) as clocked, Products() as called:
            one.run()
        kinds[contestant] = clocked.shares()
        # What was asked for comes before the float32 of others, which is held to the same limit.
        products.setdefault(contestant.precision, called)
    tell("limits of the machine")
    peaks = {precision: peak(first.device, precision, finish) for precision in products}
    floors = {precision: called.floor_s(finish) for precision, called in products.items()}
    audio_s, examples, machine = first.audio_s, first.examples, description(first.device)
    # Results and models go before memory is measured in other processes.
    differences = {
        told: relative_difference(result, results[request.contestants[0]])
        for told, result in results.items()
    }
    del made, first, one, results
    measured = {}
    for contestant in request.contestants:
        tell(f"memory: {contestant.name}")
        measured[contestant.name] = Measured(
            macs[contestant],
            audio_s,
            examples,
            seconds[contestant],
            differences[contestant],
            kinds[contestant],
            floors[contestant.precision],
            peaks[contestant.precision],
            memory(request, contestant),
        )
    today = datetime.now(timezone.utc).date().isoformat()
    return Report(request, __version__, commit(), today, machine, measured)


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


def _finished(one: Subject, finish: Callable[[], None]) -> Callable[[], Any]:
    def run() -> None:
        one.run()
        finish()

    return run
