"""Progress on stderr: bars on a terminal, elsewhere a line for every tenth with the time left."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import Self

from speechduet.errors import SpeechduetError
from speechduet.names import shown, utf8

Item = TypeVar("Item")
Advance = Callable[[int, int], None]
"""Called with how much is done, and of how much; 0 of 0 if there is nothing to do."""


class Bars:
    """A context in which several pieces of work may show how far they are."""

    def __init__(self, *columns: ProgressColumn) -> None:
        """``columns`` stand between a bar and its time left; by default numbers."""
        # Names are shown as they are: [red] is no colour and :smile: no picture.
        console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *(columns or (MofNCompleteColumn(),)),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.progress.stop()

    def bar(self, label: str, unit: str) -> Advance:
        """A new bar; ``unit`` says what is counted, in the plural."""
        task = self.progress.add_task(shown(label), total=None)
        begun, tenths = perf_counter(), 0

        def advance(done: int, whole: int) -> None:
            nonlocal tenths
            self.progress.update(task, completed=done, total=whole or None)
            reached = 10 * done // whole if whole else 0
            if self.progress.disable and reached > tenths:
                tenths = reached
                left = timedelta(seconds=round(_since(begun) * (whole - done) / done))
                line = f"{label}: {done} of {whole} {unit}"
                self.say(f"{line}, about {left} left" if done < whole else line)

        return advance

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.progress.console.print(shown(text))


def _since(begun: float) -> float:
    """Seconds; a clock that was set back, as those of some virtual machines are, shows none."""
    return max(0.0, perf_counter() - begun)


def track(items: Iterable[Item], label: str, unit: str, total: int) -> Iterator[Item]:
    """The items, with a bar of their own."""
    with Bars() as bars:
        advance = bars.bar(label, unit)
        for done, item in enumerate(items, 1):
            yield item
            advance(done, total)


class BatchProgress(Bars):
    """What ``speechduet enhance`` reports: progress, failures, and the speed in the end.

    Workers in several threads may report at the same time. ``aliases`` are names by which people
    know files: stdin, for a temporary one. ``quiet`` leaves out all but failures and notes.
    """

    def __init__(
        self, recordings: int, aliases: Mapping[str, str] | None = None, quiet: bool = False
    ) -> None:
        factor = TextColumn("real-time factor {task.fields[factor]}")
        super().__init__(TaskProgressColumn(), factor)
        self.progress.disable |= quiet
        self._quiet = quiet
        self._aliases = aliases or {}
        self.failures = 0
        self._recordings = recordings
        self._seen = self._enhanced = self._skipped = 0
        self._audio_s = self._taken_s = 0.0
        self._begun: float | None = None
        self._lock = Lock()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        super().__exit__(kind, *rest)
        if kind is None:
            self.tell(self._summary())

    def begin(self, source: Path) -> TaskID:
        """The next recording is being read; the result names it from here on."""
        with self._lock:
            self._begun = self._begun or perf_counter()
            self._seen += 1
            described = f"{self._seen}/{self._recordings} {shown(source.name)}"
        return self.progress.add_task(described, total=None, factor="-", begun=perf_counter())

    def advance(self, line: TaskID, done_s: float, whole_s: float) -> None:
        """``done_s`` seconds of the recording are enhanced, of ``whole_s``."""
        task = next(task for task in self.progress.tasks if task.id == line)
        taken_s = _since(task.fields["begun"])
        factor = f"{taken_s / done_s:.2f}" if done_s else "-"
        self.progress.update(line, completed=done_s, total=whole_s, factor=factor)

    def finished(self, duration_s: float, line: TaskID) -> None:
        """The recording, of this duration, is enhanced."""
        with self._lock:
            self._enhanced += 1
            self._audio_s += duration_s
        self._end(line)

    def skipped(self, recordings: int) -> None:
        """The results of this many recordings were there already."""
        self._seen += recordings
        self._skipped += recordings

    def failed(
        self, error: SpeechduetError | str, line: TaskID | None = None, trace: str = ""
    ) -> None:
        """An input came to nothing; ``trace`` says where in the program."""
        with self._lock:
            self.failures += 1
        self.say(f"failed: {error}")
        if trace:
            self.progress.console.print(utf8(trace), end="")
        if line is not None:
            self._end(line)

    def say(self, text: str) -> None:
        """A line above the bars."""
        for path, alias in self._aliases.items():
            text = text.replace(path, alias)
        super().say(text)

    def tell(self, text: str) -> None:
        """A line of what goes as it should."""
        if not self._quiet:
            self.say(text)

    def _end(self, line: TaskID) -> None:
        self.progress.remove_task(line)
        with self._lock:
            self._taken_s = 0.0 if self._begun is None else _since(self._begun)

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
