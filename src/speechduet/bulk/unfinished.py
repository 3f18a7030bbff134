"""What has been begun and not ended, for recordings of which workers die.

Apart from what enhances, so that the process that keeps it starts without PyTorch.
"""


class Unfinished:
    """An actor that counts how often each recording has been begun and not ended.

    An exception is caught where it occurs; this is for recordings of which a worker dies.
    """

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}

    def begin(self, output: str) -> int:
        """How often this was begun before, and its worker did not live to end it."""
        self._begun[output] = self._begun.get(output, 0) + 1
        return self._begun[output] - 1

    def end(self, outputs: list[str]) -> None:
        """These are done, or have failed."""
        for output in outputs:
            self._begun.pop(output, None)
