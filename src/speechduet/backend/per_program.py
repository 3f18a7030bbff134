"""What a runtime makes of each program, made once."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=str)
Made = TypeVar("Made")


class PerProgram(Generic[Name, Made]):
    """What a runtime makes of each program when that is first called.

    Once, however many threads call at the same time.
    """

    def __init__(self, make: Callable[[Name], Made]) -> None:
        self._make = make
        self._made: dict[Name, Made] = {}
        self._lock = Lock()

    def __call__(self, program: Name) -> Made:
        """What was made of this program."""
        with self._lock:
            if program not in self._made:
                self._made[program] = self._make(program)
            return self._made[program]
