"""One job on a bare GPU machine: train for some minutes, leave what the next job needs.

    python3 recipes/gpu/job.py --out OUT --minutes 8.5 [--falling 0.65] [--override KEY=VALUE]

It goes on from ``recipes/gpu/run/last.ckpt``, or else from the ``state.*`` that an earlier job left
and that now lie in ``recipes/gpu/returned``. In the last share ``--falling`` of the time the
learning rate falls to 0, over as many steps as the time allows by the pace before. OUT then holds,
each file below 16 MB, a model folder, ``state.*`` and ``log.jsonl``.
"""

import argparse
import importlib.util
import json
import math
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
    from speechduet.errors import SpeechduetError

    try:
        unpack_wheels(HERE / "packed/wheels")
        work(options)
    except SpeechduetError as error:
        sys.exit(f"job: {error}")
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"job: {error.filename}: {error.strerror}")


def work(options: argparse.Namespace) -> None:
    """Train, and leave what the next job needs."""
    import state
    import torch

    from speechduet.training.errors import TrainingError
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
    if not last.exists():
        bring(options.returned, last, log)
    log.touch()
    earlier = len(log.read_text().splitlines())

    recipe = read_recipe(options.recipe, options.override)
    examples = examples_of(recipe, print_note)
    falling = options.minutes * options.falling
    # Not a difference, which rounding could make 0: no limit.
    level = [f"run.max_minutes={options.minutes * (1 - options.falling)}", *options.override]
    model = train(read_recipe(options.recipe, level), run, print_note, examples)
    if falling:
        paces = [json.loads(line)["train/examples_per_s"] for line in log_of(log, earlier)]
        if not paces:
            raise TrainingError(
                f"{level[0]} is too short to know how many steps the learning rate may fall over",
                f"time for run.log_every_steps ({recipe.run.log_every_steps}) before it falls",
                "raise --minutes or lower --falling",
            )
        steps = round(statistics.median(paces) * 60 * falling / recipe.run.batch_size) or 1
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


def bring(returned: Path | None, last: Path, log: Path) -> None:
    """The checkpoint and the log that an earlier job left, if there was one."""
    import state

    from speechduet.errors import ModelError

    folder = returned or HERE / "returned"
    named = [folder / name for name in ("state.00", "log.jsonl")]
    found = [path for path in named if path.is_file()]
    if len(found) == len(named):
        # The checkpoint last: with it, the next call goes on from here.
        shutil.copyfile(folder / "log.jsonl", log)
        state.join(folder, last)
    elif found or returned:
        missing = next(path for path in named if path not in found)
        raise ModelError(f"{missing} is not there", "state.* and log.jsonl of an earlier job")


def log_of(log: Path, earlier: int) -> list[str]:
    """The lines that this job wrote about its training."""
    return [line for line in log.read_text().splitlines()[earlier:] if "examples_per_s" in line]


def unpack_wheels(folder: Path) -> None:
    """Make the wheels of the packed set importable where soundfile is missing."""
    from speechduet.errors import FileError
    from speechduet.files.zipped import DAMAGED_ZIP

    if importlib.util.find_spec("soundfile") is None and folder.is_dir():
        place = tempfile.mkdtemp()
        for wheel in folder.glob("*.whl"):
            try:
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(place)
            except DAMAGED_ZIP as error:
                raise FileError(f"{wheel} is damaged ({error})", "a wheel of pack.py") from error
        sys.path.append(place)


def minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"it is {text}; expected a number above 0")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"it is {text}; expected 0 or more and less than 1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=HERE / "continued.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=HERE / "run", help="run folder")
    parser.add_argument("--returned", type=Path, help="earlier OUT; default: returned, if there")
    parser.add_argument(
        "--minutes", type=minutes, default=8.5, help="of training; starting takes up to one more"
    )
    parser.add_argument(
        "--falling",
        type=share,
        default=0.0,
        help="share of them in which the learning rate falls; less than 1, for the pace must be "
        "known before it does",
    )
    parser.add_argument("--override", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser


if __name__ == "__main__":
    main()
