"""``speechduet ablate``: sweeps over systems and sampler settings."""

import os
from pathlib import Path
from typing import Annotated

import typer

from speechduet.cli.progress import Bars
from speechduet.cli.usage import MOST_THREADS
from speechduet.extras import missing, need
from speechduet.names import shown

_FAILURES_SHOWN = 20


def ablate(
    config: Annotated[Path, typer.Option(help="The ablation's file (YAML); see recipes/ablation.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Results, tables and figures.",
            show_default="runs/ablation/NAME of the file",
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="Change one setting: section.key=value. May be given several times."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "cpu",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_THREADS,
            help="Processes, each with one thread and one recording at a time.",
            show_default="one per processor",
        ),
    ] = None,
) -> None:
    """Measure systems under many sampler settings, pick on validation, report on test.

    The report goes to stdout. What is measured is kept in the folder: the same command started
    again goes on after whatever stopped it, and measures only what is new.
    """
    try:
        from speechduet.study.run import run
        from speechduet.study.settings import read_ablation
    except ImportError as error:
        raise missing(error, "lightning", "train,evaluation") from None
    need("pesq", "pystoi", "matplotlib")
    ablation = read_ablation(config, override or [])
    place = folder or Path("runs") / "ablation" / config.stem
    with Bars() as bars:
        outcome = run(
            *(ablation, place, jobs or os.cpu_count() or 1, device),
            lambda name: bars.bar(name, "trajectories"),
        )
    typer.echo(outcome.text, nl=False)
    typer.echo(shown(f"tables and figures are in {place}"), err=True)
    for failure in outcome.failures[:_FAILURES_SHOWN]:
        typer.echo(shown(f"failed: {failure}"), err=True)
    if more := len(outcome.failures[_FAILURES_SHOWN:]):
        typer.echo(f"and {more} more failures", err=True)
    if outcome.failures:
        raise typer.Exit(1)
