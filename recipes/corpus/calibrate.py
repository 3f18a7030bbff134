"""Calibrate a model folder for 8-bit numbers: what its layers read and make on real recordings.

    python recipes/corpus/calibrate.py src/speechduet/model/bundled/gp_unified_compact \
        ../shared/corpus/valid/noisy

enhances every recording in each mode with the networks as they are, and writes the model folder
again, with ``activation_ranges.json`` and 16-bit weights.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from speechduet import Enhancer, audio
from speechduet.backend.quantisation import calibration
from speechduet.model.find import BUNDLED
from speechduet.model.folder import load, save


def main(
    folder: Annotated[Path, typer.Argument(help="Model folder; it is written again.")],
    recordings: Annotated[Path, typer.Argument(help="Folder of noisy recordings.")],
) -> None:
    """Calibrate a model and store it."""
    model = load(folder)
    enhancer = Enhancer(model, device="cpu", backend="pytorch", precision="float32")
    with calibration(enhancer.system) as ranges:
        for path in sorted(recordings.iterdir()):
            samples, sample_rate = audio.read(path)
            for mode in model.modes:
                enhancer(samples, sample_rate, mode)
    # The card of a bundled model says that its name is enough.
    address = folder.name if folder.resolve().parent == BUNDLED else ""
    save(replace(model, system=model.system.calibrated(ranges)), folder, torch.float16, address)
    typer.echo(f"{len(ranges)} layers of {model.name} are calibrated")


if __name__ == "__main__":
    typer.run(main)
