"""What segments differ by from a recording enhanced in one piece, over time around their seams.

python docs/pictures/seams.py
"""

from pathlib import Path

import numpy as np
import soundfile
from matplotlib.figure import Figure

from speechduet import Enhancer
from speechduet.audio import Samples

SAMPLES = Path(__file__).parents[2] / "samples" / "noisy"
PICTURE = Path(__file__).with_suffix(".svg")
RATE, WINDOW, REACH_S, SEGMENT_S = 16_000, 800, 2.5, 16.0
COLOURS = {"fast": "#E69F00", "balanced": "#0072B2"}


def recording() -> Samples:
    """The bundled samples one after another, three times, each time at another place of a seam."""
    paths = sorted(SAMPLES.glob("*.flac"))
    sounds = [soundfile.read(path, dtype="float32")[0] for path in paths]
    return np.concatenate([*sounds, *sounds[::-1], *sounds])


def around_seams(mode: str) -> tuple[Samples, float, float]:
    """Error in dB of the mean level, ``[seams, windows]``; its largest; and half a fade in s."""
    sound = recording()
    whole = Enhancer.from_pretrained(device="cpu", segment_s=600)
    cut = Enhancer(whole.pretrained, "cpu", segment_s=SEGMENT_S)
    expected = whole(sound, RATE, mode)
    differs = (cut(sound, RATE, mode) - expected)[: len(sound) // WINDOW * WINDOW]
    power = np.square(differs.reshape(-1, WINDOW)).mean(axis=1) / np.square(expected).mean()
    level_db = 10 * np.log10(power + 1e-14)
    plan = cut.plan(len(sound))
    reach = round(REACH_S * RATE) // WINDOW
    seams = [border // WINDOW for border in plan.borders()[1:-1]]
    rows = np.stack([level_db[seam - reach : seam + reach] for seam in seams])
    return rows, float(level_db.max()), plan.fade / 2 / RATE


def main() -> None:
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for mode, colour in COLOURS.items():
        rows, largest, fade_s = around_seams(mode)
        times = (np.arange(rows.shape[1]) + 0.5) * WINDOW / RATE - REACH_S
        for number, row in enumerate(rows):
            label = f"{mode}: {largest:.0f} dB at most" if number == 0 else None
            axes.plot(times, row, color=colour, linewidth=1, alpha=0.8, label=label)
        print(f"{mode}: {len(rows)} seams, {largest:.1f} dB at most in 50 ms")
    axes.axvspan(-fade_s, fade_s, color="#eceff1", zorder=0, label="the fade")
    axes.set_xlabel("time from the middle of the overlap in s")
    axes.set_ylabel("error in 50 ms in dB\n(0: level of the whole result)")
    axes.set_ylim(-145, 0)
    axes.legend(loc="upper right", frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
