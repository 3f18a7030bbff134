"""What tells where an enhanced recording is wrong: the decoders' difference, or what was removed?

    python recipes/corpus/confidence.py ../shared/corpus/valid ../shared/corpus/test

Each folder holds ``clean`` and ``noisy``. Predictors of the error of each frame of 32 ms, relative
to the speech in it, are fitted to the first folder and compared on all. Prints the constants of
`speechduet.expected_error` (those of the ratio), and for each predictor Spearman's rank correlation
within recordings and over all frames, the area under the curve for the worst tenth of all frames,
how far the expected error is from the true one, and the rank correlation of whole recordings: of
the expected errors, weighted by the energy that was kept, with the true one.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from scipy.stats import spearmanr

from speechduet import Enhancer
from speechduet.audio import read_mono
from speechduet.metrics.confidence import Frames, area_under_curve, frame_energies, frame_errors

WORST = 0.1


class Recording(NamedTuple):
    """Logarithms, each ``[frames]``."""

    ratio: Frames
    """Of the removed to the kept energy."""
    difference: Frames
    """Of the energy in which the decoders differ to the kept energy."""
    error: Frames
    kept: Frames
    """The energy itself."""
    whole_error: float
    """Energy of the error of the recording, relative to that of the speech."""


PREDICTORS = {
    "removed / kept": ("ratio",),
    "decoders' difference / kept": ("difference",),
    "both": ("ratio", "difference"),
}


def main(
    folders: Annotated[list[Path], typer.Argument(help="The first one is fitted to.")],
    mode: str = "balanced",
) -> None:
    """Fit, and compare."""
    enhancer = Enhancer.from_pretrained()
    parts = {folder.name: measured(enhancer, folder, mode) for folder in folders}
    first = next(iter(parts.values()))
    for name, columns in PREDICTORS.items():
        fitted, *_ = np.linalg.lstsq(
            np.concatenate([design(one, columns) for one in first]),
            np.concatenate([one.error for one in first]),
        )
        typer.echo(f"{name}: exponents {fitted[:-1].round(3)}, at 0 dB {10 ** fitted[-1]:.3f}")
        for part, recordings in parts.items():
            typer.echo(f"  {part}: {compared(recordings, columns, fitted)}")


def measured(enhancer: Enhancer, folder: Path, mode: str) -> list[Recording]:
    """All recordings of a folder, enhanced."""
    found = []
    for path in sorted((folder / "noisy").iterdir()):
        (noisy, rate), (clean, _) = (read_mono(folder / k / path.name) for k in ("noisy", "clean"))
        *_, last = enhancer.stream(noisy.astype(np.float32), rate, mode)
        assert last.generative is not None and last.predictive is not None
        result, one, other = (
            enhancer.spectrogram.decode(part, len(noisy))[0].double().numpy()
            for part in (last.result, last.generative, last.predictive)
        )
        scale = np.abs(noisy).max()
        kept, removed, error = frame_errors(result, clean / scale, noisy / scale, rate)
        difference = frame_energies(one - other, rate) + removed.min()
        logarithms = (np.log10(part) for part in (removed / kept, difference / kept, error))
        whole_error = np.square(result - clean / scale).sum() / np.square(clean / scale).sum()
        found.append(Recording(*logarithms, kept, whole_error))
    return found


def design(recording: Recording, columns: tuple[str, ...]) -> Frames:
    """What the error is predicted from, ``[frames, columns + 1]``."""
    values = [getattr(recording, column) for column in columns]
    return np.stack([*values, np.ones_like(recording.error)], 1)


def compared(recordings: list[Recording], columns: tuple[str, ...], fitted: Frames) -> str:
    """How well the errors are predicted."""
    expected = [design(one, columns) @ fitted for one in recordings]
    pairs = zip(expected, recordings, strict=True)
    within = np.mean([spearmanr(guess, one.error).statistic for guess, one in pairs])
    guesses, errors = np.concatenate(expected), np.concatenate([one.error for one in recordings])
    pooled = spearmanr(guesses, errors).statistic
    area = area_under_curve(guesses, errors >= np.quantile(errors, 1 - WORST))
    off_db = 10 * (guesses - errors)
    means = [
        np.average(10**guess, weights=one.kept)
        for guess, one in zip(expected, recordings, strict=True)
    ]
    ranked = spearmanr(means, [one.whole_error for one in recordings]).statistic
    return (
        f"rank within {within:.3f}, of all {pooled:.3f}, worst tenth {area:.3f}, "
        f"off by {np.sqrt(np.mean(off_db**2)):.1f} dB of {10 * errors.std():.1f} dB, "
        f"of recordings {ranked:.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
