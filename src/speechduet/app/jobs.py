"""Recordings that are enhanced for several people at once: a queue, and a private folder.

A page or an HTTP interface uses it so::

    from speechduet.app.job import Request
    from speechduet.app.jobs import Jobs
    from speechduet.app.limits import BusyError, Limits

    jobs = Jobs(enhancer, Limits())
    job = jobs.add(path, "talk.mp3", Request(mode="fast", strength=0.8))   # or BusyError
    job.state, job.progress, job.error                                     # as often as one likes
    with jobs.held(job):                                                   # while it is downloaded
        send(job.result)
    jobs.discard(job)                                                      # or it expires by itself
    jobs.close()

Threads and not processes do the work: they share one model, whose operations let each other run.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from threading import Event, RLock, Thread

from speechduet.app.job import Cancelled, Job, Request, State
from speechduet.app.limits import BusyError, Limits
from speechduet.attempt import Attempt
from speechduet.audio import suffix_of, writable_suffix
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file
from speechduet.errors import SpeechduetError

CLOSING_S = 10.0
"""How long a server that ends waits for a segment that is being enhanced."""


class Jobs:
    """Recordings that wait, are enhanced, or are kept for a while.

    Uploads and results lie in a folder that only this user can read. They are deleted
    ``limits.keep_seconds`` after the end of their job, but not while they are `held`. ``clock``
    gives seconds; ``folder`` is where the private one is made (default: for temporary files).
    """

    def __init__(
        self,
        enhancer: Enhancer,
        limits: Limits,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.enhancer = enhancer
        self.limits = limits
        self._clock = clock
        self._folder = TemporaryDirectory(
            prefix="speechduet-", dir=folder, ignore_cleanup_errors=True
        )
        self.path = Path(self._folder.name)
        """Where the folders of the jobs are."""
        self._pool = ThreadPoolExecutor(limits.max_running, "enhance")
        self._jobs: dict[str, Job] = {}
        self._holds: dict[str, int] = {}
        self._lock = RLock()
        self._closed = Event()
        Thread(target=self._expire, name="expire", daemon=True).start()

    def add(self, path: Path, name: str, request: Request) -> Job:
        """Copy a recording that is there already, and enhance it; see `begin` and `submit`."""
        self.limits.check_bytes(path.stat().st_size, name)
        job = self.begin(name)
        try:
            shutil.copyfile(path, job.source)
            return self.submit(job, request)
        except BaseException:
            self.discard(job)
            raise

    def begin(self, name: str) -> Job:
        """A place in the queue for a recording that is still to be written to ``job.source``.

        Raises BusyError if there is none. It has to be submitted or discarded.
        """
        with self._lock:
            self._check_open()
            at_once = self.limits.max_running + self.limits.max_waiting
            if sum(job.finished_s is None for job in self._jobs.values()) >= at_once:
                raise BusyError(
                    f"{at_once} recordings are being enhanced or wait", remedy="try again later"
                )
            folder = self.path / token_urlsafe(16)
            folder.mkdir(mode=0o700)
            job = self._jobs[folder.name] = Job(folder, name)
        return job

    def submit(self, job: Job, request: Request) -> Job:
        """Let a recording wait for its turn.

        Raises SettingError for a request that the model cannot do, and Cancelled if the job was.
        All that may be wrong with the recording is said by the job.
        """
        request.check(self.enhancer, self.limits)
        with self._lock:
            self._check_open()
            job.stop_if_cancelled()
            job.request = request
            job.work = self._pool.submit(self._enhance, job, request)
        job.work.add_done_callback(lambda _: self._finish(job))
        return job

    def get(self, identifier: str) -> Job | None:
        """The job of this id; None if there is none, or no longer."""
        with self._lock:
            return self._jobs.get(identifier)

    def count(self, state: State) -> int:
        """How many are in a state."""
        with self._lock:
            return sum(job.state == state for job in self._jobs.values())

    @contextmanager
    def held(self, job: Job) -> Iterator[None]:
        """While the files of a job are read; they are not deleted meanwhile."""
        with self._lock:
            self._holds[job.id] = self._holds.get(job.id, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._holds[job.id] -= 1
                if not self._holds[job.id]:
                    del self._holds[job.id]
            self.sweep()

    def discard(self, job: Job) -> None:
        """Cancel a job and delete its files, as soon as it has stopped and nobody reads them."""
        job.cancel()
        with self._lock:
            job.unwanted = True
            if job.work is None:
                self._finish(job)
        self.sweep()

    def sweep(self) -> None:
        """Delete what was kept for long enough, and what was cancelled."""
        with self._lock:
            oldest = self._clock() - self.limits.keep_seconds
            for job in list(self._jobs.values()):
                ended_s = job.finished_s
                if ended_s is None or job.id in self._holds:
                    continue
                if ended_s <= oldest or job.unwanted or job.state == "cancelled":
                    del self._jobs[job.id]
                    shutil.rmtree(job.folder, ignore_errors=True)

    def close(self, wait_s: float = CLOSING_S) -> None:
        """Cancel all, wait so long for the segments at hand, and delete everything."""
        with self._lock:
            self._closed.set()
            ends = [job.ended for job in self._jobs.values() if job.work is not None]
            for job in list(self._jobs.values()):
                job.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        wait_for(ends, wait_s)
        self._folder.cleanup()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise BusyError("this server is being shut down")

    def _finish(self, job: Job) -> None:
        with self._lock:
            if job.finished_s is not None:
                return
            job.finished_s = self._clock()
        self.sweep()
        job.ended.set_result(None)

    def _expire(self) -> None:
        while not self._closed.wait(min(self.limits.keep_seconds / 2, 10.0)):
            self.sweep()

    def _enhance(self, job: Job, request: Request) -> None:
        suffix = (
            writable_suffix(job.source) if request.format is None else suffix_of(request.format)
        )
        target = job.folder / f"enhanced{suffix}"
        confidence = None
        if request.confidence is not None:
            confidence = job.folder / f"confidence.{request.confidence}"

        def shown(text: str) -> str:
            return text.replace(str(job.source), job.name).replace(str(target), job.result_name)

        def notify(text: str) -> None:
            job.notices = (*job.notices, shown(text))

        def advance(done_s: float, whole_s: float) -> None:
            job.stop_if_cancelled()
            # The header may have promised less.
            self.limits.check_seconds(whole_s, job.name)
            job.duration_s = whole_s
            job.progress = done_s / whole_s

        unmixed = job.folder / "unmixed" if request.unmixed else None
        with Attempt(job.name, ends=(Cancelled,)) as attempt, ExitStack() as files:
            try:
                job.stop_if_cancelled()
                self.limits.check_file(job.source, request.track)
                enhance_file(
                    *(job.source, target, self.enhancer, request.mode),
                    strength=request.strength,
                    seed=request.seed,
                    confidence=confidence,
                    track=request.track,
                    salvage=request.salvage,
                    notify=notify,
                    progress=advance,
                    unmixed=files.enter_context(unmixed.open("wb")) if unmixed else None,
                    **request.expert,
                )
            except SpeechduetError as error:
                job.error_type = type(error)
                raise
            job.result, job.confidence, job.unmixed = target, confidence, unmixed
        job.error = shown(attempt.failure)
