"""A recording and what became of it, in one picture: spectrograms, what was removed, levels."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechduet.audio import Samples, probe, read_blocks
from speechduet.audio.notices import Notify
from speechduet.audio.resampling import resampled
from speechduet.errors import AudioError, FileError, SettingError
from speechduet.extras import installed, missing
from speechduet.files.atomic import replacing
from speechduet.overview import Overview, overview
from speechduet.picture import DYNAMIC_RANGE_DB, draw_level, name_in_picture, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
_HIGHEST_RATE = 48_000
_STEPS_S = (30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200)
_LINES = {
    "Noisy": {"color": "#E69F00", "linewidth": 1.4},
    "Enhanced": {"color": "#0072B2", "linewidth": 1.4},
    "Clean": {"color": "#000000", "linewidth": 1.0, "linestyle": (0, (4, 2))},
}
"""Colours that everybody can tell apart (Okabe and Ito), and a dashed line besides."""

Blocks = Callable[[], Iterator[Samples]]


def check_picture(path: Path) -> None:
    """Raise SettingError if no picture can be drawn, or none under this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"a picture in {path.name}", "one of " + " ".join(SUFFIXES))
    if not installed("matplotlib"):
        raise missing(ModuleNotFoundError(name="matplotlib"), "matplotlib")


def draw_comparison(
    noisy: Path,
    enhanced: Path,
    picture: Path,
    clean: Path | None = None,
    *,
    track: int | None = None,
    salvage: bool = False,
    notify: Notify = lambda _: None,
) -> None:
    """Draw recordings of any format, rate, length and number of channels, of which the mean.

    All is shown on one scale of colours and one of time, up to half the sample rate of ``noisy``,
    from which ``track`` and ``salvage`` are read as by `read_blocks`. What was removed is the
    difference of the waveforms. The picture takes as much memory however long they are.

    Raises AudioError for recordings that cannot be read, FileError if the picture cannot be
    written, SettingError as `check_picture`.
    """
    check_picture(picture)
    rate = min(probe(noisy, track=track).sample_rate, _HIGHEST_RATE)

    def read(path: Path) -> Blocks:
        of_noisy = path == noisy
        chosen = track if of_noisy else None
        source = probe(path, track=chosen).sample_rate

        def blocks() -> Iterator[Samples]:
            read = read_blocks(path, track=chosen, salvage=salvage and of_noisy, notify=notify)
            means = (_finite(block, path).mean(axis=1, keepdims=True) for block in read)
            return (block[:, 0] for block in resampled(means, source, rate))

        return blocks

    paths = {"Noisy": noisy, "Enhanced": enhanced} | ({"Clean": clean} if clean else {})
    streams = {title: read(path) for title, path in paths.items()}
    shown = {title: overview(blocks(), rate) for title, blocks in streams.items()}
    removed = overview(_difference(streams["Noisy"](), streams["Enhanced"]()), rate)
    titles = {title: f"{title}: {name_in_picture(path.name)}" for title, path in paths.items()}
    with replacing(picture, FileError) as partial:
        _draw(shown, removed, titles, rate, partial, picture.suffix.lower()[1:])


def _finite(block: Samples, path: Path) -> Samples:
    if not np.isfinite(block).all():
        raise AudioError(f"{path} holds samples that are NaN or infinite", "finite samples")
    return block


def _difference(one: Iterator[Samples], other: Iterator[Samples]) -> Iterator[Samples]:
    """One less the other, as long as the shorter, whatever their blocks are."""
    held = [np.zeros(0, np.float32), np.zeros(0, np.float32)]
    streams = [one, other]
    while True:
        for index, stream in enumerate(streams):
            if not len(held[index]):
                following = next(stream, None)
                if following is None:
                    return
                held[index] = following
        size = min(map(len, held))
        yield held[0][:size] - held[1][:size]
        held = [rest[size:] for rest in held]


def _draw(
    shown: dict[str, Overview],
    removed: Overview,
    titles: dict[str, str],
    rate: int,
    path: Path,
    kind: str,
) -> None:
    count = len(shown) + 2
    figure = new_figure(10, 0.7 + 1.75 * count, dpi=130)
    *pictures, levels = figure.subplots(count, sharex=True)
    loudest = max(float(one.spectrum_db.max(initial=-120)) for one in shown.values())
    titled = {titles[title]: one for title, one in shown.items()}
    titled["Removed: noisy less enhanced"] = removed
    for axes, (title, one) in zip(pictures, titled.items(), strict=True):
        image = draw_level(axes, one.spectrum_db, loudest, rate, one.duration_s)
        axes.set_facecolor("#d9d9d9")  # where a shorter one has ended
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    bar = figure.colorbar(image, ax=list(pictures), aspect=12 * len(pictures), pad=0.015)
    bar.set_label("level of each frequency (dB, loudest is 0)")
    _draw_levels(levels, shown)
    end_s = max(one.duration_s for one in shown.values())
    levels.set_xlim(0, max(end_s, 1e-3))
    levels.set_xlabel("time (s)")
    if end_s > 180:
        step_s = next((step for step in _STEPS_S if 8 * step >= end_s), _STEPS_S[-1])
        levels.xaxis.set_ticks(np.arange(0, end_s, step_s))
        levels.xaxis.set_major_formatter(lambda place, _: f"{place // 60:.0f}:{place % 60:02.0f}")
        levels.set_xlabel("time (min:s)")
    figure.savefig(path, format=kind)


def _draw_levels(axes: "Axes", shown: dict[str, Overview]) -> None:
    for title, one in shown.items():
        times = (np.arange(len(one.level_db)) + 0.5) * one.column_s
        # Nearer together, it would jump with every period of a voice, and one line hide another.
        smooth = 10 * np.log10(
            _averaged(
                10 ** (one.level_db / 10), round(max(0.05, one.duration_s / 300) / one.column_s)
            )
        )
        axes.plot(times, smooth, label=title, **_LINES[title])  # type: ignore[arg-type]
    top = max((float(one.level_db.max(initial=-120)) for one in shown.values()), default=0)
    axes.set_ylim(max(top - DYNAMIC_RANGE_DB, -125), top + 5)
    axes.set_ylabel("dB")
    axes.set_title(
        "Level over time (full scale is 0 dB)", loc="left", fontsize=10, fontweight="bold"
    )
    axes.grid(alpha=0.3)
    axes.legend(
        **{"loc": "lower right", "bbox_to_anchor": (1, 0.97), "ncols": 3},
        **{"frameon": False, "fontsize": 9},
    )


def _averaged(
    values: "np.typing.NDArray[np.float64]", width: int
) -> "np.typing.NDArray[np.float64]":
    if width < 2 or len(values) < width:
        return values
    weights = np.ones(width)
    return np.convolve(values, weights, "same") / np.convolve(np.ones(len(values)), weights, "same")
