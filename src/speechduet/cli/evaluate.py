"""``speechduet evaluate``: score folders of enhanced recordings."""

import csv
import io
import json
import os
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from speechduet.audio.folders import is_folder
from speechduet.cli.progress import track
from speechduet.cli.usage import MOST_THREADS, check_spared
from speechduet.errors import SettingError
from speechduet.evaluation import (
    FURTHER,
    Condition,
    Dnsmos,
    Evaluation,
    FurtherMetric,
    Manifest,
    ScoredPair,
    UnscoredFile,
    evaluate_pairs,
    pair_up,
    phoneme_scores,
    word_scores,
)
from speechduet.evaluation.page import to_html
from speechduet.evaluation.report import NOISY, Report, to_markdown
from speechduet.extras import need
from speechduet.files.atomic import write_together
from speechduet.names import shown, utf8


class _Further(Enum):
    """The names of FURTHER, for typer does not take a list of Literals."""

    STOI = "stoi"
    LSD = "lsd"
    PESQ_NB = "pesq_nb"
    DNSMOS = "dnsmos"
    CONFIDENCE = "confidence"


class _Work(NamedTuple):
    """How pairs are scored: in this many processes, with these metrics beside the usual ones."""

    jobs: int
    further: dict[str, FurtherMetric]

    def score(
        self, label: str, pairs: list[ScoredPair], unpaired: list[UnscoredFile]
    ) -> Evaluation:
        scored = evaluate_pairs(pairs, self.jobs, self.further)
        return Evaluation.of([*unpaired, *track(scored, label, "files", len(pairs))])


Clean = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="Folder of clean references.")
]
Noisy = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder of noisy inputs, for their own scores beside, and for SI-SIR and SI-SAR.",
    ),
]
Enhanced = Annotated[
    list[str],
    typer.Option(
        metavar="[NAME=]DIR",
        help="Folder of what is to be scored. Several, each with an option of its own, are "
        "compared with one another.",
    ),
]
ManifestFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="CSV file with the columns file, snr_db and noise, for means by each of these.",
    ),
]
DnsmosFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="A sig_bak_ovr.onnx of yours to add DNSMOS P.835 by. --metric dnsmos takes the "
        "published one, which comes with the extra dnsmos.",
    ),
]
WordRecogniser = Annotated[
    str | None,
    typer.Option(
        metavar="pocketsphinx|FILE.py:FUNCTION",
        help="What hears English words, to add the word error rate: pocketsphinx (extra words), "
        "or a function of yours that turns samples and sample rate (16000) into text.",
    ),
]
PhonemeRecogniser = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.py:FUNCTION",
        help="The same for phonemes with spaces between, to add the phoneme similarity.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST_THREADS, help="Processes to score with.", show_default="one per processor"
    ),
]


def evaluate(
    clean: Clean,
    enhanced: Enhanced,
    noisy: Noisy = None,
    manifest: ManifestFile = None,
    metric: Annotated[
        list[_Further] | None, typer.Option(help="A metric to add; may be repeated.")
    ] = None,
    dnsmos: DnsmosFile = None,
    recogniser: WordRecogniser = None,
    phoneme_recogniser: PhonemeRecogniser = None,
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
    jobs: Jobs = None,
) -> None:
    """Score enhanced recordings against clean ones: PESQ, ESTOI, SI-SDR, with 95 % intervals.

    Recordings belong together if their paths within the folders are equal but for the suffix.
    Means go to stdout; a file that cannot be scored is named, left out of them, and makes the
    exit status 1.
    """
    as_page = report is not None and report.suffix.lower() == ".html"
    if report is not None and not as_page and report.suffix.lower() != ".md":
        raise typer.BadParameter(
            f"{report.name} is neither Markdown (.md) nor a page (.html)", param_hint="report"
        )
    if noisy is None and _Further.CONFIDENCE in (metric or ()):
        raise typer.BadParameter(
            "confidence is about what was removed: give --noisy", param_hint="metric"
        )
    need("pesq", "pystoi", *(("jinja2", "matplotlib") if as_page else ()))
    scripts = [Path(name.rpartition(":")[0]) for name in (recogniser, phoneme_recogniser) if name]
    check_spared([csv_file, json_file, report], [manifest, dnsmos, *scripts])
    folders = _folders(enhanced)
    # What the input removed of itself, or added, has no meaning.
    inputs = {name for name, folder in folders.items() if noisy and folder.samefile(noisy)}
    paired = {
        name: _paired(clean, name, folder, None if name in inputs else noisy)
        for name, folder in folders.items()
    }
    conditions = _manifest(manifest, [pair for pairs, _ in paired.values() for pair in pairs])
    work = _Work(
        jobs or os.cpu_count() or 1, _further(metric, dnsmos, recogniser, phoneme_recogniser)
    )
    measured = Report(
        {
            name: work.score("Scoring" if len(paired) == 1 else f"Scoring {name}", *found)
            for name, found in paired.items()
        },
        {name: {pair.name: pair for pair in pairs} for name, (pairs, _) in paired.items()},
        conditions,
    )
    if noisy is not None and not inputs:
        measured = replace(measured, noisy=_noisy(measured, work))
    texts: dict[Path, str] = {}
    if csv_file is not None:
        texts[csv_file] = _csv(measured)
    if json_file is not None:
        texts[json_file] = json.dumps(measured.to_json(), indent=1, allow_nan=False) + "\n"
    if report is not None:
        texts[report] = (to_html if as_page else to_markdown)(measured)
    try:
        write_together(texts)
    finally:  # Where nothing can be written, the means are seen at least.
        if any(evaluation.files for evaluation in measured.systems.values()):
            typer.echo(utf8(measured.terminal()), nl=False)
    for failure in measured.failures():
        typer.echo(shown(f"failed: {failure}"), err=True)
    if measured.failures():
        raise typer.Exit(1)


def _folders(enhanced: list[str]) -> dict[str, Path]:
    """Folders by the names of their systems; a folder without a name is its own."""
    folders: dict[str, Path] = {}
    for argument in enhanced:
        name, equals, place = argument.partition("=")
        if not equals or is_folder(Path(argument)):  # a folder may have = in its name
            name, place = Path(argument).resolve().name, argument
        if not place:
            raise typer.BadParameter(f"{argument} names no folder", param_hint="enhanced")
        if not is_folder(Path(place)):
            raise typer.BadParameter(f"{place} is not a folder", param_hint="enhanced")
        if not name or name in folders:
            raise typer.BadParameter(
                f"{argument} would be {name or 'without a name'!r}; give each system a name of its "
                "own with NAME=DIR",
                param_hint="enhanced",
            )
        folders[name] = Path(place)
    return folders


def _paired(
    clean: Path, name: str, folder: Path, noisy: Path | None
) -> tuple[list[ScoredPair], list[UnscoredFile]]:
    """What belongs together, and what has no partner."""
    pairs, unpaired = pair_up(clean, folder, noisy)
    if not pairs and not unpaired:
        raise typer.BadParameter(f"no recordings in {clean} and {name}", param_hint="clean")
    return pairs, unpaired


def _manifest(path: Path | None, pairs: list[ScoredPair]) -> Manifest | None:
    """The manifest, looked into before anything is scored."""
    if path is None:
        return None
    manifest = Manifest(path)
    if pairs and {manifest[pair.name] for pair in pairs} == {Condition()}:
        raise SettingError(
            f"{path} states nothing about {pairs[0].name} or any other recording",
            "their names, without or with suffix and folders",
        )
    return manifest


def _further(
    metrics: list[_Further] | None,
    dnsmos: Path | None,
    recogniser: str | None,
    phoneme_recogniser: str | None,
) -> dict[str, FurtherMetric]:
    """The metrics that are asked for beside the usual ones."""
    further: dict[str, FurtherMetric] = {name.value: FURTHER[name.value] for name in metrics or ()}
    if dnsmos is not None:
        further["dnsmos"] = Dnsmos(dnsmos)
    if recogniser is not None:
        further["words"] = partial(word_scores, recogniser=recogniser)
    if phoneme_recogniser is not None:
        further["phonemes"] = partial(phoneme_scores, recogniser=phoneme_recogniser)
    return further


def _noisy(report: Report, work: _Work) -> Evaluation:
    """The scores of the noisy input, on the files that some system has scores for."""
    pairs = {}
    for name, evaluation in report.systems.items():
        for scores in evaluation.files:
            pair = report.pairs[name][scores.file]
            assert pair.noisy is not None
            pairs[pair.name] = ScoredPair(pair.name, pair.clean, pair.noisy)
    return work.score(f"Scoring {NOISY}", list(pairs.values()), [])


def _csv(report: Report) -> str:
    """A line per file, under a header; with several systems, each line starts with its name."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    several = len(report.systems) > 1
    table.writerow([*(["system"] if several else []), "file", *report.columns()])
    for name, evaluation in report.systems.items():
        for scores in evaluation.files:
            values = scores.row().values()
            table.writerow([*([name] if several else []), scores.file, *values])
    return text.getvalue()
