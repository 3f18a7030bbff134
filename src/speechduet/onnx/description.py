"""What an exported folder says of its model: ``speechduet.json``.

Each mode is a plan: a list of steps without loops or conditions over named complex spectrograms,
so that whoever carries it out needs no formula of any process or sampler.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from speechduet.errors import ModelError
from speechduet.onnx.transform import Transform

FORMAT = 1
DESCRIPTION = "speechduet.json"
NOISE = "z"
"""A value of this name and a number is the random draw of that number."""
_DRAW = re.compile(rf"{NOISE}\d{{1,6}}")
_DAMAGE = (
    *(ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError),
    ArithmeticError,  # of whole numbers beyond what floats hold
)
# More than any model has: memory is taken by them.
_MOST_BYTES = 1 << 26
_MOST_RATE_HZ, _MOST_BINS, _MOST_MULTIPLE = 768_000, 1 << 16, 1 << 12


@dataclass(frozen=True)
class Sum:
    """``make`` is the sum of values, each multiplied by a number."""

    make: str
    of: Mapping[str, float]

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that are needed."""
        return tuple(self.of)


@dataclass(frozen=True)
class Run:
    """``make`` are the outputs of a program for ``inputs`` and, if it has one, the time t."""

    run: str
    inputs: tuple[str, ...]
    t: float | None
    make: tuple[str, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the values that are needed."""
        return self.inputs


@dataclass(frozen=True)
class Plan:
    """How a mode makes the enhanced spectrogram out of the noisy one, which is called ``y``.

    All of it is done once for each of ``offsets``, which count zeros put before the waveform, and
    the waveforms are averaged.
    """

    offsets: tuple[int, ...]
    steps: tuple[Sum | Run, ...]
    result: str

    @cached_property
    def forgotten(self) -> tuple[tuple[str, ...], ...]:
        """After each step, the values that no later one reads."""
        seen, last_first = {self.result}, []
        for step in reversed(self.steps):
            made = step.make if isinstance(step, Run) else (step.make,)
            unread = [name for name in (*made, *step.reads) if name not in seen]
            last_first.append(tuple(dict.fromkeys(unread)))
            seen.update(step.reads)
        return tuple(reversed(last_first))


@dataclass(frozen=True)
class Description:
    """All that is in ``speechduet.json``."""

    name: str
    licence: str
    precision: str
    spectrogram: Transform
    frame_multiple: int
    """What the number of frames must be divisible by."""
    programs: Mapping[str, str]
    """The file of each program, by its name."""
    modes: Mapping[str, Plan]
    tolerance: float
    """What programs and modes were allowed to differ by from PyTorch, of the greatest magnitude."""
    written_by: str

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> "Description":
        """The description of a folder; ModelError if there is none or it is damaged."""
        path = folder / DESCRIPTION
        if not path.is_file():
            raise ModelError(
                f"{folder} holds no exported model: it has no {DESCRIPTION}",
                "a folder made by `speechduet export --onnx`",
            )
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
            return cls._from_json(json.loads(data.decode("utf-8")))
        except _DAMAGE as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelError(
                f"{path} is damaged ({reason})", "the file as it was exported", "export it again"
            ) from None

    @classmethod
    def _from_json(cls, values: Mapping[str, Any]) -> "Description":
        rest = dict(values)
        if (found := rest.pop("format")) != FORMAT:
            raise ModelError(f"exported format {found!r}", str(FORMAT), "update speechduet")
        transform = Transform(**rest.pop("spectrogram"))
        _check_transform(transform)
        programs = {_text(name): _text(file) for name, file in rest.pop("programs").items()}
        modes = {
            name: _plan(plan, programs, transform.n_fft) for name, plan in rest.pop("modes").items()
        }
        multiple = _whole(rest.pop("frame_multiple"), 1, _MOST_MULTIPLE)
        _text(rest["name"])
        return cls(
            spectrogram=transform, modes=modes, programs=programs, frame_multiple=multiple, **rest
        )


def _check_transform(transform: Transform) -> None:
    _whole(transform.sample_rate, 1, _MOST_RATE_HZ)
    _whole(transform.hop, 1, _whole(transform.n_fft, 2, _MOST_BINS))
    if not (0 < _number(transform.exponent) <= 1 and _number(transform.factor) > 0):
        raise ValueError("a spectrogram without an exponent in (0, 1] and a positive factor")
    if not isinstance(transform.published, bool):
        raise TypeError("published is neither true nor false")


def _plan(values: Mapping[str, Any], programs: Mapping[str, str], n_fft: int) -> Plan:
    steps = tuple(_run(step) if "run" in step else _sum(step) for step in values["steps"])
    offsets = tuple(_whole(offset, 0, n_fft) for offset in values["offsets"])
    if not offsets:
        raise ValueError("a mode without an offset")
    known = {"y"}
    for step in steps:
        _check_known(step.reads, known)
        if isinstance(step, Run) and step.run not in programs:
            raise ValueError(f"there is no program {step.run!r}")
        known.update(step.make if isinstance(step, Run) else [step.make])
    plan = Plan(offsets, steps, _text(values["result"]))
    _check_known([plan.result], known)
    return plan


def _check_known(names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known and not _DRAW.fullmatch(name):
            raise ValueError(f"{name!r} is read before it is made")


def _run(step: Mapping[str, Any]) -> Run:
    inputs, made = (tuple(map(_text, step[names])) for names in ("inputs", "make"))
    if not inputs:
        raise ValueError("a program without inputs")
    t = step["t"]
    return Run(_text(step["run"]), inputs, None if t is None else _number(t), made)


def _sum(step: Mapping[str, Any]) -> Sum:
    weights = {name: _number(weight) for name, weight in step["of"].items()}
    if not weights:
        raise ValueError("a sum of nothing")
    return Sum(_text(step["make"]), weights)


def _whole(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{value!r} is no whole number of {least} to {most}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
