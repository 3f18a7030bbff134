"""Which mutants of mutmut do the tests notice?

mutmut starts pytest anew for every mutant, seconds each. Here the tests are collected once, and
every mutant is a fork that runs the tests which reach it, until one fails::

    mutmut run 'speechduet.sampler.fusion*'     # makes all mutants; learns which test reaches what
    OMP_NUM_THREADS=1 python benchmarks/mutants.py --jobs 2 [NAME ...]

Mutants whose names begin with a NAME are tried (default: all), and those that no test notices are
printed; ``mutmut show MUTANT`` shows one. ``--tests tests/data/test_new.py`` tries those tests
alone, as they stand now, and needs no new statistics.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test

FOLDER = Path("mutants")
MOST_BYTES = 12 << 30
"""Of address space for one mutant, which may ask for any amount."""


class Mutants:
    """A pytest plugin: in place of running the tests once, runs them for every mutant."""

    def __init__(self, wanted: tuple[str, ...], jobs: int, all_reach: bool) -> None:
        statistics = json.loads((FOLDER / "mutmut-stats.json").read_text())
        self._tests: dict[str, list[str]] = statistics["tests_by_mangled_function_name"]
        self._durations: dict[str, float] = statistics["duration_by_test"]
        metas = sorted(FOLDER.glob("src/**/*.meta"))
        names = (
            name for meta in metas for name in json.loads(meta.read_text())["exit_code_by_key"]
        )
        self._wanted = [name for name in names if name.startswith(wanted)]
        self._jobs = jobs
        self._all_reach = all_reach
        self.outcomes: dict[str, str] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the mutants."""
        items = {item.nodeid: item for item in session.items}
        if self._run_tests(list(items.values()), "", 3600) != "survived":
            raise pytest.UsageError("the tests fail without any mutant")
        running: dict[int, str] = {}
        for number, (name, tests, seconds) in enumerate(self._plan(items)):
            if len(running) == self._jobs:
                self._reap(running)
            running[self._fork(tests, name, seconds)] = name
            if number % 100 == 0:
                done = Counter(self.outcomes.values())
                print(f"{number} of {len(self._wanted)}: {dict(done)}", file=sys.stderr, flush=True)
        while running:
            self._reap(running)
        return True

    def _plan(self, items: dict[str, pytest.Item]) -> Iterator[tuple[str, list[pytest.Item], int]]:
        """Each mutant with the tests that reach it, quick files first, and its time limit."""
        for name in self._wanted:
            known = self._tests.get(name.rpartition("__mutmut_")[0], ())
            reached = [*items] if self._all_reach else [test for test in known if test in items]
            if not reached:
                self.outcomes[name] = "reached by no test"
                continue
            per_file: defaultdict[str, float] = defaultdict(float)
            for test in reached:
                per_file[test.partition("::")[0]] += self._seconds(test)
            reached.sort(key=lambda test: per_file[test.partition("::")[0]])
            limit_s = 60 + 20 * int(sum(self._seconds(test) for test in reached))
            yield name, [items[test] for test in reached], limit_s

    def _seconds(self, test: str) -> float:
        return self._durations.get(test, 0.1)

    def _run_tests(self, tests: list[pytest.Item], mutant: str, limit_s: int) -> str:
        running = {self._fork(tests, mutant, limit_s): mutant}
        self._reap(running)
        return self.outcomes.pop(mutant)

    def _fork(self, tests: list[pytest.Item], mutant: str, limit_s: int) -> int:
        process = os.fork()
        if not process:
            _try(tests, mutant, limit_s)
        return process

    def _reap(self, running: dict[int, str]) -> None:
        process, status = os.wait()
        name = running.pop(process)
        if os.WIFSIGNALED(status):
            self.outcomes[name] = "stopped" if os.WTERMSIG(status) == signal.SIGALRM else "crashed"
        else:
            self.outcomes[name] = "noticed" if os.WEXITSTATUS(status) else "survived"


def _try(tests: list[pytest.Item], mutant: str, limit_s: int) -> NoReturn:
    """In a process of its own: exit with 1 as soon as a test fails, with 0 if none does."""
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit_s)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
        set_mutant_under_test(mutant)
        for test, following in zip(tests, [*tests[1:], None], strict=True):
            if any(
                report.failed for report in runtestprotocol(test, log=False, nextitem=following)
            ):
                break
        else:
            status = 0
    finally:
        os._exit(status)


def main() -> int:
    """Run, print the survivors and the counts; 1 if there are survivors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", default=[""], help="beginnings of mutants' names")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--tests", nargs="+", default=[], help="tests to try alone")
    parser.add_argument("--json", type=Path, help="write every mutant's outcome to this file")
    given = parser.parse_args()
    settings = config()
    mutants = Mutants(tuple(given.names), given.jobs, bool(given.tests))
    if given.tests:
        shutil.copytree("tests", FOLDER / "tests", dirs_exist_ok=True)
    os.chdir(FOLDER)
    sys.path.insert(0, str(Path("src").resolve()))
    set_mutant_under_test("")
    tests = given.tests or settings.pytest_add_cli_args_test_selection
    arguments = [*settings.pytest_add_cli_args, *tests]
    status = pytest.main([*arguments, "-s", "-p", "no:terminal"], plugins=[mutants])
    os.chdir("..")
    for name, outcome in mutants.outcomes.items():
        if outcome in ("survived", "reached by no test"):
            print(f"{outcome}: {name}")
    counts = dict(Counter(mutants.outcomes.values()))
    print(f"{len(mutants.outcomes)} mutants: {counts}")
    if given.json:
        given.json.write_text(json.dumps(mutants.outcomes, indent=1))
    return int(status) or int("survived" in counts)


if __name__ == "__main__":
    sys.exit(main())
