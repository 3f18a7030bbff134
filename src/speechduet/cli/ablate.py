"""``speechduet ablate``: sweeps over systems and sampler settings."""

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from speechduet.cli.usage import MOST_THREADS
from speechduet.extras import missing
from speechduet.names import shown

_FAILURES_TOLD = 20


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
    ablation = read_ablation(config, override or [])
    place = folder or Path("runs") / "ablation" / config.stem
    with _Bars() as bars:
        outcome = run(ablation, place, jobs or os.cpu_count() or 1, device, bars.watch)
    typer.echo(outcome.text, nl=False)
    typer.echo(shown(f"tables and figures are in {place}"), err=True)
    for failure in outcome.failures[:_FAILURES_TOLD]:
        typer.echo(shown(f"failed: {failure}"), err=True)
    if more := len(outcome.failures[_FAILURES_TOLD:]):
        typer.echo(f"and {more} more failures", err=True)
    if outcome.failures:
        raise typer.Exit(1)


class _Bars:
    """A bar for each set on a terminal; a line for every tenth where stderr is a file."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def watch(self, name: str) -> Callable[[int, int], None]:
        """What is told how much of a set is done."""
        bar = self._progress.add_task(f"Measuring on {name}", total=None)

        def told(done: int, whole: int) -> None:
            self._progress.update(bar, completed=done, total=whole)
            tenth = -(-whole // 10)
            if not self._console.is_terminal and whole and (done % tenth == 0 or done == whole):
                typer.echo(f"{name}: {done} of {whole} trajectories", err=True)

        return told
