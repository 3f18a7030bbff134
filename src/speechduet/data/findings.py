"""What is odd about the recordings of a set, in one line per kind and not in one per file."""

from speechduet.audio.notices import Notify

_NAMED = 3

SILENT = "are silent"
RESAMPLED = "have another sample rate and are resampled to {}"
NARROW = "have a lower sample rate than {} and hold nothing of the highest frequencies"
OTHER_CHANNEL = "are silent in the first channel, and another one is taken"
OFFSET = "have an offset, which is taken out"
LOUD = "go above full scale (1.0) and are kept so, not cut off"
CUT_OFF = "look cut off at full scale by whatever made them"
LEFT_OUT = "are left out"
SHORTENED = "are not as they claim to be"


class Findings:
    """Names of recordings by what was found about them."""

    def __init__(self, place: str, total: int) -> None:
        self._place = place
        self._total = total
        self._names: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        """Note a recording; ``name`` may say more about it."""
        self._names.setdefault(kind, []).append(name)

    def count(self, kind: str) -> int:
        """How many recordings something was found of."""
        return len(self._names.get(kind, []))

    def first(self, kind: str) -> str:
        """The first of them."""
        return self._names[kind][0]

    def report(self, notify: Notify) -> None:
        """One line for each kind, with examples."""
        for kind, names in self._names.items():
            more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            examples = ", ".join(names[:_NAMED])
            notify(
                f"{self._place}: {len(names)} of {self._total} recordings {kind} ({examples}{more})"
            )
