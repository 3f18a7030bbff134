"""Let a model give clean speech back as loud as it was: a little is always taken for noise.

    python recipes/corpus/level.py out/averaged ../shared/corpus/valid/clean

measures by how much the predictive decoder (mode ``fast``) changes the level of each recording,
and makes its head louder by the median; then the generative one the same way (mode ``balanced``,
where both count alike). The model folder is written again. SI-SDR, PESQ and ESTOI hardly change: a
few tenths of a decibel are all that the output gains.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from speechduet import Enhancer, audio
from speechduet.model.folder import Pretrained, load, save


def main(
    folder: Annotated[Path, typer.Argument(help="Model folder; it is written again.")],
    recordings: Annotated[Path, typer.Argument(help="Folder of clean speech.")],
) -> None:
    """Measure and correct."""
    model = load(folder)
    exponent = model.spectrogram.exponent  # what a head emits is compressed
    decoders = (
        ("fast", model.system.predictive_decoder, 1.0),
        ("balanced", model.system.generative_decoder, 2.0),
    )
    for mode, decoder, share in decoders:
        quieter_db = -float(np.median(changes_db(model, recordings, mode)))
        typer.echo(f"{mode}: {quieter_db:.3f} dB quieter")
        with torch.no_grad():
            for parameter in decoder.head.parameters():
                parameter.mul_(10 ** (share * quieter_db * exponent / 20))
    for mode, _, _ in decoders:
        found = changes_db(model, recordings, mode)
        typer.echo(
            f"{mode}: {np.median(found):+.3f} dB now, {found.min():+.2f} to {found.max():+.2f}"
        )
    save(model, folder, torch.float16)


def changes_db(model: Pretrained, recordings: Path, mode: str) -> np.ndarray:
    """How much louder each recording becomes, by its energy."""
    enhancer = Enhancer(model, device="cpu", backend="pytorch", precision="float32")
    changes = []
    for path in sorted(recordings.iterdir()):
        samples, sample_rate = audio.read(path)
        made = enhancer(samples, sample_rate, mode)
        changes.append(10 * np.log10(np.square(made).sum() / np.square(samples).sum()))
    return np.array(changes)


if __name__ == "__main__":
    typer.run(main)
