"""Whether the program that a pickle is builds no more than its length is worth.

A pickle of ten bytes can make Python's reader fill gigabytes, and one of a hundred can build tuples
of tuples whose hash takes years. So its instructions are counted before any of them is followed.
"""

import pickle
import pickletools
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

MOST_VALUES = 10_000_000
"""In one value of a pickle, what is in it twice counted twice."""
MOST_LEVELS = 1000
"""Of values within values."""
IN_PLACE = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
"""Add to what lies below, which is neither one more value nor one more level."""
EXTENSIONS = ("EXT1", "EXT2", "EXT4")
"""Numbers for names that the running program has registered: what they stand for, no file says."""


class Value(NamedTuple):
    """What is known of a value that a pickle would build."""

    values: int = 1
    levels: int = 1


def check_program(stream: BytesIO) -> None:
    """Follow the instructions of one pickle from here on, without building what they say.

    UnpicklingError, or another error of a damaged pickle, for a value of too many values or levels,
    for places in its memory beyond its length, and for registered extensions.
    """
    most_places = len(stream.getbuffer())
    stack: list[Value | None] = []
    """None stands for a mark."""
    memory: dict[int, Value] = {}
    for instruction, argument, _ in _instructions(stream):
        name = instruction.name
        if name in EXTENSIONS:
            raise pickle.UnpicklingError(f"extension {argument}")
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if not 0 <= argument <= most_places:
                raise pickle.UnpicklingError(f"place {argument} of its memory")
            memory[argument] = _top(stack)
        elif name == "MEMOIZE":
            memory[len(memory)] = _top(stack)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memory[argument])
        elif name == "DUP":
            stack.append(_top(stack))
        elif name == "MARK":
            stack.append(None)
        elif name == "POP" and stack:
            stack.pop()
        elif name != "STOP":
            _follow(stack, instruction)


_instructions: Callable[[BytesIO], Any] = pickletools.genops


def _follow(stack: list[Value | None], instruction: Any) -> None:
    """What an instruction takes off the stack becomes part of what it puts there."""
    before, after = instruction.stack_before, instruction.stack_after
    taken: list[Value] = []
    if pickletools.markobject in before:
        while (value := stack.pop()) is not None:
            taken.append(value)
        before = before[: before.index(pickletools.markobject)]
    taken += [_taken(stack) for _ in before]
    values = sum(value.values for value in taken)
    *inside, lowest = taken or [Value()]
    levels = 1 + max((value.levels for value in inside), default=0)
    if instruction.name in IN_PLACE:
        made = Value(values, max(lowest.levels, levels))
    else:
        made = Value(1 + values, max(1 + lowest.levels if taken else 1, levels))
    if made.values > MOST_VALUES or made.levels > MOST_LEVELS:
        raise pickle.UnpicklingError("values within values without end")
    stack += [made] * len(after)


def _taken(stack: list[Value | None]) -> Value:
    value = _top(stack)
    stack.pop()
    return value


def _top(stack: list[Value | None]) -> Value:
    if not stack or stack[-1] is None:
        raise pickle.UnpicklingError("an empty stack")
    return stack[-1]
