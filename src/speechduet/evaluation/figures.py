"""Figures and sounds of a report as data URIs, so that a page holds all that it shows."""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from speechduet import audio
from speechduet.evaluation.conditions import Manifest, by_snr
from speechduet.evaluation.scoring import Scores
from speechduet.evaluation.summary import Evaluation, bootstrap
from speechduet.evaluation.tables import title
from speechduet.metrics.signals import Samples
from speechduet.picture import draw_level, level_db, name_in_picture, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXCERPT_S = 10.0
DPI = 90
_COLUMNS = 3


def distributions(systems: Mapping[str, Evaluation]) -> str:
    """Every score of every system: boxes from quartile to quartile, and a point per file."""
    figure, panel_of = panels(_metrics(systems), 0.9 + 0.5 * len(systems))
    scatter = np.random.default_rng(0)
    for metric, axes in panel_of.items():
        having = {name: one for name, one in systems.items() if metric in _metrics_of(one)}
        places = range(len(having), 0, -1)
        columns = [_finite(metric, evaluation.files) for evaluation in having.values()]
        axes.boxplot(columns, positions=places, orientation="horizontal", showfliers=False)
        for place, column in zip(places, columns, strict=True):
            heights = place + scatter.uniform(-0.2, 0.2, len(column))
            axes.plot(column, heights, ".", alpha=0.4, markersize=4)
        axes.set_yticks(places, [name_in_picture(system) for system in having])
        axes.set_xlabel(title(metric))
    return _svg(figure)


def against_snr(systems: Mapping[str, Evaluation], manifest: Manifest) -> str:
    """Scores over the input SNR: a point per file, and means of groups with their intervals."""
    figure, panel_of = panels(_metrics(systems), 2.6)
    files = dict.fromkeys(scores.file for one in systems.values() for scores in one.files)
    groups = by_snr(files, manifest).values()
    for metric, axes in panel_of.items():
        for index, (system, evaluation) in enumerate(systems.items()):
            points = [_points(evaluation.among(names), metric, manifest) for names in groups]
            if drawn := [group for group in points if group.size]:
                _draw_line(axes, drawn, f"C{index}", name_in_picture(system))
        axes.set_xlabel("input SNR (dB)")
        axes.set_ylabel(title(metric))
    if len(systems) > 1:
        next(iter(panel_of.values())).legend()
    return _svg(figure)


def excerpt(path: Path) -> tuple[Samples, int]:
    """The first 10 s of a recording of one channel, and its sample rate."""
    sample_rate = audio.probe(path).sample_rate
    wanted = round(EXCERPT_S * sample_rate)
    blocks: list[audio.Samples] = []
    for block in audio.read_blocks(path, notify=lambda _: None):  # it was read before
        blocks.append(block)
        if sum(map(len, blocks)) >= wanted:
            break
    return np.concatenate(blocks)[:wanted, 0].astype(np.float64), sample_rate


def spectrograms(recordings: Iterable[Samples], sample_rate: int) -> list[str]:
    """A picture for each recording; 0 dB is the loudest point of any, dark lies 70 dB below."""
    import torch  # here, for the command line imports this module

    levels = [level_db(torch.from_numpy(samples), sample_rate) for samples in recordings]
    loudest = max(float(level.max()) for level in levels)
    pictures = []
    for level in levels:
        figure = new_figure(4.4, 2.6, DPI)
        axes = figure.subplots()
        draw_level(axes, level, loudest, sample_rate)
        axes.set_xlabel("s")
        pictures.append(_data_uri("image/webp", _saved(figure, "webp")))
    return pictures


def sound(samples: Samples, sample_rate: int) -> str:
    """A recording as lossless FLAC of 16 bits, for a codec would be heard in the comparison."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), sample_rate, "PCM_16", format="FLAC")
    return _data_uri("audio/flac", file.getvalue())


def panels(metrics: Sequence[str], height: float) -> tuple["Figure", dict[str, "Axes"]]:
    """A figure with axes for each metric, at most three in a row; a row's height is in inches."""
    columns = min(_COLUMNS, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    figure = new_figure(4 * _COLUMNS, rows * height, DPI)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[len(metrics) :]:
        unused.remove()
    return figure, dict(zip(metrics, axes, strict=False))


def _metrics(systems: Mapping[str, Evaluation]) -> list[str]:
    """Those that some system has; of the noisy input SI-SIR and SI-SAR have no meaning."""
    return list(dict.fromkeys(name for one in systems.values() for name in _metrics_of(one)))


def _metrics_of(evaluation: Evaluation) -> list[str]:
    """Those that every file has."""
    rows = [scores.by_metric() for scores in evaluation.files]
    return [name for name in rows[0] if all(row.get(name) is not None for row in rows)]


def _finite(metric: str, files: list[Scores]) -> list[float]:
    values = [scores.by_metric()[metric] for scores in files]
    return [value for value in values if value is not None and math.isfinite(value)]


def _points(files: list[Scores], metric: str, manifest: Manifest) -> Samples:
    """Input SNR and score of each file that has both, ``[files, 2]``."""
    known = ((manifest[scores.file].snr_db, scores.by_metric().get(metric)) for scores in files)
    return np.array(
        [(x, y) for x, y in known if x is not None and y is not None and math.isfinite(y)]
    )


def _draw_line(axes: "Axes", groups: list[Samples], colour: str, label: str) -> None:
    means = [bootstrap(group[:, 1]) for group in groups]
    for group in groups:
        axes.plot(group[:, 0], group[:, 1], ".", color=colour, alpha=0.3, markersize=4)
    axes.errorbar(
        [group[:, 0].mean() for group in groups],
        [interval.mean for interval in means],
        [
            [interval.mean - interval.low for interval in means],
            [interval.high - interval.mean for interval in means],
        ],
        color=colour,
        marker="o",
        capsize=3,
        label=label,
    )


def _svg(figure: "Figure") -> str:
    return _data_uri("image/svg+xml", _saved(figure, "svg"))


def _saved(figure: "Figure", kind: str) -> bytes:
    import matplotlib

    file = io.BytesIO()
    # Neither date nor random names in it, so that the same scores give the same page.
    settings: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(file, format=kind, **settings)
    return file.getvalue()


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
