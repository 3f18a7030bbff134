"""Recordings enhanced from file to file, one after another or several at a time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event
from typing import TYPE_CHECKING, Any

from speechduet.cli.progress import Report
from speechduet.errors import AudioError, SettingError

if TYPE_CHECKING:
    from speechduet.cli.targets import Job
    from speechduet.enhancer import Enhancer


def enhance_files(
    inputs: list[str],
    output: str,
    container: str | None,
    overwrite: bool,
    workers: int,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
) -> int:
    """Enhance what there is to enhance; return the number of failures.

    ``load`` gives the one enhancer that all workers share, ``request`` what `enhance_file` takes.
    """
    # PyTorch, behind these imports, takes seconds to load: not before the usage is known good.
    from speechduet.cli.targets import find_jobs

    jobs, failures = find_jobs(inputs, output, container)
    if request["confidence"] is not None and len(jobs) > 1:
        raise SettingError(f"a confidence map of {len(jobs)} recordings", "one recording")
    with Report(len(jobs)) as report:
        for failure in failures:
            report.failed(failure)
        wanted = [job for job in jobs if overwrite or not job.target.exists()]
        report.skipped(len(jobs) - len(wanted))
        if wanted:
            enhancer = load()
            report.say(enhancer.backend)
            _enhance(wanted, enhancer, min(workers, len(wanted)), request, report)
    return report.failures


def _enhance(
    jobs: list["Job"], enhancer: "Enhancer", workers: int, request: dict[str, Any], report: Report
) -> None:
    from speechduet.files import enhance_file

    stopped = Event()

    def work(job: "Job") -> None:
        """One recording; what is wrong with it is reported and stops no other."""
        line = report.begin(job.source)

        def advance(done_s: float, whole_s: float) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            report.advance(line, done_s, whole_s)

        try:
            duration_s = enhance_file(
                job.source, job.target, enhancer, progress=advance, notify=report.say, **request
            )
        except AudioError as error:
            report.failed(error, line)
        else:
            report.finished(duration_s, line)

    if workers == 1:
        for job in jobs:
            work(job)
        return
    # Threads and not processes: they share one model and one import of PyTorch, whose operations
    # let the others run meanwhile.
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in as_completed([pool.submit(work, job) for job in jobs]):
                done.result()
        except BaseException:  # an interruption too: whatever it is goes on up, after the threads
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
