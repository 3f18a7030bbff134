"""What a short latency costs: the live mode against whole files, on the validation pairs.

    python benchmarks/live_latency.py --threads 1 --json benchmarks/results/live_latency.json

streams every noisy recording of the validation set in blocks of 20 ms through the fast mode at
each latency and scores what comes out. The test sets are never touched here.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import torch
import typer
from rich.console import Console
from rich.progress import track

from speechduet import Enhancer, metrics
from speechduet.audio import Samples

ROOT = Path(__file__).parents[1]
BLOCK_S = 0.02
LATENCIES_S = (0.032, 0.064, 0.1, 0.2, 0.3, 0.5, 1.0, 2.4)

Pair = tuple[Samples, Samples, int]
Way = Callable[[Samples, int], Samples]


@dataclass(frozen=True)
class Row:
    """One way to enhance: mean scores, and what it takes."""

    way: str
    lookahead_s: float | None
    hop_s: float | None
    context_s: float | None
    evaluated: float
    """Seconds of sound that the network sees for each second of sound."""
    pesq: float
    estoi: float
    si_sdr: float
    real_time_factor: float


def streamed(enhancer: Enhancer, latency_s: float) -> Way:
    """Enhancement of one channel block by block."""

    def enhance(noisy: Samples, sample_rate: int) -> Samples:
        live = enhancer.live(sample_rate, 1, latency_s)
        size = round(BLOCK_S * sample_rate)
        blocks = [noisy[first : first + size] for first in range(0, len(noisy), size)]
        out: Samples = np.concatenate([*(live.process(block) for block in blocks), live.finish()])
        return out

    return enhance


def measure(way: Way, pairs: list[Pair]) -> dict[str, float]:
    """Mean PESQ, ESTOI and SI-SDR over the pairs, and the real-time factor."""
    scores, taken_s, whole_s = [], 0.0, 0.0
    for clean, noisy, rate in pairs:
        begun = time.perf_counter()
        enhanced = way(noisy, rate)
        taken_s += time.perf_counter() - begun
        whole_s += len(noisy) / rate
        scores.append(
            [
                metrics.pesq(enhanced, clean, rate),
                metrics.estoi(enhanced, clean, rate),
                metrics.si_sdr(enhanced, clean),
            ]
        )
    pesq, estoi, si_sdr = np.mean(scores, axis=0).tolist()
    factor = taken_s / whole_s
    return {"pesq": pesq, "estoi": estoi, "si_sdr": si_sdr, "real_time_factor": factor}


def live_row(enhancer: Enhancer, latency_s: float, pairs: list[Pair]) -> Row:
    """The live mode at a latency."""
    frame_s = enhancer.spectrogram.hop / enhancer.spectrogram.sample_rate
    live = enhancer.live(enhancer.spectrogram.sample_rate, 1, latency_s)
    context, hop, lookahead = (frame_s * part for part in live.window)
    measured = measure(streamed(enhancer, latency_s), pairs)
    evaluated = (context + hop + lookahead) / hop
    return Row(f"{live.latency_s:.3f} s", lookahead, hop, context, evaluated, **measured)


def line(row: Row) -> str:
    """A line of the Markdown table."""

    def told(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    cells = [row.way, told(row.lookahead_s, 3), told(row.hop_s, 3), told(row.context_s, 2)]
    cells += [told(row.evaluated, 1), told(row.pesq, 3), told(row.estoi, 4), told(row.si_sdr, 2)]
    return "| " + " | ".join([*cells, told(row.real_time_factor, 3)]) + " |"


def main(
    latencies: Annotated[str, typer.Option(help="Seconds, separated by commas.")] = ",".join(
        map(str, LATENCIES_S)
    ),
    model: Annotated[str | None, typer.Option(help="Default: the bundled model.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch.")] = None,
    valid: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder with clean/ and noisy/.")
    ] = ROOT.parent / "shared" / "corpus" / "valid",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Compare latencies of the live mode on the validation set."""
    if threads is not None:
        torch.set_num_threads(threads)
    enhancer = Enhancer.from_pretrained(model, device="cpu")
    pairs: list[Pair] = []
    for path in sorted((valid / "clean").iterdir()):
        clean, rate = soundfile.read(path, dtype="float32")
        noisy, _ = soundfile.read(valid / "noisy" / path.name, dtype="float32")
        pairs.append((clean, noisy, rate))
    noisy_scores = measure(lambda noisy, rate: noisy, pairs) | {"real_time_factor": 0.0}
    whole_scores = measure(lambda noisy, rate: enhancer(noisy, rate, "fast"), pairs)
    rows = [
        Row("noisy", None, None, None, 0.0, **noisy_scores),
        Row("whole file", None, None, None, 1.0, **whole_scores),
    ]
    wanted = [float(latency) for latency in latencies.split(",")]
    for latency_s in track(wanted, "latencies", console=Console(stderr=True)):
        rows.append(live_row(enhancer, latency_s, pairs))
    typer.echo(
        "| latency | look-ahead (s) | hop (s) | context (s) | evaluated | PESQ-WB | ESTOI "
        "| SI-SDR (dB) | real-time factor |\n|---|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        typer.echo(line(row))
    if json_file is not None:
        told = {
            "model": enhancer.pretrained.name,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "rows": [asdict(row) for row in rows],
        }
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
