"""``speechduet evaluate``: score a folder of enhanced recordings."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from speechduet import audio
from speechduet.errors import AudioError
from speechduet.evaluation import Evaluation, Scores, evaluate_pairs, pair_up

_TITLES = {
    "pesq": "PESQ",
    "estoi": "ESTOI",
    "si_sdr": "SI-SDR (dB)",
    "si_sir": "SI-SIR (dB)",
    "si_sar": "SI-SAR (dB)",
}


def evaluate(
    clean: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of clean references.")
    ],
    enhanced: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of what is to be scored.")
    ],
    noisy: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder of noisy inputs, for SI-SIR and SI-SAR."
        ),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the scores of every file here.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write summary, files and failures here.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write tables of summary and files here (.md).")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes to score with.", show_default="one per processor"),
    ] = None,
) -> None:
    """Score enhanced recordings against clean ones: PESQ, ESTOI, SI-SDR, with 95 % intervals.

    Recordings belong together if their paths within the folders are equal but for the suffix.
    Means go to stdout; a file that cannot be scored is named, left out of them, and makes the
    exit status 1.
    """
    if report is not None and report.suffix != ".md":
        raise typer.BadParameter(f"{report.name} is not a Markdown file (.md)", param_hint="report")
    pairs, unpaired = pair_up(clean, enhanced, noisy)
    if not pairs and not unpaired:
        raise typer.BadParameter(f"no recordings in {clean} and {enhanced}", param_hint="clean")
    console = Console(stderr=True)
    outcomes = evaluate_pairs(pairs, jobs or os.cpu_count() or 1)
    evaluation = Evaluation.of(
        [*unpaired, *track(outcomes, "Scoring", total=len(pairs), console=console, transient=True)]
    )
    for path, text in (
        (csv_file, _csv(evaluation)),
        (json_file, json.dumps(evaluation.to_json(), indent=1, allow_nan=False) + "\n"),
        (report, _report(evaluation)),
    ):
        if path is not None:
            _write(path, text)
    if evaluation.files:
        typer.echo(summary_table(evaluation), nl=False)
    for failure in evaluation.failed:
        typer.echo(f"failed: {failure.file}: {failure.error}", err=True)
    if evaluation.failed:
        raise typer.Exit(1)


def summary_table(evaluation: Evaluation) -> str:
    """Mean and interval of each metric, as a Markdown table."""
    lines = ["| metric | mean | 95 % interval | files |", "|---|---|---|---|"]
    for name, interval in evaluation.summary().items():
        if interval is not None:
            digits = 2 if name.startswith("si_") else 3
            low, mean, high = (
                f"{value:.{digits}f}" for value in (interval.low, interval.mean, interval.high)
            )
            lines.append(f"| {_TITLES[name]} | {mean} | {low} to {high} | {interval.n} |")
    return "\n".join(lines) + "\n"


def _report(evaluation: Evaluation) -> str:
    lines = ["# Evaluation", "", summary_table(evaluation)]
    lines += [f"| file | {' | '.join(_TITLES.values())} |", "|---" * (1 + len(_TITLES)) + "|"]
    for file, *scores in evaluation.files:
        cells = ["–" if score is None else f"{score:.3f}" for score in scores]
        lines.append(f"| {file} | {' | '.join(cells)} |")
    if evaluation.failed:
        lines += ["", "Failed, and not in the means:", ""]
        lines += [f"- {failure.file}: {failure.error}" for failure in evaluation.failed]
    return "\n".join(lines) + "\n"


def _csv(evaluation: Evaluation) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Scores._fields)
    table.writerows(evaluation.files)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with audio.replacing(path) as partial:
        try:
            partial.write_text(text, encoding="utf-8")
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror}") from error
