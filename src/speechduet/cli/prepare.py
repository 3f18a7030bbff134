"""``speechduet prepare``: data sets on disk, ready to train on and to be scored on."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import DownloadColumn

from speechduet.cli.progress import Advance, Bars, track
from speechduet.cli.usage import (
    HIGHEST_HZ,
    LARGEST,
    MOST_THREADS,
    Command,
    check_apart,
)
from speechduet.errors import SettingError
from speechduet.names import shown
from speechduet.seed import MOST_SEED

if TYPE_CHECKING:
    from speechduet.data.preparation import Task

app = typer.Typer(
    help="Make data sets: checked pairs of clean and noisy recordings at one sample rate.",
    no_args_is_help=True,
)

_FAILURES_SHOWN = 20
_MOST_DB = 200

Output = Annotated[
    Path, typer.Option("-o", "--output", file_okay=False, help="Folder of the set to make.")
]
Rate = Annotated[int, typer.Option(min=1000, max=HIGHEST_HZ, help="Sample rate of the set in Hz.")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST_THREADS, help="Pairs to work on at once.", show_default="one per processor"
    ),
]


@app.command(cls=Command)
def voicebank(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder with the published archives (zip), or with what they unpack to.",
            show_default=False,
        ),
    ],
    output: Output,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the archives that are missing first.")
    ] = False,
    sample_rate: Rate = 16_000,
    valid_speakers: Annotated[
        str, typer.Option(help="Speakers of the training archives that are for validation.")
    ] = "p226,p287",
    expect_train: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Pairs that the training archives must hold.")
    ] = 11_572,
    expect_test: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Pairs that the test archives must hold.")
    ] = 824,
    jobs: Jobs = None,
) -> None:
    """VoiceBank-DEMAND: train, valid and test, each with the folders clean and noisy.

    Stopped and started again, it goes on where it was. The archives are only read.
    """
    from speechduet.data import voicebank as published

    check_apart(_filled(output, ("train", "valid", "test")), [source])
    speakers = tuple(speaker.strip() for speaker in valid_speakers.split(","))
    release = published.Release(expect_train, expect_test, speakers)
    if download:
        _download(source)
    tasks = published.tasks(source, release, sample_rate)
    settings = {"set": "voicebank", "valid_speakers": release.valid_speakers}
    _make(tasks, output, sample_rate, settings, jobs)
    transcripts = published.copy_transcripts(source, output, release)
    if transcripts:
        typer.echo(f"{transcripts} transcripts copied as they are", err=True)


@app.command(cls=Command)
def pairs(
    clean: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of clean recordings.")
    ],
    noisy: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of noisy recordings.")
    ],
    output: Output,
    sample_rate: Rate = 16_000,
    jobs: Jobs = None,
) -> None:
    """Any two folders with recordings of the same names: checked, resampled, listed.

    Of several channels the first with clean sound is taken. Floats stay floats, and 24 bits stay
    24; what goes beyond full scale is turned down, clean and noisy alike.
    """
    from speechduet.data.pairs import from_folders
    from speechduet.data.preparation import Task
    from speechduet.data.sources import read_pair

    check_apart(_filled(output), (clean, noisy))
    tasks = [
        Task(pair.name, partial(read_pair, pair.clean.path, pair.noisy.path, sample_rate))
        for pair in from_folders(clean, noisy)
    ]
    described = {"set": "pairs", "clean": str(clean.resolve()), "noisy": str(noisy.resolve())}
    _make(tasks, output, sample_rate, described, jobs)


@app.command(cls=Command)
def mix(
    speech: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of clean speech.")
    ],
    noise: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of noise.")],
    output: Output,
    snr: Annotated[
        str, typer.Option(help="Ratios of speech to noise in dB, each as frequent as the others.")
    ] = "0,5,10,15",
    count: Annotated[
        int | None,
        typer.Option(
            min=1, max=LARGEST, help="Mixtures to make.", show_default="one per speech recording"
        ),
    ] = None,
    rooms: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of room impulse responses."),
    ] = None,
    simulate_rooms: Annotated[
        int,
        typer.Option(min=0, max=LARGEST, help="Rooms to simulate instead (needs pyroomacoustics)."),
    ] = 0,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Another one makes another set.")
    ] = 0,
    sample_rate: Rate = 16_000,
    jobs: Jobs = None,
) -> None:
    """Mixtures of speech and noise at stated ratios; the same again for the same seed.

    The ratio is that of the levels of speech (without its pauses) and noise. In a room the clean
    recording keeps what arrives within 50 ms of the direct sound.
    """
    from speechduet.data import mixture_set
    from speechduet.data.rooms import simulate

    if rooms and simulate_rooms:
        raise SettingError("both --rooms and --simulate-rooms are given", "one of them")
    settings = mixture_set.MixtureSet(_numbers(snr), count or 0, seed, sample_rate)
    filled = [*_filled(output), *([output / "rooms"] if simulate_rooms else [])]
    check_apart(filled, [speech, noise, *([rooms] if rooms else [])])
    if simulate_rooms:
        rooms = output / "rooms"
        simulate(rooms, simulate_rooms, seed, sample_rate)
    tasks = mixture_set.tasks(speech, noise, settings, rooms)
    described = {"set": "mix", **asdict(settings), "mixtures": [task.details for task in tasks]}
    _make(tasks, output, sample_rate, described, jobs)


def _filled(output: Path, splits: Iterable[str] = ("",)) -> list[Path]:
    """The folders of recordings that a set consists of."""
    return [output / split / role for split in splits for role in ("clean", "noisy")]


def _make(
    tasks: Sequence["Task"],
    output: Path,
    sample_rate: int,
    settings: Mapping[str, Any],
    jobs: int | None,
) -> None:
    from speechduet.data.preparation import FailedTask, Prepared, finish, prepare

    made = prepare(tasks, output, sample_rate, settings, jobs or os.cpu_count() or 1)
    outcomes = list(track(made, "Preparing", "pairs", len(tasks)))
    failed = [outcome for outcome in outcomes if isinstance(outcome, FailedTask)]
    for failure in failed[:_FAILURES_SHOWN]:
        typer.echo(shown(f"failed: {failure.name}: {failure.error}"), err=True)
    if failed:
        typer.echo(
            f"{len(failed)} of {len(tasks)} pairs failed; the set is not listed before all are "
            "made: mend them and run this again",
            err=True,
        )
        raise typer.Exit(1)
    prepared = [outcome for outcome in outcomes if isinstance(outcome, Prepared)]
    noted = [f"{pair.task.name}: {pair.note}" for pair in prepared if pair.note]
    for note in noted[:_FAILURES_SHOWN]:
        typer.echo(f"note: {note}", err=True)
    if more := len(noted[_FAILURES_SHOWN:]):
        typer.echo(f"and {more} more pairs with notes", err=True)
    finish(output, prepared)
    splits = sorted({pair.task.split for pair in prepared})
    for split in splits:
        lengths = [pair.samples for pair in prepared if pair.task.split == split]
        hours = sum(lengths) / sample_rate / 3600
        typer.echo(shown(f"{output / split}: {len(lengths)} pairs, {hours:.2f} h"), err=True)


def _download(source: Path) -> None:
    from speechduet.data.voicebank import download

    with Bars(DownloadColumn()) as bars:
        advances: dict[str, Advance] = {}

        def advance(name: str, held: int, whole: int) -> None:
            if name not in advances:
                advances[name] = bars.bar(name, "bytes")
            advances[name](held, whole)

        download(source, advance)


def _numbers(text: str) -> tuple[float, ...]:
    with suppress(ValueError):
        numbers = tuple(float(number) for number in text.split(","))
        if all(abs(number) <= _MOST_DB for number in numbers):  # nan is not
            return numbers
    raise SettingError(
        f"--snr is {text!r}", f"numbers from -{_MOST_DB} to {_MOST_DB} with commas, such as 0,5,10"
    )
