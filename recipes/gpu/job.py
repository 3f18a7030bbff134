"""One job on a bare GPU machine: train for some minutes, leave what the next job needs.

    python3 recipes/gpu/job.py --out OUT --minutes 8.5 [--falling 0.65] [--override KEY=VALUE]

It goes on from ``recipes/gpu/run/last.ckpt``, or else from the ``state.*`` that an earlier job left
and that now lie in ``recipes/gpu/returned``. In the last share ``--falling`` of the time the
learning rate falls to 0, over as many steps as the time allows. OUT then holds, each file below
16 MB, a model folder, ``state.*`` and ``log.jsonl``.
"""

import argparse
import importlib.util
import json
import shutil
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]
    unpack_wheels(HERE / "packed/wheels")

    import state
    import torch

    from speechduet.training.loading import examples_of
    from speechduet.training.progress import print_note
    from speechduet.training.recipe_file import read_recipe
    from speechduet.training.run import train

    # All batches have one size: the quickest kernels are worth a search.
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    run, out = options.run, options.out
    run.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    last, log = run / "last.ckpt", run / "log.jsonl"
    if not last.exists() and state.join(options.returned, last):
        shutil.copyfile(options.returned / "log.jsonl", log)
    log.touch()
    earlier = len(log.read_text().splitlines())

    recipe = read_recipe(options.recipe, options.override)
    examples = examples_of(recipe, print_note)
    falling = options.minutes * options.falling
    level = [f"run.max_minutes={options.minutes - falling}", *options.override]
    model = train(read_recipe(options.recipe, level), run, print_note, examples)
    if falling:
        paces = [json.loads(line)["train/examples_per_s"] for line in log_of(log, earlier)]
        if not paces:
            sys.exit("too short to know how many steps the learning rate may take to fall")
        steps = round(statistics.median(paces) * 60 * falling / recipe.run.batch_size)
        end = torch.load(last, weights_only=True, mmap=True)["global_step"] + steps
        fall = [f"run.max_steps={end}", f"optimisation.decay_steps={steps}"]
        fall += [*options.override, f"run.max_minutes={falling}"]
        model = train(read_recipe(options.recipe, fall), run, print_note, examples)

    for name in ("model.safetensors", "config.json"):
        shutil.copyfile(model / name, out / name)
    shutil.copyfile(log, out / "log.jsonl")
    for piece in out.glob("state.*"):
        piece.unlink()
    state.split(last, out)


def log_of(log: Path, earlier: int) -> list[str]:
    """The lines that this job wrote about its training."""
    return [line for line in log.read_text().splitlines()[earlier:] if "examples_per_s" in line]


def unpack_wheels(folder: Path) -> None:
    """Make the wheels of the packed set importable where soundfile is missing."""
    if importlib.util.find_spec("soundfile") is None and folder.is_dir():
        place = tempfile.mkdtemp()
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place)
        sys.path.append(place)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=HERE / "continued.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=HERE / "run", help="run folder")
    parser.add_argument("--returned", type=Path, default=HERE / "returned", help="earlier OUT")
    parser.add_argument(
        "--minutes", type=float, default=8.5, help="of training; starting takes up to one more"
    )
    parser.add_argument(
        "--falling", type=float, default=0, help="share of them in which the learning rate falls"
    )
    parser.add_argument("--override", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser


if __name__ == "__main__":
    main()
