"""Progress of ``speechduet bulk``."""

from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

from speechduet.cli.progress import Bars

if TYPE_CHECKING:
    import pyarrow as pa

_FAILURES_SHOWN = 20
_TELL_S = 30.0


class BulkProgress(Bars):
    """Throughput, time left and failures, in a line now and then."""

    def __init__(self, quiet: bool) -> None:
        super().__init__()
        self.progress.disable |= quiet
        self._quiet = quiet
        self.failures = 0
        self._rows = self._skipped = self._done = self._enhanced = 0
        self._audio_s = 0.0
        self._begun = self._told = self._first = monotonic()

    def begin(self, rows: int, skipped: int) -> None:
        """So many are left, and so many were done before."""
        self._rows, self._skipped = rows, skipped
        self._begun = self._told = monotonic()
        if not self._quiet:
            self.say(f"{rows} recordings to enhance, {skipped} done before")

    def take(self, table: "pa.Table") -> None:
        """Rows of the ledger have come."""
        if not self._done:
            self._first = monotonic()
        for row in table.select(["status", "duration_s", "error"]).to_pylist():
            self._done += 1
            self._enhanced += row["status"] == "done"
            self._audio_s += row["duration_s"] or 0.0
            if row["status"] == "failed":
                self.failures += 1
                if self.failures <= _FAILURES_SHOWN:
                    self.say(f"failed: {row['error']}")
                elif self.failures == _FAILURES_SHOWN + 1:
                    self.say("further failures are told by --status")
        if not self._quiet and monotonic() - self._told > _TELL_S and self._done < self._rows:
            self._told = monotonic()
            self.say(self._line())

    def end(self) -> None:
        """Sum up."""
        if not self._quiet:
            parts = [f"{self._enhanced} enhanced ({self._speed()})"]
            parts += [f"{self._skipped} done before"] if self._skipped else []
            parts += [f"{self.failures} failed"] if self.failures else []
            self.say(", ".join(parts))

    def _line(self) -> str:
        # Not since the beginning: the workers took their time to load the model.
        each_s = (monotonic() - self._first) / self._done
        left = timedelta(seconds=round(each_s * (self._rows - self._done)))
        return (
            f"{self._done} of {self._rows} recordings ({self._speed()}), "
            f"{self.failures} failed, about {left} left"
        )

    def _speed(self) -> str:
        hours = self._audio_s / 3600
        taken_h = max(monotonic() - self._begun, 1e-3) / 3600
        return f"{hours:.2f} h of audio, {hours / taken_h:.1f} h per hour"
