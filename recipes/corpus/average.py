"""Average models trained one from the other: their errors differ, what they know does not.

    python recipes/corpus/average.py out/averaged 0.25 gp_unified_compact 0.75 runs/continued/model

writes a model folder with the weighted mean of the weights; the first model gives all else.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from speechduet.errors import SettingError
from speechduet.model.find import load_any
from speechduet.model.folder import save


def main(
    output: Annotated[Path, typer.Argument(help="Model folder to write.")],
    parts: Annotated[list[str], typer.Argument(help="Share and model, share and model, ...")],
) -> None:
    """Write the average."""
    shares = [float(share) for share in parts[::2]]
    models = [load_any(name) for name in parts[1::2]]
    if len(shares) != len(models) or abs(sum(shares) - 1) > 1e-6:
        raise SettingError(f"shares {shares} of {len(models)} models", "one for each, 1 in all")
    if len({(model.system.layout, str(model.system)) for model in models}) > 1:
        raise SettingError("models of different networks", "models of one network")
    states = [model.system.state_dict() for model in models]
    averaged = {
        name: torch.stack(
            [share * state[name] for share, state in zip(shares, states, strict=True)]
        ).sum(0)
        for name in states[0]
    }
    models[0].system.load_state_dict(averaged)
    save(replace(models[0], metadata={}), output, torch.float16, output.name)


if __name__ == "__main__":
    typer.run(main)
