"""Fit the expected error of a frame to recordings whose clean speech is known.

    python recipes/corpus/confidence.py ../shared/corpus/valid out/valid_balanced

The second folder holds what ``speechduet enhance`` made of the first one's ``noisy``. Prints the
two constants of `speechduet.expected_error`, and how far the expected errors are from the true
ones. `speechduet evaluate --metric confidence` says how well they rank.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from speechduet.audio import read_mono
from speechduet.metrics.confidence import frame_errors


def main(
    pairs: Annotated[Path, typer.Argument(help="Folder with clean and noisy recordings.")],
    enhanced: Annotated[Path, typer.Argument(help="Folder of the noisy ones, enhanced.")],
) -> None:
    """Fit the logarithm of the error to that of the ratio of removed to kept energy."""
    ratios, errors = [], []
    for path in sorted(enhanced.iterdir()):
        s_hat, rate = read_mono(path)
        clean, noisy = (read_mono(pairs / kind / path.name)[0] for kind in ("clean", "noisy"))
        kept, removed, error = frame_errors(s_hat, clean, noisy, rate)
        ratios.append(np.log10(removed / kept))
        errors.append(np.log10(error))
    x, y = np.concatenate(ratios), np.concatenate(errors)
    exponent, offset = np.polyfit(x, y, 1)
    off = 10 * (exponent * x + offset - y)
    typer.echo(f"error at 0 dB {10**offset:.3f}, exponent {exponent:.3f}; {len(x)} frames")
    typer.echo(f"errors of {10 * y.std():.1f} dB around their mean, {off.std():.1f} dB around it")


if __name__ == "__main__":
    typer.run(main)
