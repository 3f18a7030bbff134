"""``speechduet enhance``: files, folders, globs and streams."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from speechduet.cli import options
from speechduet.cli.progress import Report
from speechduet.errors import AudioError, SettingError

if TYPE_CHECKING:
    from speechduet.enhancer import Enhancer

STREAM = "-"


def enhance(
    inputs: options.Inputs = None,
    output: options.Output = None,
    model: options.Model = None,
    list_models: options.ListModels = False,
    mode: options.Mode = "balanced",
    strength: options.Strength = 1.0,
    seed: options.Seed = 0,
    container: options.Format = None,
    overwrite: options.Overwrite = False,
    confidence: options.Confidence = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    batch_size: options.BatchSize = None,
    segment: options.Segment = 16.0,
    steps: options.Steps = None,
    grid: options.Grid = None,
    alpha: options.Alpha = None,
    beta: options.Beta = None,
    predictor: options.Predictor = None,
    corrector_steps: options.CorrectorSteps = None,
    start: options.Start = None,
    start_from: options.StartFrom = None,
) -> None:
    """Enhance recordings; rate, channels, length and level stay as they are.

    Existing results are skipped, so that an interrupted batch resumes where it was.
    """
    if list_models:
        _list_models()
        return
    if not inputs:
        raise typer.BadParameter("give at least one recording", param_hint="INPUTS")
    if output is None:
        raise typer.BadParameter("say where results go", param_hint="'-o' / '--output'")
    expert = {
        "steps": steps,
        "grid": grid,
        "alpha": alpha,
        "beta": beta,
        "predictor": predictor,
        "corrector_steps": corrector_steps,
        "start": start,
        "start_from": start_from,
    }
    request = {
        "mode": mode,
        "strength": strength,
        "seed": seed,
        "confidence": confidence,
        **{name: value for name, value in expert.items() if value is not None},
    }

    def load() -> "Enhancer":
        from speechduet.enhancer import Enhancer

        return Enhancer.from_pretrained(model, device, threads, segment, batch_size)

    if STREAM in (output, *inputs):
        failures = _enhance_stream(inputs, output, container, overwrite, load, request)
    else:
        failures = _enhance_files(inputs, output, container, overwrite, load, request)
    if failures:
        raise typer.Exit(1)


def _list_models() -> None:
    from speechduet.checkpoint import bundled

    for name in bundled():
        typer.echo(name)


def _enhance_stream(
    inputs: list[str],
    output: str,
    container: str | None,
    overwrite: bool,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
) -> int:
    """Enhance from stdin or to stdout, by way of temporary files; return the number of failures."""
    if len(inputs) > 1:
        raise SettingError(f"a stream (-) among {len(inputs)} inputs", "one input or output")
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "stdin"), Path(folder, f"stdout.{container or 'wav'}")
        if inputs == [STREAM]:
            with source.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            inputs = [str(source)]
        place = str(target) if output == STREAM else output
        failures = _enhance_files(inputs, place, container, overwrite, load, request)
        if output == STREAM and not failures:
            with target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    return failures


def _enhance_files(
    inputs: list[str],
    output: str,
    container: str | None,
    overwrite: bool,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
) -> int:
    """Enhance what there is to enhance; return the number of failures."""
    # PyTorch, behind these imports, takes seconds to load: not before the usage is known good.
    from speechduet.cli.targets import find_jobs

    jobs, failures = find_jobs(inputs, output, container)
    if request["confidence"] is not None and len(jobs) > 1:
        raise SettingError(f"a confidence map of {len(jobs)} recordings", "one recording")
    enhancer = None
    with Report(len(jobs)) as report:
        for failure in failures:
            report.failed(failure)
        for job in jobs:
            if job.target.exists() and not overwrite:
                report.skipped()
                continue
            from speechduet.files import enhance_file

            enhancer = enhancer or load()
            report.begin(job.source)
            try:
                duration_s = enhance_file(
                    job.source, job.target, enhancer, progress=report.advance, **request
                )
            except AudioError as error:
                report.failed(error)
            else:
                report.finished(duration_s)
    return report.failures
