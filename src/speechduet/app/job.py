"""One recording that is to be enhanced for somebody: the request, the state, the files."""

from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Literal

from speechduet.app.limits import Limits
from speechduet.audio import suffix_of
from speechduet.audio.recording import check_strength
from speechduet.enhancement.confidence import check_compared
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SpeechduetError
from speechduet.network.cost import evaluations

State = Literal["uploading", "waiting", "running", "done", "failed", "cancelled"]
LONGEST_SUFFIX = 10


@dataclass(frozen=True)
class Request:
    """What is to be done with a recording, named as on the command line."""

    mode: str = "balanced"
    strength: float = 1.0
    seed: int = 0
    format: str | None = None
    """wav, flac, ...; by default the recording's own, or wav."""
    track: int | None = None
    salvage: bool = False
    confidence: Literal["png", "npz"] | None = None
    """Make a map of where the decoders disagree, as such a file."""
    expert: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Sampling` in place of the mode's."""
    unmixed: bool = False
    """Keep what `mix_file` needs for another strength."""

    def check(self, enhancer: Enhancer, limits: Limits) -> None:
        """Raise SettingError for what no recording could be enhanced with, or takes too much."""
        sampling = enhancer.sampling(self.mode, **self.expert)
        check_strength(self.strength)
        if self.format is not None:
            suffix_of(self.format)
        if self.confidence is not None:
            check_compared(sampling)
        limits.check_evaluations(evaluations(enhancer.system.layout, sampling))


class Job:
    """A recording on its way: its state may be asked for from any thread."""

    def __init__(self, folder: Path, name: str) -> None:
        self.id = folder.name
        """Cannot be guessed."""
        self.name = name
        """What the user calls the recording: for messages and for the result, never a path."""
        self.folder = folder
        self.request = Request()
        """What is to be done with it, once it is submitted."""
        self.result: Path | None = None
        """The enhanced recording, once it is done."""
        self.confidence: Path | None = None
        """Where the decoders disagree, once it is done and if it was asked for."""
        self.unmixed: Path | None = None
        """The enhanced samples for `mix_file`, once it is done and if they were to be kept."""
        self.notices: tuple[str, ...] = ()
        """What is wrong with the recording, or is not kept of it."""
        self.error = ""
        """Why it failed, in one line."""
        self.error_type: type[SpeechduetError] | None = None
        """What kind of error that was, if it is the user's to mend."""
        self.progress = 0.0
        """The share that is enhanced, 0 to 1."""
        self.duration_s = 0.0
        """Seconds of sound, as far as they are known."""
        self.finished_s: float | None = None
        """When it ended, by the clock of the queue."""
        self.unwanted = False
        """Whether it is to be deleted as soon as it has ended."""
        self.work: Future[None] | None = None
        """What the queue does with it; None before it is submitted."""
        self.ended: Future[None] = Future()
        """Done when the job has ended, however it ended."""
        self.ended.set_running_or_notify_cancel()  # nobody who waits for it can cancel it
        self._cancelled = Event()

    @property
    def source(self) -> Path:
        """Where the recording is, or is to be put."""
        suffix = Path(self.name).suffix
        plain = suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= LONGEST_SUFFIX
        return self.folder / ("source" + suffix * plain)

    @property
    def state(self) -> State:
        """Where it is."""
        work = self.work
        if self._cancelled.is_set() and (work is None or work.done()):
            return "cancelled"
        if work is None:
            return "uploading"
        if work.done():
            return "failed" if self.error else "done"
        return "running" if work.running() else "waiting"

    @property
    def result_name(self) -> str:
        """What to call the result: as the recording, with the result's suffix."""
        suffix = self.source.suffix if self.result is None else self.result.suffix
        return (Path(self.name).stem or "enhanced") + suffix

    def cancel(self) -> None:
        """Let it end: at once if it waits, after the segment at hand if it runs."""
        if self.state not in ("done", "failed"):
            self._cancelled.set()
        if self.work is not None:
            self.work.cancel()

    def wait(self, timeout_s: float | None = None) -> State:
        """Its state when it has ended, or after so many seconds."""
        wait_for([self.ended], timeout_s)
        return self.state

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled if it was."""
        if self._cancelled.is_set():
            raise Cancelled


class Cancelled(Exception):  # noqa: N818
    """Nobody wants the result any more; no error."""
