"""Recordings enhanced from file to file, one after another or several at a time."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from speechduet.attempt import Attempt
from speechduet.audio.folders import is_there
from speechduet.cli.progress import BatchProgress
from speechduet.errors import SettingError
from speechduet.files.partial import remove_leftovers

if TYPE_CHECKING:
    from speechduet.cli.targets import Job
    from speechduet.enhancement.enhancer import Enhancer


def enhance_files(
    inputs: list[str],
    output: str,
    container: str | None,
    overwrite: bool,
    workers: int,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
    verbose: bool = False,
    aliases: Mapping[str, str] | None = None,
    plot: bool = False,
    quiet: bool = False,
) -> int:
    """Enhance what there is to enhance; return the number of failures.

    ``load`` gives the one enhancer that all workers share, ``request`` what `enhance_file` takes.
    Whatever one file raises is reported under its name, if ``verbose`` with its traceback, and the
    others go on. ``aliases`` are the names of files to show in place of their own; ``plot`` draws
    each recording beside its result; ``quiet`` leaves out what is neither failed nor wrong.
    Raises SettingError or ModelError if nothing can be enhanced so.
    """
    # PyTorch, behind these imports, takes seconds to load: not before the usage is known good.
    from speechduet.cli.targets import find_jobs

    if plot:
        from speechduet.comparison import check_picture

        check_picture(picture_of(Path(output)))
    jobs, failures = find_jobs(inputs, output, container)
    if (confidence := request["confidence"]) is not None:
        if len(jobs) > 1:
            raise SettingError(f"a confidence map of {len(jobs)} recordings", "one recording")
        if plot and any(confidence == picture_of(job.target) for job in jobs):
            raise SettingError(f"{confidence} is the name of the picture", "another for the map")
    with BatchProgress(len(jobs), aliases, quiet) as report:
        for failure in failures:
            report.failed(failure)
        for folder in {job.target.parent for job in jobs}:
            remove_leftovers(folder)
        wanted = [job for job in jobs if overwrite or not is_there(job.target)]
        report.skipped(len(jobs) - len(wanted))
        if not overwrite:
            _check_beside(wanted, confidence, plot)
            if jobs and not wanted and confidence is not None and not is_there(confidence):
                raise SettingError(
                    f"{jobs[0].target} is there, and its map {confidence} is not",
                    "a new result, for the map is made along with it",
                    "--overwrite makes both",
                )
        if plot:
            _draw_missing([job for job in jobs if job not in wanted], request, report)
        if wanted:
            enhancer = load()
            _check(enhancer, request)
            report.tell(enhancer.backend)
            _enhance(wanted, enhancer, min(workers, len(wanted)), request, report, verbose, plot)
    return report.failures


def picture_of(target: Path) -> Path:
    """Where the picture of a result is drawn; the whole name, for a.wav and a.mp3 are two."""
    return target.with_name(f"{target.name}.png")


def _check_beside(jobs: list["Job"], confidence: Path | None, plot: bool) -> None:
    """Raise SettingError for what would be replaced beside the results."""
    beside = [picture_of(job.target) for job in jobs] if plot else []
    for path in [*beside, *([confidence] if confidence is not None and jobs else [])]:
        if is_there(path):
            raise SettingError(
                f"{path} is there", "a new file", "delete it, or let --overwrite replace it"
            )


def _draw_missing(jobs: list["Job"], request: dict[str, Any], report: BatchProgress) -> None:
    """Pictures of results that are there: a run may have ended between a result and its picture."""
    for job in jobs:
        if not is_there(picture_of(job.target)):
            with Attempt(str(job.source)) as attempt:
                _draw(job, request)
            if attempt.failure:
                report.failed(attempt.failure)


def _draw(job: "Job", request: dict[str, Any]) -> None:
    from speechduet.comparison import draw_comparison

    draw_comparison(
        *(job.source, job.target, picture_of(job.target)),
        track=request["track"],
        salvage=request["salvage"],
    )


def _check(enhancer: "Enhancer", request: dict[str, Any]) -> None:
    """Raise SettingError for settings that no file could be enhanced with."""
    from speechduet.enhancement.confidence import check_compared, check_file
    from speechduet.sampling import SETTINGS

    expert = {name: value for name, value in request.items() if name in SETTINGS}
    sampling = enhancer.sampling(request["mode"], **expert)
    if request["confidence"] is not None:
        check_file(request["confidence"])
        check_compared(sampling)


def _enhance(
    jobs: list["Job"],
    enhancer: "Enhancer",
    workers: int,
    request: dict[str, Any],
    report: BatchProgress,
    verbose: bool,
    plot: bool,
) -> None:
    from speechduet.enhancement.files import enhance_file

    stopped = Event()

    def work(job: "Job") -> None:
        """One recording; what is wrong with it is reported and stops no other."""
        line = report.begin(job.source)

        def advance(done_s: float, whole_s: float) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            report.advance(line, done_s, whole_s)

        with Attempt(str(job.source)) as attempt:
            duration_s = enhance_file(
                *(job.source, job.target, enhancer),
                progress=advance,
                notify=report.say,
                verbose=verbose,
                **request,
            )
            if plot:
                _draw(job, request)
            report.finished(duration_s, line)
        if attempt.failure:
            report.failed(attempt.failure, line, attempt.trace if verbose else "")

    if workers == 1:
        for job in jobs:
            work(job)
        return
    # Threads and not processes: they share one model and one import of PyTorch, whose operations
    # let the others run meanwhile.
    pool = ThreadPoolExecutor(workers)
    try:
        for done in as_completed([pool.submit(work, job) for job in jobs]):
            done.result()
    except BaseException:  # An interruption: it goes on up, and waits for no thread.
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
