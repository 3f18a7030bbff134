"""What is to be measured, as a record that goes to a fresh process."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from speechduet.errors import SettingError

Precision = Literal["float32", "bfloat16", "int8"]
Backend = Literal["pytorch", "compile", "cuda-graphs", "onnxruntime", "openvino"]
Work = Literal["enhancement", "evaluation", "training step"]
Code = Literal["speechduet", "SGMSE+ code"]


class Candidate(NamedTuple):
    """One of those that are measured side by side."""

    code: Code
    precision: Precision
    backend: Backend = "pytorch"

    @property
    def name(self) -> str:
        """As it stands in tables."""
        backend = "" if self.backend == "pytorch" else f"{self.backend}, "
        return f"{self.code}, {backend}{self.precision}"


PLAIN = Candidate("speechduet", "float32")
"""What all else of ours is held against."""


@dataclass(frozen=True)
class Request:
    """What is to be measured, and on what.

    Either ``model`` (as the enhancer takes it), ``network`` (a system of the literature at its
    published size, with random weights) or ``recipe`` (a training recipe's file); nothing is the
    bundled model. The work is a *training step* with ``train``; else a single *evaluation* of the
    network if ``network`` or ``sgmse``, the folder of a clone of the public SGMSE+ code, is given;
    else the *enhancement* of ``seconds`` of audio.
    """

    model: str | None = None
    network: str | None = None
    recipe: Path | None = None
    sgmse: Path | None = None
    train: bool = False
    mode: str | None = None
    seconds: float | None = None
    batch_size: int | None = None
    device: str = "cpu"
    threads: int | None = None
    precision: Precision = "float32"
    backend: Backend = "pytorch"
    as_shipped: bool = False
    """Our runs keep freed memory, as the commands enhance and train do; those of others do not."""

    def __post_init__(self) -> None:
        given = [name for name in ("model", "network", "recipe") if getattr(self, name)]
        if len(given) > 1:
            raise SettingError(" and ".join(given), "one of them")
        if self.recipe and not self.train:
            raise SettingError("a recipe with nothing to train", "train with it, or a model")
        if self.mode and self.work != "enhancement":
            raise SettingError(
                f"mode {self.mode!r} for one {self.work}", "a model that enhances, and no more"
            )
        if self.train and (self.backend != "pytorch" or self.precision == "int8"):
            raise SettingError(
                f"training with {self.backend} in {self.precision}",
                "pytorch in float32 or bfloat16",
            )
        if self.batch_size is not None and (self.batch_size < 1 or self.work == "enhancement"):
            raise SettingError(
                f"a batch of {self.batch_size} for one {self.work}",
                "1 or more, for an evaluation or a training step",
            )
        if self.seconds is not None and not 0 < self.seconds <= 600:
            raise SettingError(f"{self.seconds} s of audio", "above 0, and at most 600")

    @property
    def work(self) -> Work:
        """What one run does."""
        if self.train:
            return "training step"
        return "evaluation" if self.network or self.sgmse else "enhancement"

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What is measured; the first is what was asked for, the others are for comparison."""
        candidates = [Candidate("speechduet", self.precision, self.backend)]
        if PLAIN not in candidates:
            candidates.append(PLAIN)
        if self.sgmse:
            # In bfloat16 it stops at its last layer, which makes complex numbers.
            candidates.append(Candidate("SGMSE+ code", "float32"))
        return tuple(candidates)
