"""A model as a folder of ONNX files with all that is needed to run them without PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechduet import __version__
from speechduet.audio import Samples
from speechduet.backend.export import check_installed
from speechduet.backend.quantisation import quantised
from speechduet.enhancement.noise import Complexes, NoiseField
from speechduet.enhancement.piece import enhance_piece
from speechduet.errors import FileError, ModelError
from speechduet.export.programs import (
    TOLERANCES,
    ExportPrecision,
    Numbers,
    write_program,
)
from speechduet.export.readme import readme
from speechduet.export.recording import recorded
from speechduet.files.atomic import write_bytes
from speechduet.model.folder import Pretrained
from speechduet.network.system import System
from speechduet.onnx.description import DESCRIPTION, FORMAT, Description
from speechduet.onnx.enhancer import Enhancer
from speechduet.onnx.transform import Transform
from speechduet.sampler import Draw, Sampling, Step
from speechduet.spectrogram import Spectrogram

GOLDEN = "golden"
"""Folder of numbers to check other programs against."""
_GOLDEN_S = 0.3


class Exported(NamedTuple):
    """What was written: its bytes in all, and the largest differences from PyTorch."""

    size: int
    programs: Mapping[str, float]
    modes: Mapping[str, float]


def export_folder(
    pretrained: Pretrained, folder: str | Path, precision: ExportPrecision = "float32"
) -> Exported:
    """Write every program of a model as ONNX, and the plan of every mode.

    Each program and mode is compared with PyTorch first, and nothing is written if one differs by
    more than `TOLERANCES`. Raises ModelError then, and for a program that cannot be exported, and
    SettingError for int8 with a model that is not calibrated and where a package is missing.
    """
    check_installed("onnx", "onnx", "onnxruntime")
    system = pretrained.system.placed(torch.device("cpu"))
    if precision == "int8":
        system = quantised(system)
    path = Path(folder)
    try:
        others = path.is_dir() and any(path.iterdir()) and not (path / DESCRIPTION).is_file()
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error
    if others:
        raise ModelError(f"{path} holds other files", "a new or empty folder, or an earlier export")
    try:
        with TemporaryDirectory() as place:
            made = Path(place)
            (made / GOLDEN).mkdir()
            exported = _write(made, pretrained, system, precision)
            _move(made, path)
    except ModelError as error:
        raise ModelError(f"model {pretrained.name}: {error}") from None
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    return exported


def _write(
    made: Path, pretrained: Pretrained, system: System, precision: ExportPrecision
) -> Exported:
    description = _describe(pretrained, system, precision)
    metadata = {
        "name": description.name,
        "licence": description.licence,
        "format": str(FORMAT),
        "precision": precision,
        "written_by": description.written_by,
        "spectrogram": json.dumps(asdict(description.spectrogram)),
    }
    bins = pretrained.spectrogram.bins
    programs: dict[str, float] = {}
    modes: dict[str, float] = {}
    for program in system.programs():
        file = made / description.programs[program]
        checked = write_program(file, system, program, bins, precision, metadata)
        _save(made / GOLDEN / f"program_{program}.npz", checked.numbers)
        programs[program] = checked.difference
    (made / DESCRIPTION).write_text(description.to_text(), encoding="utf-8")
    runner = Enhancer(made, threads=torch.get_num_threads())
    for mode, sampling in pretrained.modes.items():
        numbers, difference = _mode(runner, mode, system, pretrained.spectrogram, sampling)
        if not difference <= TOLERANCES[precision]:
            raise ModelError(
                f"mode {mode!r} differs from PyTorch by {difference:.2g} of full scale as ONNX in "
                f"{precision}",
                f"at most {TOLERANCES[precision]:g}",
            )
        _save(made / GOLDEN / f"mode_{mode}.npz", numbers)
        modes[mode] = difference
    (made / "README.md").write_text(readme(description, programs, modes), encoding="utf-8")
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    return Exported(size, programs, modes)


def _describe(pretrained: Pretrained, system: System, precision: ExportPrecision) -> Description:
    return Description(
        name=pretrained.name,
        licence=str(pretrained.metadata.get("licence", "not stated")),
        precision=precision,
        spectrogram=Transform(**asdict(pretrained.spectrogram)),
        frame_multiple=system.frame_multiple,
        programs={program: f"{program}.onnx" for program in system.programs()},
        modes={
            mode: recorded(system, pretrained.spectrogram, sampling)
            for mode, sampling in pretrained.modes.items()
        },
        tolerance=TOLERANCES[precision],
        written_by=f"speechduet {__version__}",
    )


def _mode(
    runner: Enhancer, mode: str, system: System, spectrogram: Spectrogram, sampling: Sampling
) -> tuple[Numbers, float]:
    """A short waveform through a mode in PyTorch, and how far the runner is from it."""
    noisy = golden_waveform(spectrogram.sample_rate)
    field = NoiseField(0, spectrogram.bins)
    drawn: dict[int, Complexes] = {}
    results: list[Tensor] = []

    def draws() -> Draw:
        numbers = count()

        def draw(shape: tuple[int, ...]) -> Tensor:
            number = next(numbers)
            drawn[number] = field.batch(number, [0], shape[-1])
            return torch.from_numpy(drawn[number])

        return draw

    def result_of(step: Step, framing: int) -> Tensor:
        del results[framing:]
        results.append(step.result)
        return step.result

    with torch.inference_mode():
        clean = enhance_piece(
            system, spectrogram, torch.from_numpy(noisy), sampling, draws, result_of
        ).numpy()
    ours = runner.enhance_piece(
        noisy, runner.sampling(mode), lambda number, frames: field.batch(number, [0], frames)
    )
    numbers = {
        "noisy": noisy[0],
        "spectrogram": runner.spectrogram.encode(noisy)[0, 0],
        "z": np.array([drawn[number][0, 0] for number in sorted(drawn)], np.complex64),
        "result": results[0][0, 0].numpy(),
        "enhanced": clean[0],
    }
    # Noisy speech has peak 1; a network that made more of it is measured by that.
    full_scale = max(1.0, float(np.abs(clean).max()))
    return numbers, float(np.abs(ours - clean).max()) / full_scale


def golden_waveform(sample_rate: int) -> Samples:
    """A short tone of many harmonics in noise, of peak 1: ``[1, samples]``."""
    t = np.arange(round(_GOLDEN_S * sample_rate)) / sample_rate
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 20)) * np.sin(9 * t) ** 2
    waveform = voice + 0.1 * np.random.Generator(np.random.Philox(0)).standard_normal(len(t))
    scaled: Samples = (waveform / np.abs(waveform).max()).astype(np.float32)[None]
    return scaled


def _save(path: Path, numbers: Numbers) -> None:
    arrays: dict[str, Any] = {**numbers}
    np.savez(path, **arrays)


def _move(made: Path, folder: Path) -> None:
    """Write the files into their folder; the description comes last."""
    try:
        (folder / GOLDEN).mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        for stale in (*folder.glob("*.onnx"), *(folder / GOLDEN).glob("*.npz")):
            stale.unlink()
        files = [file for file in made.rglob("*") if file.is_file()]
        for file in sorted(files, key=lambda file: file.name == DESCRIPTION):
            write_bytes(folder / file.relative_to(made), file.read_bytes())
    except (OSError, FileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot write {folder} ({reason})", "a writable folder") from None
