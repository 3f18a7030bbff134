"""What happens when somebody uses the page: one recording at a time for each open page."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import av
import gradio as gr
from starlette.concurrency import run_in_threadpool

from speechduet.app.job import Cancelled, Job, Request
from speechduet.app.jobs import Jobs
from speechduet.app.page import markup
from speechduet.app.page.listening import page_folder, prepare
from speechduet.app.page.steps import DrawnStep, draw_steps, stepping_mode
from speechduet.attempt import Attempt
from speechduet.enhancement.confidence import check_compared
from speechduet.errors import SettingError
from speechduet.sampling import Sampling

# Gradio would translate what is the name of one of its own texts, such as "file".
FILE, MICROPHONE, SAMPLE = SOURCES = ("a file", "a microphone", "a sample")
"""Where a recording may come from."""
_LONGEST_MAP_S = 1200.0
"""The map of where the decoders disagree is held in memory, 0.5 GB for an hour."""
_LOOK_S = 0.25


class Shown(NamedTuple):
    """What the parts of the page show while a recording is enhanced."""

    status: str
    result: str = ""
    busy: bool = False

    def updates(self) -> tuple[object, ...]:
        """Status, result, the two buttons, the reverse process and its pictures."""
        return (
            self.status,
            self.result,
            gr.Button(interactive=not self.busy),
            gr.Button(visible=self.busy),
            gr.Accordion(visible=bool(self.result)),
            "",
        )


class Sessions:
    """The users of the page, by the name that Gradio gives each open one.

    ``samples`` is a folder of recordings that may be there.
    """

    def __init__(self, jobs: Jobs, samples: Path) -> None:
        self._jobs = jobs
        self._samples = {path.stem: path for path in sorted(samples.glob("*.flac"))}
        self._kept = markup.spoken(jobs.limits.keep_seconds)
        # Pages that are never closed in order leave nothing here when their job is deleted.
        self._job_of: WeakValueDictionary[str, Job] = WeakValueDictionary()

    @property
    def samples(self) -> list[str]:
        """Names of the bundled recordings, if they are there."""
        return list(self._samples)

    async def enhance(
        self,
        source: str,
        file: str | None,
        recorded: str | None,
        sample: str | None,
        mode: str,
        salvage: bool,
        user: gr.Request,
    ) -> AsyncIterator[tuple[object, ...]]:
        """Enhance a recording, and show how far it is and then what has become of it."""
        session = str(user.session_hash)
        self.leave(user)
        yield Shown(markup.progress("The recording is taken in"), busy=True).updates()
        job = None
        with Attempt() as attempt:
            path = self._chosen({FILE: file, MICROPHONE: recorded}.get(source), source, sample)
            wanted = self._request(mode, salvage, path)
            job = await run_in_threadpool(self._jobs.add, path, path.name, wanted)
            self._job_of[session] = job
            async for shown in self._followed(job):
                yield shown.updates()
        if attempt.failure:
            if job is not None:
                self._jobs.discard(job)
            yield Shown(markup.error(attempt.failure)).updates()

    def cancel(self, user: gr.Request) -> None:
        """Let the work of a user stop, and delete what it had made."""
        if job := self._job_of.get(str(user.session_hash)):
            self._jobs.discard(job)

    def leave(self, user: gr.Request) -> None:
        """Delete what a user had, who closes the page or begins anew."""
        if job := self._job_of.pop(str(user.session_hash), None):
            self._jobs.discard(job)

    def steps(self, count: float, user: gr.Request) -> Iterator[str]:
        """Draw the reverse process of what the user has enhanced."""
        job = self._job_of.get(str(user.session_hash))
        if job is None or self._jobs.get(job.id) is None:
            yield markup.error(f"This recording has been deleted after {self._kept}.")
            return
        enhancer, asked = self._jobs.enhancer, job.request
        mode = stepping_mode(enhancer, asked.mode)
        if mode is None:
            yield markup.note("This model has no reverse process: one evaluation does it all.")
            return
        drawn: list[DrawnStep] = []
        steps = int(count)
        yield markup.progress(f"Step 1 of {steps}", 0)
        with Attempt() as attempt, self._jobs.held(job):
            for step in draw_steps(
                *(enhancer, job.source, mode, steps, asked.salvage, page_folder(job))
            ):
                if job.unwanted:
                    return
                drawn.append(step)
                done = len(drawn)
                yield markup.progress(f"Step {min(done + 1, steps)} of {steps}", done / steps)
        if attempt.failure:
            yield markup.error(attempt.failure)
        else:
            yield markup.steps(job, drawn, job.duration_s, mode)

    async def _followed(self, job: Job) -> AsyncIterator[Shown]:
        """A job until its end, and what it has led to."""
        while not job.ended.done():
            yield Shown(_progress(job), busy=True)
            await asyncio.sleep(_LOOK_S)
        if job.state == "failed":
            yield Shown(markup.error(job.error))
            self._jobs.discard(job)
            return
        try:
            with self._jobs.held(job):
                if job.state == "cancelled":
                    raise Cancelled
                yield Shown(markup.progress("The pictures are drawn", 1), busy=True)
                made = await run_in_threadpool(prepare, job, lambda: _stop_if_unwanted(job))
        except Cancelled:
            yield Shown(markup.note("Cancelled. Nothing is kept."))
            return
        said = "".join(markup.note(text) for text in job.notices)
        yield Shown(said, markup.result(job, made, self._kept))

    def _chosen(self, given: str | None, source: str, sample: str | None) -> Path:
        """The recording that the user means; raises SettingError if there is none."""
        if source == SAMPLE and sample in self._samples:
            return self._samples[sample]
        if given is None:
            missing = "recorded" if source == MICROPHONE else "chosen"
            raise SettingError(f"No recording is {missing} yet.")
        return Path(given)

    def _request(self, mode: str, salvage: bool, path: Path) -> Request:
        enhancer = self._jobs.enhancer
        wanted = Request(mode, salvage=salvage, unmixed=True)
        wanted.check(enhancer, self._jobs.limits)
        if _promised_s(path) > _LONGEST_MAP_S or not _compared(enhancer.sampling(mode)):
            return wanted
        return replace(wanted, confidence="npz")


def _progress(job: Job) -> str:
    if job.state == "waiting":
        return markup.progress("Waiting for others’ recordings to be done")
    if not job.progress:
        return markup.progress("The recording is read", None, f"{markup.clock(job.duration_s)}")
    done = markup.clock(job.progress * job.duration_s)
    whole = markup.clock(job.duration_s)
    return markup.progress("Enhancing", job.progress, f"{done} of {whole}")


def _compared(sampling: Sampling) -> bool:
    try:
        check_compared(sampling)
    except SettingError:
        return False
    return True


def _stop_if_unwanted(job: Job) -> None:
    if job.unwanted:
        raise Cancelled


def _promised_s(path: Path) -> float:
    """The length that a header states, in seconds; infinite if it states none."""
    try:
        with av.open(str(path)) as container:
            return container.duration / av.time_base if container.duration else float("inf")
    except av.FFmpegError:
        return float("inf")
