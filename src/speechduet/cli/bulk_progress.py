"""Progress of ``speechduet bulk``."""

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from rich.progress import MofNCompleteColumn, TextColumn

from speechduet.cli.progress import Bars

if TYPE_CHECKING:
    import pyarrow as pa

_FAILURES_SHOWN = 20
_TELL_S = 30.0


def counted(number: int, what: str) -> str:
    """``1 recording``, ``2 recordings``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def lasting(seconds: float) -> str:
    """A duration in the unit that fits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.2f} h"


class BulkProgress(Bars):
    """Throughput, time left and failures: a bar on a terminal, elsewhere a line now and then."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(MofNCompleteColumn(), TextColumn("{task.fields[state]}"))
        self.progress.disable |= quiet
        self._task = self.progress.add_task("Enhancing", state="")
        self._quiet = quiet
        self.failures = 0
        self._rows = self._skipped = self._done = self._enhanced = 0
        self._audio_s = 0.0
        self._begun = self._told = monotonic()
        self._first: tuple[float, int] | None = None

    def begin(self, rows: int, skipped: int) -> None:
        """So many are left, and so many were done before."""
        self._rows, self._skipped = rows, skipped
        self._begun = self._told = monotonic()
        self.progress.update(self._task, total=rows, state=self._state())
        self.tell(f"{counted(rows, 'recording')} to enhance, {skipped} done before")

    def take(self, table: "pa.Table") -> None:
        """Rows of the ledger have come."""
        for row in table.select(["status", "duration_s", "error"]).to_pylist():
            self._done += 1
            self._enhanced += row["status"] == "done"
            self._audio_s += row["duration_s"] or 0.0
            if row["status"] == "failed":
                self._fail(row["error"])
        self._first = self._first or (monotonic(), self._done)
        self.progress.update(self._task, completed=self._done, state=self._state())
        lines = self.progress.disable and not self._quiet
        if lines and monotonic() - self._told > _TELL_S and self._done < self._rows:
            self._told = monotonic()
            self.say(self._line())

    def end(self) -> None:
        """Sum up."""
        speed = f" ({self._speed()})" if self._audio_s else ""
        parts = [f"{self._enhanced} enhanced{speed}"]
        parts += [f"{self._skipped} done before"] if self._skipped else []
        parts += [f"{self.failures} failed"] if self.failures else []
        self.tell(", ".join(parts))

    def interrupted(self) -> None:
        """Say what is left."""
        left = counted(self._rows - self._done, "recording") + " left; " if self._rows else ""
        self.tell(f"interrupted: {left}the same command does the rest")

    def tell(self, text: str) -> None:
        """A line of what is neither failed nor wrong, which ``quiet`` leaves out."""
        if not self._quiet:
            self.say(text)

    def _fail(self, error: str) -> None:
        self.failures += 1
        if self.failures <= _FAILURES_SHOWN:
            self.say(f"failed: {error}")
        elif self.failures == _FAILURES_SHOWN + 1:
            self.say("further failures are told by --status")

    def _state(self) -> str:
        failed = f"{self.failures} failed"
        return f"{self._speed()}, {failed}" if self._audio_s else failed

    def _line(self) -> str:
        line = f"{self._done} of {counted(self._rows, 'recording')}, {self._state()}"
        if self._first is None or self._first[1] == self._done:
            return line
        # Not since the beginning: the workers took their time to load the model.
        begun, before = self._first
        each_s = (monotonic() - begun) / (self._done - before)
        left = timedelta(seconds=round(each_s * (self._rows - self._done)))
        return f"{line}, about {left} left"

    def _speed(self) -> str:
        taken_s = max(monotonic() - self._begun, 1e-3)
        return f"{lasting(self._audio_s)} of audio, {self._audio_s / taken_s:.1f} h per hour"
