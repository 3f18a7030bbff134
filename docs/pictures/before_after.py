"""Draws README's picture: a recording before and after, and its clean speech.

python docs/pictures/before_after.py NOISY --clean CLEAN [--model MODEL] [--mode MODE]

The recording: ls_3242-67153-0000_1 of the corpus's test set.
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image

from speechduet import Enhancer, audio
from speechduet.picture import draw_spectrograms

PICTURE = Path(__file__).with_suffix(".png")


def main(
    noisy: Annotated[Path, typer.Argument(help="A noisy recording.")],
    clean: Annotated[Path | None, typer.Option(help="Its clean speech, drawn last.")] = None,
    model: Annotated[str | None, typer.Option(help="Default: the bundled model.")] = None,
    mode: Annotated[str, typer.Option(help="fast, balanced or best.")] = "balanced",
    seconds: Annotated[float, typer.Option(help="Draw so much from the beginning.")] = 6.0,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture.")] = PICTURE,
) -> None:
    """Enhance a recording and draw it before and after."""
    waveform, sample_rate = audio.read(noisy)
    enhanced = Enhancer.from_pretrained(model)(waveform, sample_rate, mode=mode)
    versions = {"Noisy": waveform, f"Enhanced ({mode})": enhanced}
    if clean is not None:
        versions["Clean"] = audio.read(clean)[0]
    samples = round(seconds * sample_rate)
    draw_spectrograms(
        {title: torch.from_numpy(channels[0, :samples]) for title, channels in versions.items()},
        sample_rate,
        output,
    )
    # A palette is less than half the size, with no difference to the eye.
    Image.open(output).convert("RGB").quantize(128).save(output, optimize=True)


if __name__ == "__main__":
    typer.run(main)
