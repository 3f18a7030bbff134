"""What ``speechduet enhance`` tells on stderr: progress, failures, and the speed in the end."""

from pathlib import Path
from time import perf_counter
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from speechduet.errors import SpeechduetError


class Report:
    """Counts what becomes of each recording, and shows a bar where stderr is a terminal."""

    def __init__(self, recordings: int) -> None:
        self.failures = 0
        self._recordings = recordings
        self._enhanced = self._skipped = 0
        self._audio_s = self._taken_s = 0.0
        self._begun = perf_counter()
        console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("real-time factor {task.fields[factor]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, factor="-")

    def __enter__(self) -> "Report":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if kind is None:
            self._say(self._summary())

    def begin(self, source: Path) -> None:
        """The next recording is being read."""
        self._begun = perf_counter()
        number = 1 + self._enhanced + self._skipped + self.failures
        described = f"{number}/{self._recordings} {source.name}"
        self._progress.reset(self._task, description=described, total=None, factor="-")

    def advance(self, done_s: float, whole_s: float) -> None:
        """So many seconds of the recording are enhanced, of how many."""
        factor = f"{(perf_counter() - self._begun) / done_s:.2f}" if done_s else "-"
        self._progress.update(self._task, completed=done_s, total=whole_s, factor=factor)

    def finished(self, duration_s: float) -> None:
        """The recording, of this duration, is enhanced."""
        self._enhanced += 1
        self._audio_s += duration_s
        self._taken_s += perf_counter() - self._begun

    def skipped(self) -> None:
        """The recording's result was there already."""
        self._skipped += 1

    def failed(self, error: SpeechduetError) -> None:
        """An input came to nothing."""
        self.failures += 1
        self._say(f"failed: {error}")

    def _summary(self) -> str:
        speed = ""
        if self._audio_s:
            factor = self._taken_s / self._audio_s
            speed = (
                f" ({self._audio_s:.1f} s of sound in {self._taken_s:.1f} s, "
                f"real-time factor {factor:.2f})"
            )
        parts = [f"{self._enhanced} enhanced{speed}"]
        if self._skipped:
            parts.append(f"{self._skipped} skipped, for their results exist (--overwrite)")
        if self.failures:
            parts.append(f"{self.failures} failed")
        return ", ".join(parts)

    def _say(self, text: str) -> None:
        self._progress.console.print(text)
