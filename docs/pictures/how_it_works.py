"""Draws the picture of GP-Unified: one encoder, two decoders, two fusions.

python docs/pictures/how_it_works.py
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

PICTURE = Path(__file__).with_suffix(".png")

GREY, BLUE, ORANGE, GREEN = "#eceff1", "#bbdefb", "#ffe0b2", "#c8e6c9"
INK = "#263238"


def box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str
) -> None:
    """A rounded box around its centre."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=colour, edgecolor=INK)
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=11, color=INK, linespacing=1.35)


def arrow(axes: Axes, *points: tuple[float, float]) -> None:
    """A line through points, with a head at its end."""
    xs, ys = zip(*points[:-1], strict=True)
    axes.plot(xs, ys, color=INK, lw=1.6, solid_capstyle="round")
    axes.add_patch(
        FancyArrowPatch(
            points[-2],
            points[-1],
            arrowstyle="-|>",
            mutation_scale=15,
            shrinkA=0,
            shrinkB=0,
            lw=1.6,
            color=INK,
        )
    )


def note(axes: Axes, x: float, y: float, text: str, align: str = "left") -> None:
    """Small text beside a line."""
    axes.text(x, y, text, fontsize=9.5, color="#455a64", va="center", ha=align)


def main() -> None:
    figure = Figure(figsize=(12, 4.9), dpi=150, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 12)
    axes.set_ylim(0, 4.9)

    box(axes, 1.05, 1.25, 1.7, 0.9, "noisy speech $y$\nspectrogram", GREY)
    box(axes, 1.05, 3.15, 1.7, 0.9, "state $x_t$\nstarts as $y$ + noise", GREY)
    box(axes, 3.55, 2.2, 1.6, 2.0, "shared\nencoder\n\n$(x_t,\\ y,\\ t)$", BLUE)
    box(axes, 6.15, 3.15, 1.8, 0.9, "generative\ndecoder", ORANGE)
    box(axes, 6.15, 1.25, 1.8, 0.9, "predictive\ndecoder", GREEN)
    box(axes, 8.5, 3.15, 1.5, 0.9, "reverse step\n$t \\rightarrow t - \\Delta t$", GREY)
    box(axes, 10.75, 3.15, 1.6, 0.9, "fusion\nfirst and last step", BLUE)
    box(axes, 10.75, 1.25, 1.6, 0.9, "enhanced\nspeech", GREY)

    arrow(axes, (1.9, 3.15), (2.3, 3.15), (2.3, 2.6), (2.75, 2.6))
    arrow(axes, (1.9, 1.25), (2.3, 1.25), (2.3, 1.8), (2.75, 1.8))
    for y, target in ((2.6, 3.15), (1.8, 1.25)):
        arrow(axes, (4.35, y), (4.8, y), (4.8, target), (5.25, target))
    note(axes, 4.95, 2.2, "the same features:\nskips and bottleneck")
    arrow(axes, (7.05, 3.15), (7.75, 3.15))
    arrow(axes, (9.25, 3.15), (9.95, 3.15))
    arrow(axes, (7.05, 1.25), (9.5, 1.25), (9.5, 2.25), (10.3, 2.25), (10.3, 2.7))
    note(axes, 7.15, 0.93, "$x^{\\mathrm{pre}}$: evaluated only\nat the first and last step")
    arrow(axes, (11.0, 2.7), (11.0, 1.7))
    note(axes, 11.12, 2.2, "after the\nlast step")
    arrow(axes, (10.75, 3.6), (10.75, 4.3), (1.05, 4.3), (1.05, 3.6))
    note(axes, 5.9, 4.52, "n steps, from t = 1 to t = 0", align="center")
    note(
        axes,
        0.2,
        0.35,
        "first step:  $x_1 \\leftarrow \\alpha\\,x_1 + (1-\\alpha)\\,x_1^{\\mathrm{pre}}$      "
        "last step:  $x_n \\leftarrow \\beta\\,x_n + (1-\\beta)\\,x_n^{\\mathrm{pre}}$      "
        "fast mode: the predictive decoder alone, one evaluation",
    )
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
