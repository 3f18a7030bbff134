"""Where a model's modes come from: sampler settings tried on the validation pairs.

    python benchmarks/choose_modes.py --json out/modes.json

enhances every pair of the validation set with every candidate below and prints them, best first
by the mean of PESQ, ESTOI and SI-SDR gains over the noisy input, each in units of its spread
between candidates. The test sets are never touched here.
"""

import json
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from speechduet import Enhancer, metrics
from speechduet.sampler import Sampling

ROOT = Path(__file__).parents[1]
Scores = NDArray[np.float64]


def candidates() -> list[Sampling]:
    """The settings tried: how many steps, which kind, from where, and with how much fusion."""
    tried = [Sampling(steps=0)]
    for steps, beta in product((1, 2, 5), (1.0, 0.5, 0.1)):
        tried.append(Sampling(steps=steps, predictor="ancestral", corrector_steps=0, beta=beta))
    for steps, start, beta in product((1, 2), (0.1, 0.2, 0.5), (1.0, 0.5, 0.25)):
        truncated = Sampling(steps, "exact", "ancestral", 0, beta=beta, start=start)
        tried.append(replace(truncated, start_from="predictive"))
    fused = Sampling(steps=3, predictor="ancestral", corrector_steps=0, alpha=0.2, beta=0.1)
    tried += [fused, replace(fused, predictor="deterministic"), replace(fused, steps=5)]
    tried.append(Sampling(steps=5, alpha=0.2, beta=0.1))
    return tried


def scores(enhancer: Enhancer, sampling: Sampling, pairs: list[tuple[Path, Path]]) -> Scores:
    """Mean PESQ, ESTOI and SI-SDR over the pairs."""
    values = []
    for clean_path, noisy_path in pairs:
        clean, rate = soundfile.read(clean_path)
        noisy, _ = soundfile.read(noisy_path)
        enhanced = np.asarray(enhancer(noisy, rate, **asdict(sampling), mode="fast"))
        values.append(
            [
                metrics.pesq(enhanced, clean, rate),
                metrics.estoi(enhanced, clean, rate),
                metrics.si_sdr(enhanced, clean),
            ]
        )
    means: Scores = np.mean(values, axis=0)
    return means


def name(sampling: Sampling) -> str:
    """What differs from the defaults."""
    told = asdict(Sampling(predictor="ancestral", corrector_steps=0))
    return ", ".join(f"{k} {v}" for k, v in asdict(sampling).items() if v != told[k])


def main(
    model: Annotated[str | None, typer.Option(help="Default: the bundled model.")] = None,
    valid: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder with clean/ and noisy/.")
    ] = ROOT.parent / "shared" / "corpus" / "valid",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write figures here.")] = None,
) -> None:
    """Try sampler settings on the validation set."""
    enhancer = Enhancer.from_pretrained(model, device="cpu")
    pairs = [(path, valid / "noisy" / path.name) for path in sorted((valid / "clean").iterdir())]
    tried = candidates()
    progress = track(tried, "settings", console=Console(stderr=True))
    table = np.stack([scores(enhancer, sampling, pairs) for sampling in progress])
    rank = ((table - table.mean(0)) / table.std(0)).mean(1)
    typer.echo("| settings | NFE | PESQ-WB | ESTOI | SI-SDR (dB) |\n|---|---|---|---|---|")
    for index in np.argsort(-rank):
        pesq, estoi, si_sdr = table[index]
        nfe = tried[index].evaluations
        typer.echo(f"| {name(tried[index])} | {nfe} | {pesq:.3f} | {estoi:.3f} | {si_sdr:.2f} |")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"sampling": asdict(sampling), "pesq": p, "estoi": e, "si_sdr": s}
            for sampling, (p, e, s) in zip(tried, table.tolist(), strict=True)
        ]
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
