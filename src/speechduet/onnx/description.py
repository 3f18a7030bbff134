"""What an exported folder says of its model: ``speechduet.json``.

Each mode is a plan: a list of steps without loops or conditions over named complex spectrograms,
so that whoever carries it out needs no formula of any process or sampler.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from speechduet.errors import ModelError
from speechduet.onnx.transform import Transform

FORMAT = 1
DESCRIPTION = "speechduet.json"
NOISE = "z"
"""A value of this name and a number is the random draw of that number."""


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
            return cls._from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ModelError(
                f"{path} is damaged ({reason})", "the file as it was exported", "export it again"
            ) from None

    @classmethod
    def _from_json(cls, values: Mapping[str, Any]) -> "Description":
        rest = dict(values)
        if (found := rest.pop("format")) != FORMAT:
            raise ModelError(f"exported format {found!r}", str(FORMAT), "update speechduet")
        modes = {name: _plan(plan) for name, plan in rest.pop("modes").items()}
        return cls(spectrogram=Transform(**rest.pop("spectrogram")), modes=modes, **rest)


def _plan(values: Mapping[str, Any]) -> Plan:
    steps = tuple(
        Run(step["run"], tuple(step["inputs"]), step["t"], tuple(step["make"]))
        if "run" in step
        else Sum(step["make"], dict(step["of"]))
        for step in values["steps"]
    )
    return Plan(tuple(values["offsets"]), steps, values["result"])
