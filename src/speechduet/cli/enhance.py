"""``speechduet enhance``: files, folders, globs and streams."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from speechduet.backend import BackendName, BackendPrecision
from speechduet.backend.allocator import keep_freed_memory
from speechduet.cli import options
from speechduet.cli.batch import enhance_files
from speechduet.cli.models import list_models as show_models
from speechduet.cli.pipe import concerns_stream, enhance_stream
from speechduet.cli.usage import check_output
from speechduet.errors import SettingError

if TYPE_CHECKING:
    from speechduet.enhancement.enhancer import Enhancer


@options.with_sampler_settings
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
    plot: options.Plot = False,
    track: options.Track = None,
    salvage: options.Salvage = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    latency: options.Latency = None,
    live: options.Live = None,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    precision: options.Arithmetic = "auto",
    threads: options.Threads = None,
    workers: options.Workers = 1,
    batch_size: options.BatchSize = None,
    segment: options.Segment = 16.0,
    *,
    expert: options.Expert,
) -> None:
    """Enhance recordings; rate, channels, length and level stay as they are.

    Existing results are skipped, so that an interrupted batch resumes where it was. WAV that is
    piped from stdin to stdout is enhanced while it comes.
    """
    if list_models:
        show_models()
        return
    if not inputs:
        raise typer.BadParameter("give at least one recording", param_hint="INPUTS")
    if output is None:
        raise typer.BadParameter("say where results go", param_hint="'-o' / '--output'")
    check_output(confidence)
    request: dict[str, Any] = {"mode": mode, "strength": strength, "seed": seed, **expert}
    request |= {"confidence": confidence, "track": track, "salvage": salvage}
    threads = threads_each(workers) if threads is None else threads
    load = partial(load_enhancer, model, device, threads, segment, batch_size, backend, precision)
    keep_freed_memory()
    if concerns_stream(inputs, output):
        if plot:
            raise SettingError("a picture of a stream", "files", "speechduet plot draws them later")
        failures = enhance_stream(
            *(inputs, output, container, overwrite, latency, live, load, request, verbose),
            quiet=quiet,
        )
    elif latency is not None or live is not None:
        found = "a live source" if latency is None else "a latency"
        raise SettingError(f"{found} for files", "a stream: speechduet enhance - -o -")
    else:
        failures = enhance_files(
            *(inputs, output, container, overwrite, workers, load, request, verbose),
            plot=plot,
            quiet=quiet,
        )
    if failures:
        raise typer.Exit(1)


def load_enhancer(
    model: str | None,
    device: str,
    threads: int | None,
    segment_s: float,
    batch_size: int | None,
    backend: BackendName,
    precision: BackendPrecision,
) -> "Enhancer":
    """The enhancer that these options describe."""
    # PyTorch takes seconds to import: not before there is something to enhance.
    import torch

    from speechduet.enhancement.enhancer import Enhancer

    if threads is not None:
        torch.set_num_threads(threads)  # before there are workers, who then have it as well
    return Enhancer.from_pretrained(
        model, device, threads, segment_s, batch_size, backend, precision
    )


def threads_each(workers: int) -> int | None:
    """Threads for each worker so that together they fill the cores; None leaves it to PyTorch."""
    if workers == 1:
        return None
    # On Linux a process may be confined to some of the cores.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // workers)
