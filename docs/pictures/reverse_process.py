"""Draws reverse_process.webp: a film of the bundled model walking from noise to speech.

python docs/pictures/reverse_process.py
"""

import io
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from speechduet import Enhancer, audio
from speechduet.picture import draw_level, level_db

FILM = Path(__file__).with_suffix(".webp")
SAMPLE = Path(__file__).parents[2] / "samples/noisy/street.flac"
STEPS = 16
STEP_MS, FIRST_MS, LAST_MS = 350, 1500, 4000
MOST_BYTES = 1_000_000
STATE = "State after step {} of {}: speech and the noise that is left"
LAST = "Result: the last step blends the estimates of both decoders"
ESTIMATE = "The generative decoder's estimate of the speech at that step"


def frame(panels: dict[str, Tensor], sample_rate: int, loudest: float) -> Image.Image:
    """Named waveforms ``[samples]``, one below the other, on a common colour scale."""
    figure = Figure(figsize=(8, 4.6), dpi=90, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(panels), sharex=True)
    for axes, (title, waveform) in zip(rows, panels.items(), strict=True):
        draw_level(axes, level_db(waveform, sample_rate), loudest, sample_rate)
        axes.set_title(title, loc="left", fontsize=11)
    rows[-1].set_xlabel("s")
    picture = io.BytesIO()
    figure.savefig(picture)
    return Image.open(picture).convert("RGB")


def main() -> None:
    waveform, sample_rate = audio.read(SAMPLE)
    noisy = torch.from_numpy(waveform[0])
    enhancer = Enhancer.from_pretrained(device="cpu")
    # Ancestral steps all the way from t = 1: the bundled modes begin near the end, where there is
    # little to see.
    steps = enhancer.stream(
        waveform, sample_rate, steps=STEPS, start=1.0, start_from="noisy", predict_once=False
    )
    loudest = float(level_db(noisy / noisy.abs().max(), sample_rate).max())

    def audible(spectrogram: Tensor) -> Tensor:
        return enhancer.spectrogram.decode(spectrogram, len(noisy))[0]

    frames: list[Image.Image] = []
    for step in steps:
        assert step.generative is not None
        estimate = audible(step.generative)
        number = step.number + 1
        if number < STEPS:
            shown = {STATE.format(number, STEPS): audible(step.state), ESTIMATE: estimate}
        else:
            shown = {LAST: audible(step.result), ESTIMATE: estimate}
        frames.append(frame(shown, sample_rate, loudest))
    durations = [FIRST_MS, *[STEP_MS] * (len(frames) - 2), LAST_MS]
    frames[0].save(
        FILM, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=50
    )
    if FILM.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{FILM} is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    main()
