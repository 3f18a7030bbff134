"""The table of README and model card: quality and speed of a model on the real recordings.

    python benchmarks/corpus_table.py --set test --set vbdmd_subset --json out/table.json

enhances every noisy recording of a set in each mode and with each seed, one after the other and
as ``speechduet enhance`` would (the audio stays in the folder --audio), then scores the files.
Scores are averaged over seeds per file; the 95 % interval is the bootstrap's over files. The
real-time factor is processing time, reading and writing included, over duration.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track

from speechduet import Enhancer, enhance_file
from speechduet.errors import SpeechduetError
from speechduet.evaluation import Interval, ScoredPair, Scores, bootstrap, evaluate_pairs, pair_up

ROOT = Path(__file__).parents[1]
METRICS = {"pesq": ("PESQ-WB", 3), "estoi": ("ESTOI", 3), "si_sdr": ("SI-SDR (dB)", 2)}


class Set(str, Enum):
    """A part of the corpus with clean and noisy recordings."""

    valid = "valid"
    test = "test"
    vbdmd_subset = "vbdmd_subset"


@dataclass(frozen=True)
class Row:
    """One line of the table; no evaluations and no speed for the noisy input."""

    set: str
    files: int
    mode: str
    evaluations: int | None
    scores: dict[str, Interval]
    real_time_factor: float | None

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return vars(self) | {
            "scores": {name: interval.to_json() for name, interval in self.scores.items()}
        }


def noisy_pairs(corpus: Path, chosen: Set) -> list[ScoredPair]:
    """The pairs of a set with the noisy recordings in the place of the enhanced."""
    folder = corpus / chosen.value
    pairs, failed = pair_up(folder / "clean", folder / "noisy")
    if failed or not pairs:
        told = ", ".join(f"{failure.file}: {failure.error}" for failure in failed)
        raise SpeechduetError(f"{folder}: {told or 'no recordings'}", "clean/ and noisy/")
    if chosen is Set.vbdmd_subset:
        # p287 is a training speaker of VoiceBank-DEMAND.
        pairs = [pair for pair in pairs if pair.name.startswith(("p232", "p257"))]
    return pairs


def mean_scores(runs: list[list[ScoredPair]], jobs: int) -> dict[str, Interval]:
    """Mean and interval over files of scores averaged over runs of the same files."""
    scored: list[Scores] = []
    for outcome in evaluate_pairs([pair for run in runs for pair in run], jobs):
        if not isinstance(outcome, Scores):
            raise SpeechduetError(f"{outcome.file}: {outcome.error}")
        scored.append(outcome)
    return {
        name: bootstrap(
            np.reshape([getattr(scores, name) for scores in scored], (len(runs), -1)).mean(axis=0)
        )
        for name in METRICS
    }


def rows(
    name: str,
    pairs: list[ScoredPair],
    enhancer: Enhancer,
    modes: list[str],
    seeds: int,
    jobs: int,
    audio: Path,
) -> Iterator[Row]:
    """The noisy input's row and one for each mode."""
    yield Row(name, len(pairs), "noisy", None, mean_scores([pairs], jobs), None)
    console = Console(stderr=True)
    # PyTorch takes its time over a first call; it is not the model's.
    enhancer(torch.randn(16_000), 16_000, modes[0])
    for mode in modes:
        runs: list[list[ScoredPair]] = []
        taken_s = duration_s = 0.0
        for seed in range(seeds):
            folder = audio / name / mode / f"seed_{seed}"
            runs.append([])
            title = f"{name} {mode} {seed + 1}/{seeds}"
            for pair in track(pairs, title, console=console, transient=True):
                target = folder / f"{pair.name}.flac"
                start = time.perf_counter()
                duration_s += enhance_file(pair.enhanced, target, enhancer, mode, seed=seed)
                taken_s += time.perf_counter() - start
                runs[-1].append(pair._replace(enhanced=target))
        evaluations = enhancer.sampling(mode).evaluations
        scores, speed = mean_scores(runs, jobs), taken_s / duration_s
        yield Row(name, len(pairs), mode, evaluations, scores, speed)


def table(lines: list[Row]) -> str:
    """The rows in Markdown."""
    titles = ["set", "mode", "NFE", *(title for title, _ in METRICS.values()), "real-time factor"]
    text = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in lines:
        cells = [f"{row.set} ({row.files})", row.mode, str(row.evaluations or "–")]
        for name, (_, digits) in METRICS.items():
            mean, low, high = (f"{value:.{digits}f}" for value in row.scores[name][:3])
            cells.append(f"{mean} [{low}, {high}]")
        cells.append("–" if row.real_time_factor is None else f"{row.real_time_factor:.3f}")
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def processor() -> str:
    """The name of this machine's processor."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(
    sets: Annotated[list[Set], typer.Option("--set", help="May be given several times.")],
    model: Annotated[str | None, typer.Option(help="Default: the bundled model.")] = None,
    modes: Annotated[str, typer.Option(help="Modes, with commas.")] = "fast,balanced,best",
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds to average over.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to score with.")] = os.cpu_count()
    or 1,
    corpus: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of the corpus.")
    ] = ROOT.parent / "shared" / "corpus",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
    audio: Annotated[Path, typer.Option(help="Enhanced audio.")] = ROOT / "out" / "corpus_table",
) -> None:
    """Measure a model on parts of the corpus and print a Markdown table."""
    try:
        enhancer = Enhancer.from_pretrained(model, device="cpu", threads=threads)
        lines: list[Row] = []
        for chosen in sets:
            pairs = noisy_pairs(corpus, chosen)
            lines += rows(chosen.value, pairs, enhancer, modes.split(","), seeds, jobs, audio)
    except SpeechduetError as error:
        sys.exit(f"corpus_table: {error}")
    measured = {
        "model": enhancer.pretrained.name,
        "hardware": f"{processor()}, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "seeds": seeds,
    }
    typer.echo(table(lines))
    typer.echo("\n" + ", ".join(f"{name} {value}" for name, value in measured.items()))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        told = measured | {"rows": [row.to_json() for row in lines]}
        json_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
