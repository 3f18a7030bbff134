"""Pictures of recordings: their spectrograms one above the other, on one colour scale."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from speechduet.extras import missing
from speechduet.names import shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from torch import Tensor

DYNAMIC_RANGE_DB = 70
_LONGEST_NAME = 20
"""Letters of a name in a picture; more would leave no room for anything else."""
_BOX = "□"


def name_in_picture(name: str) -> str:
    """A name as matplotlib draws it letter by letter; the middle of a long one is left out.

    Letters that the font lacks are boxes, for which matplotlib would warn.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    text = shown(name)
    if len(text) > _LONGEST_NAME:
        half = _LONGEST_NAME // 2
        text = f"{text[: half - 1]}…{text[-half:]}"
    fonts = [get_font(findfont(FontProperties(weight=weight))) for weight in ("normal", "bold")]
    drawn = "".join(
        letter if all(font.get_char_index(ord(letter)) for font in fonts) else _BOX
        for letter in text
    )
    # Between two dollar signs would be mathematics; a label with a leading underscore is left out.
    return (" " if drawn.startswith("_") else "") + drawn.replace("$", r"\$")


def level_db(waveform: "Tensor", sample_rate: int) -> "Tensor":
    """Short-time spectrum of a waveform ``[samples]`` in dB, ``[bins, frames]``.

    Windows of 32 ms, 8 ms apart, whatever the rate.
    """
    from speechduet.spectrogram import Spectrogram  # here, for it imports PyTorch

    transform = Spectrogram(
        sample_rate, n_fft=2 * (sample_rate * 16 // 1000), hop=sample_rate * 8 // 1000, exponent=1
    )
    magnitude = transform.encode(waveform.float()[None])[0, 0].abs()
    return 20 * magnitude.clamp_min(1e-12).log10()


def new_figure(width: float, height: float, dpi: int) -> "Figure":
    """An empty figure of this size in inches; SettingError where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing(error, "matplotlib") from error
    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def draw_level(
    axes: "Axes",
    level: "Tensor | npt.NDArray[np.float64]",
    loudest: float,
    sample_rate: int,
    duration_s: float | None = None,
) -> "AxesImage":
    """Draw a spectrum ``[bins, frames]`` in dB over s and kHz.

    ``loudest`` is 0 dB, dark lies 70 dB below. Without a duration the frames are those of
    `level_db`, 8 ms apart.
    """
    end_s = 0.008 * level.shape[1] if duration_s is None else duration_s
    image = axes.imshow(
        np.asarray(level) - loudest,
        origin="lower",
        aspect="auto",
        extent=(0, max(end_s, 1e-3), 0, sample_rate / 2000),
        cmap="magma",
        vmin=-DYNAMIC_RANGE_DB,
        vmax=0,
        interpolation="nearest",
    )
    axes.set_ylabel("kHz")
    return image


def draw_spectrograms(
    recordings: "Mapping[str, Tensor]", sample_rate: int, path: Path, width: float = 9.0
) -> None:
    """Write a picture of named waveforms ``[samples]``, one above the other.

    The colour scale is common to all: the loudest point of any is 0 dB, what lies 70 dB and more
    below it is dark. The suffix of the path (.png, .svg, .pdf) sets the format.
    """
    levels = {title: level_db(waveform, sample_rate) for title, waveform in recordings.items()}
    loudest = max(float(level.max()) for level in levels.values())
    figure = new_figure(width, 0.6 + 1.9 * len(levels), dpi=150)
    rows = figure.subplots(len(levels), sharex=True, squeeze=False)[:, 0]
    for axes, (title, level) in zip(rows, levels.items(), strict=True):
        image = draw_level(axes, level, loudest, sample_rate)
        axes.set_title(name_in_picture(title), loc="left", fontsize=11, fontweight="bold")
    rows[-1].set_xlabel("s")
    figure.colorbar(image, ax=list(rows), label="dB", aspect=12 * len(levels), pad=0.02)
    figure.savefig(path)
