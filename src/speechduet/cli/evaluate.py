"""``speechduet evaluate``: score folders of enhanced recordings."""

import csv
import io
import json
import os
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from speechduet.audio.folders import is_folder
from speechduet.cli.usage import MOST_THREADS, check_output
from speechduet.errors import SettingError
from speechduet.evaluation import (
    FURTHER,
    Condition,
    Dnsmos,
    Evaluation,
    Failure,
    Manifest,
    Metric,
    Pair,
    evaluate_pairs,
    pair_up,
    phoneme_scores,
    word_scores,
)
from speechduet.evaluation.page import to_html
from speechduet.evaluation.report import Report, to_markdown
from speechduet.files.atomic import write_together
from speechduet.names import shown, utf8


class _Further(Enum):
    """The names of FURTHER, for a list of Literals is more than typer understands."""

    STOI = "stoi"
    LSD = "lsd"
    PESQ_NB = "pesq_nb"


def evaluate(
    clean: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of clean references.")
    ],
    enhanced: Annotated[
        list[str],
        typer.Option(
            metavar="[NAME=]DIR",
            help="Folder of what is to be scored. Several, each with an option of its own, are "
            "compared with one another.",
        ),
    ],
    noisy: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder of noisy inputs, for SI-SIR and SI-SAR."
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV file with the columns file, snr_db and noise, for means by each of these.",
        ),
    ] = None,
    metric: Annotated[
        list[_Further] | None,
        typer.Option(help="A metric to add; may be repeated."),
    ] = None,
    dnsmos: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="sig_bak_ovr.onnx, to add DNSMOS P.835 by it."
        ),
    ] = None,
    recogniser: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="A function of yours that turns samples and sample rate (16000) into words, to "
            "add the word error rate by it.",
        ),
    ] = None,
    phoneme_recogniser: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="The same for phonemes with spaces between, to add the phoneme similarity.",
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the scores of every file here.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write summary, files and failures here.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write all tables (.md), with figures and examples (.html), here."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_THREADS,
            help="Processes to score with.",
            show_default="one per processor",
        ),
    ] = None,
) -> None:
    """Score enhanced recordings against clean ones: PESQ, ESTOI, SI-SDR, with 95 % intervals.

    Recordings belong together if their paths within the folders are equal but for the suffix.
    Means go to stdout; a file that cannot be scored is named, left out of them, and makes the
    exit status 1.
    """
    if report is not None and report.suffix not in (".md", ".html"):
        raise typer.BadParameter(
            f"{report.name} is neither Markdown (.md) nor a page (.html)", param_hint="report"
        )
    for written in (csv_file, json_file, report):
        check_output(written)
    paired = {name: pair_up(clean, folder, noisy) for name, folder in _folders(enhanced).items()}
    for name, (pairs, unpaired) in paired.items():
        if not pairs and not unpaired:
            raise typer.BadParameter(f"no recordings in {clean} and {name}", param_hint="clean")
    conditions = _manifest(manifest, [pair for pairs, _ in paired.values() for pair in pairs])
    further: dict[str, Metric] = {name.value: FURTHER[name.value] for name in metric or ()}
    if dnsmos is not None:
        further["dnsmos"] = Dnsmos(dnsmos)
    if recogniser is not None:
        further["words"] = partial(word_scores, recogniser=recogniser)
    if phoneme_recogniser is not None:
        further["phonemes"] = partial(phoneme_scores, recogniser=phoneme_recogniser)
    measured = Report(
        _score(paired, jobs or os.cpu_count() or 1, further),
        {name: {pair.name: pair for pair in pairs} for name, (pairs, _) in paired.items()},
        conditions,
    )
    texts: dict[Path, str] = {}
    if csv_file is not None:
        texts[csv_file] = _csv(measured)
    if json_file is not None:
        texts[json_file] = json.dumps(measured.to_json(), indent=1, allow_nan=False) + "\n"
    if report is not None:
        texts[report] = (to_html if report.suffix == ".html" else to_markdown)(measured)
    write_together(texts)
    if any(evaluation.files for evaluation in measured.systems.values()):
        typer.echo(utf8(measured.terminal()), nl=False)
    for failure in measured.failures():
        typer.echo(shown(f"failed: {failure}"), err=True)
    if measured.failures():
        raise typer.Exit(1)


def _folders(enhanced: list[str]) -> dict[str, Path]:
    """Folders by the names of their systems; a folder without a name is its own."""
    folders: dict[str, Path] = {}
    for told in enhanced:
        name, equals, place = told.partition("=")
        if not equals or is_folder(Path(told)):  # a folder may have = in its name
            name, place = Path(told).resolve().name, told
        if not is_folder(Path(place)):
            raise typer.BadParameter(f"{place} is not a folder", param_hint="enhanced")
        if not name or name in folders:
            raise typer.BadParameter(
                f"{told} would be {name or 'without a name'!r}; give each system a name of its "
                "own with NAME=DIR",
                param_hint="enhanced",
            )
        folders[name] = Path(place)
    return folders


def _manifest(path: Path | None, pairs: list[Pair]) -> Manifest | None:
    """The manifest, looked into before anything is scored."""
    if path is None:
        return None
    manifest = Manifest(path)
    if pairs and {manifest[pair.name] for pair in pairs} == {Condition()}:
        raise SettingError(
            f"{path} tells nothing about {pairs[0].name} or any other recording",
            "their names, without or with suffix and folders",
        )
    return manifest


def _score(
    paired: dict[str, tuple[list[Pair], list[Failure]]], jobs: int, further: dict[str, Metric]
) -> dict[str, Evaluation]:
    """Each system's evaluation, with a progress bar on stderr for each."""
    console = Console(stderr=True)
    systems = {}
    for name, (pairs, unpaired) in paired.items():
        told = "Scoring" if len(paired) == 1 else f"Scoring {escape(shown(name))}"
        outcomes = evaluate_pairs(pairs, jobs, further)
        watched = track(outcomes, told, total=len(pairs), console=console, transient=True)
        systems[name] = Evaluation.of([*unpaired, *watched])
    return systems


def _csv(report: Report) -> str:
    """A line per file, under a header; with several systems, each line begins with its name."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    several = len(report.systems) > 1
    table.writerow([*(["system"] if several else []), "file", *report.columns()])
    for name, evaluation in report.systems.items():
        for scores in evaluation.files:
            values = scores.row().values()
            table.writerow([*([name] if several else []), scores.file, *values])
    return text.getvalue()
