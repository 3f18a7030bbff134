"""Trains a small model on folders of one's own speech and noise, then enhances with it.

    python examples/train_on_own_folders.py SPEECH NOISE runs/mine

It is what ``speechduet train`` does with a recipe file, from Python. The default of 200 steps takes
minutes and shows that all works; a useful model takes hours (docs/training.md).
"""

from pathlib import Path
from typing import Annotated

import typer

from speechduet import Enhancer
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

RECIPE = Path(__file__).parents[1] / "recipes/corpus/gp_unified_compact.yaml"


def main(
    speech: Annotated[Path, typer.Argument(help="Folder of clean speech.")],
    noise: Annotated[Path, typer.Argument(help="Folder of noise.")],
    folder: Annotated[Path, typer.Argument(help="Where checkpoints and the model go.")],
    steps: int = 200,
    override: Annotated[list[str] | None, typer.Option(help="section.key=value")] = None,
) -> None:
    """Mix speech and noise on the fly, train, and say where the model is."""
    own = [f"data.speech={speech}", f"data.noise={noise}", f"run.max_steps={steps}"]
    own += ["data.valid_clean=''", "data.valid_noisy=''", "data.speech_weights={}"]
    model = train(read_recipe(RECIPE, [*own, *(override or [])]), folder)
    print(f"{model}: {Enhancer.from_pretrained(model).backend}")


if __name__ == "__main__":
    typer.run(main)
