"""Train on one GPU as fast as it goes: compiled networks, and each step one CUDA graph.

    python3 recipes/gpu/graphs.py --out OUT --minutes 12 --keep 0.58 [--falling 0.65]

A run of its own that nothing goes on from: no checkpoints, no validation, and the noise of the
diffusion process is drawn on the GPU, so that no two runs are alike. In the last share
``--falling`` of the time the learning rate falls to 0. OUT then holds ``log.jsonl``, the model
folder ``end`` and one more for each share of the time after ``--keep``, such as ``at_0.58``; the
mean of two of them (recipes/corpus/average.py) can be better than either.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TextIO

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

try:
    import job
    import torch
    from step import Run, Step, recorded

    from speechduet.errors import SettingError, SpeechduetError
    from speechduet.training.errors import is_killed
    from speechduet.training.loading import Batch, examples_of, training_batches
    from speechduet.training.precision import device_of
    from speechduet.training.progress import print_note
    from speechduet.training.recipe_file import TrainingRecipe, read_recipe
except ImportError as error:
    sys.exit(f"graphs: {error.name} is not installed; recipes/gpu/README.md says how to bring it")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        train(options)
    except SpeechduetError as error:
        sys.exit(f"graphs: {error}")
    except KeyboardInterrupt:
        sys.exit("graphs: stopped; nothing can go on from here")
    except (OSError, EOFError, RuntimeError) as error:
        killed = is_killed(error, stopping=False, saved=False)
        if killed is None and not isinstance(error, OSError):
            raise
        sys.exit(f"graphs: {killed or error}")


def train(options: argparse.Namespace) -> None:
    """The whole run."""
    # All batches have one size: the quickest kernels are worth a search.
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    recipe = read_recipe(options.recipe, options.override)
    check(recipe)
    options.out.mkdir(parents=True, exist_ok=True)
    if any(options.out.iterdir()):
        raise SettingError(f"{options.out} is not empty", "a new folder for the run")
    device = device_of(recipe.run.accelerator)
    torch.manual_seed(recipe.run.seed)
    if device.type != "cuda":
        print_note("there is no GPU: a step will take seconds for each of its examples")
    if recipe.run.compile:
        print_note("compiling the networks, a minute and a half on 16 cores")
    # Recordings are read meanwhile, which takes a minute too.
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(examples_of, recipe, print_note)
        if wait([reading], timeout=1).done:  # what is not there is known at once
            reading.result()
        step = Step(recipe, device)
        run = recorded(step) if device.type == "cuda" else step
        examples = reading.result()
    batches = iter(training_batches(examples, 0, recipe, 0, 1))
    with (options.out / "log.jsonl").open("w") as log:
        steps = by_the_clock(step, run, batches, log, options)
    step.save(options.out / "end", steps)
    print(f"{steps} steps, {recipe.audio_hours(step.module.examples_seen):.1f} h of mixtures")


def check(recipe: TrainingRecipe) -> None:
    """Raise SettingError for what a step here leaves out."""
    losses, run = recipe.losses, recipe.run
    left_out = {
        "losses.adversarial": losses.adversarial,
        "losses.matching": losses.matching,
        "losses.balance": losses.balance != "fixed",
        "times.own_states": recipe.times.own_states,
        "run.accumulate": run.accumulate > 1,
        "run.devices": run.devices > 1,
        "run.other_ema_decays": run.other_ema_decays,
        "run.precision": run.precision not in ("32-true", "bf16-mixed"),
    }
    for key, used in left_out.items():
        if used:
            raise SettingError(
                f"{recipe.place_of(key)}: {key} does not work in graphs.py", remedy="take job.py"
            )


def by_the_clock(
    step: Step, run: Run, batches: Iterator[Batch], log: TextIO, options: argparse.Namespace
) -> int:
    """Train for the time that was asked for; returns the number of steps."""
    optimisation, every = step.recipe.optimisation, step.recipe.run.log_every_steps
    marks = sorted(set(options.keep))
    ahead: list[torch.cuda.Event] = []
    begun = logged = time.monotonic()
    steps = written = 0
    share = 0.0
    while share < 1:
        fall = (1 - share) / options.falling if options.falling else 1.0
        factor = min(optimisation.factor(steps, sys.maxsize), fall)
        step.rate.fill_(optimisation.learning_rate * factor)
        batch = next(batches)
        step.clean.copy_(batch.clean, non_blocking=True)
        step.noisy.copy_(batch.noisy, non_blocking=True)
        run()
        if step.rate.is_cuda:
            # Two steps may wait on the GPU, not more: the clock is to tell of work done.
            ahead.append(torch.cuda.Event())
            ahead[-1].record()
            if len(ahead) > 2:
                ahead.pop(0).synchronize()
        steps += 1
        step.module.examples_seen += len(batch.examples)
        share = (time.monotonic() - begun) / (60 * options.minutes)
        if steps % every == 0 or share >= 1:
            means = step.means(steps - written)
            now = time.monotonic()
            pace = (steps - written) * len(batch.examples) / (now - logged)
            row = {"step": steps, "seconds": round(now - begun, 1), **means}
            row |= {"learning_rate": float(step.rate), "examples_per_s": round(pace, 1)}
            print(json.dumps(row), file=log, flush=True)
            print(f"step {steps}  loss {means['loss']:.4g}  {pace:.1f} examples/s", flush=True)
            logged, written = now, steps
        while marks and share >= marks[0]:
            step.save(options.out / f"at_{marks.pop(0):g}", steps)
    return steps


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=HERE / "continued.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--minutes",
        type=job.minutes,
        default=12,
        help="of training; compiling is not counted",
    )
    parser.add_argument("--falling", type=job.share, default=0.65, help="share with a falling rate")
    parser.add_argument(
        "--keep", type=job.share, nargs="*", default=[], help="shares after which to save as well"
    )
    parser.add_argument("--override", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser


if __name__ == "__main__":
    main()
