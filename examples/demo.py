"""Enhances the bundled samples, or a recording of your own, and shows what came of it.

    python examples/demo.py [RECORDING]

Writes enhanced audio and before/after spectrograms to out/demo. For the bundled samples, whose
clean speech is known, it also prints scores. This is what ``make demo`` runs.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from speechduet import Enhancer, audio, enhance_file
from speechduet.errors import SpeechduetError
from speechduet.evaluation import ScoredPair, score
from speechduet.picture import draw_spectrograms

ROOT = Path(__file__).parents[1]
MODES = ("fast", "balanced")
PICTURE_S = 12


def first_channel(path: Path) -> tuple[torch.Tensor, int]:
    """The beginning of a recording, ``[samples]``, and its sample rate."""
    sample_rate = audio.probe(path).sample_rate
    blocks: list[torch.Tensor] = []
    for block in audio.read_blocks(path):
        blocks.append(torch.from_numpy(block[:, 0].copy()))
        if sum(map(len, blocks)) >= PICTURE_S * sample_rate:
            break
    return torch.cat(blocks)[: PICTURE_S * sample_rate], sample_rate


def draw(versions: dict[str, Path], picture: Path) -> None:
    """One picture with the spectrogram of each version of a recording."""
    beginnings = {title: first_channel(path) for title, path in versions.items()}
    sample_rate = beginnings["Noisy"][1]
    draw_spectrograms(
        {title: waveform for title, (waveform, _) in beginnings.items()}, sample_rate, picture
    )


def mean_scores(clean: Path, scored: list[Path]) -> list[str]:
    """Mean PESQ, ESTOI and SI-SDR of recordings whose clean speech is known, as text."""
    scores = [score(ScoredPair(path.stem, clean / path.name, path)) for path in scored]
    return [
        f"{np.mean([one.pesq for one in scores]):.2f}",
        f"{np.mean([one.estoi for one in scores]):.3f}",
        f"{np.mean([one.si_sdr for one in scores]):.1f}",
    ]


def demonstrate(recordings: list[Path], clean: Path | None, model: str | None, out: Path) -> Table:
    """Enhance recordings in each mode, draw them, and tabulate quality and speed."""
    enhancer = Enhancer.from_pretrained(model)
    table = Table(
        "", *(("PESQ", "ESTOI", "SI-SDR (dB)") if clean else ()), "time (s)", "real-time factor"
    )
    if clean:
        table.add_row("noisy", *mean_scores(clean, recordings))
    targets = {
        mode: [out / mode / f"{path.stem}{audio.writable_suffix(path)}" for path in recordings]
        for mode in MODES
    }
    # PyTorch takes its time over a first call; it is not the model's.
    enhancer(torch.randn(16_000), 16_000)
    for mode in MODES:
        start = time.perf_counter()
        duration_s = sum(
            enhance_file(source, target, enhancer, mode)
            for source, target in zip(recordings, targets[mode], strict=True)
        )
        taken_s = time.perf_counter() - start
        scores = mean_scores(clean, targets[mode]) if clean else []
        table.add_row(mode, *scores, f"{taken_s:.2f}", f"{taken_s / duration_s:.3f}")
    for index, source in enumerate(recordings):
        versions = {"Noisy": source} | {
            f"Enhanced ({mode})": paths[index] for mode, paths in targets.items()
        }
        if clean:
            versions["Clean"] = clean / source.name
        draw(versions, out / f"{source.stem}.png")
    return table


def main(
    recording: Annotated[Path | None, typer.Argument(help="Default: the bundled samples.")] = None,
    model: Annotated[str | None, typer.Option(help="Default: the bundled model.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for audio and pictures.")] = ROOT / "out/demo",
) -> None:
    """Enhance the bundled samples or a recording; write audio and pictures, print figures."""
    start = time.perf_counter()
    noisy, clean = ROOT / "samples/noisy", ROOT / "samples/clean"
    try:
        if recording:
            table = demonstrate([recording], None, model, out)
        else:
            table = demonstrate(sorted(noisy.glob("*.flac")), clean, model, out)
    except SpeechduetError as error:
        sys.exit(f"demo: {error}")
    Console().print(table)
    threads = torch.get_num_threads()
    typer.echo(
        f"Audio and pictures: {out}/ ({time.perf_counter() - start:.0f} s in all, "
        f"{threads} {'thread' if threads == 1 else 'threads'})"
    )


if __name__ == "__main__":
    typer.run(main)
