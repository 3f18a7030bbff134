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
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TextIO

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

try:
    import job
    import torch
    from torch import Tensor
    from torch.nn import functional

    from speechduet.errors import SettingError, SpeechduetError
    from speechduet.training.errors import TrainingError
    from speechduet.training.loading import Batch, examples_of, training_batches
    from speechduet.training.module import Training
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
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"graphs: {error.filename}: {error.strerror}")


def train(options: argparse.Namespace) -> None:
    """The whole run."""
    # All batches have one size: the quickest kernels are worth a search.
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = read_recipe(options.recipe, options.override)
    check(recipe)
    device = device_of(recipe.run.accelerator)
    torch.manual_seed(recipe.run.seed)
    if device.type != "cuda":
        print_note("there is no GPU: a step will take seconds for each of its examples")
    if recipe.run.compile:
        print_note("compiling the networks, a minute and a half on 16 cores")
    # Recordings are read meanwhile, which takes a minute too.
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(examples_of, recipe, print_note)
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
        "run.precision": run.precision not in ("32-true", "bf16-mixed"),
    }
    for key, used in left_out.items():
        if used:
            raise SettingError(
                f"{recipe.place_of(key)}: {key} does not work in graphs.py", remedy="take job.py"
            )


Run = Callable[[], None]


class Step:
    """A step of training, on inputs that stay where they are: what a graph can record."""

    def __init__(self, recipe: TrainingRecipe, device: torch.device) -> None:
        self.recipe = recipe
        samples = round(recipe.mixing.excerpt_s * recipe.model.spectrogram.sample_rate)
        self.clean, self.noisy = torch.zeros(2, recipe.run.batch_size, samples, device=device)
        self.module = module_on(device, recipe)
        if recipe.run.compile:
            self.check_compiled(device)
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]
        self.rate = torch.zeros((), device=device)
        cuda = device.type == "cuda"
        decay = recipe.optimisation.weight_decay
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=self.rate, weight_decay=decay, capturable=cuda, fused=cuda
        )
        self.sums: dict[str, Tensor] = {}
        """Of what was measured, over the steps since they were last set to 0."""

    def __call__(self) -> None:
        """Loss, gradients, weights, their moving average."""
        loss = gradients(self.module, self.clean, self.noisy)
        for parameter in self.parameters:
            if parameter.grad is not None:
                torch.nan_to_num_(parameter.grad, 0.0, 0.0, 0.0)
        norm = torch.nn.utils.clip_grad_norm_(
            self.parameters, self.recipe.run.gradient_clip or math.inf
        )
        self.optimiser.step()
        weights = [parameter.detach() for parameter in self.parameters]
        torch._foreach_lerp_(self.average, weights, 1 - self.recipe.run.ema_decay)
        measured = {"loss": loss, **self.module.running_means.means(), "gradient_norm": norm}
        for name, value in measured.items():
            self.sums.setdefault(name, torch.zeros_like(value.detach())).add_(value.detach())

    def check_compiled(self, device: torch.device) -> None:
        """Raise TrainingError if compiled networks have other gradients than the plain ones.

        Some versions of PyTorch make wrong ones without a word.
        """
        clean = 0.1 * torch.randn_like(self.clean)
        noisy = clean + 0.05 * torch.randn_like(clean)
        plain = replace(self.recipe, run=replace(self.recipe.run, compile=False))
        found = []
        for module in (self.module, module_on(device, plain)):
            torch.manual_seed(0)
            gradients(module, clean, noisy)
            parts = [p.grad.flatten().float() for p in module.parameters() if p.grad is not None]
            found.append(torch.cat(parts))
            module.zero_grad()
        compiled, expected = found
        cosine = float(functional.cosine_similarity(compiled, expected, dim=0))
        ratio = float(compiled.norm() / expected.norm())
        if cosine < 0.99 or abs(ratio - 1) > 0.05:
            raise TrainingError(
                f"compiled networks get other gradients: cosine {cosine:.3f}, ratio {ratio:.3f}",
                remedy="--override run.compile=false",
            )

    def means(self) -> dict[str, float]:
        """Of what was measured in each of the last ``log_every_steps`` steps."""
        every = self.recipe.run.log_every_steps
        means = {name: round(float(total / every), 5) for name, total in self.sums.items()}
        for total in self.sums.values():
            total.zero_()
        return means

    def restart(self, weights: Sequence[Tensor]) -> None:
        """As if no step had been done since the weights were these."""
        with torch.no_grad():
            for many in (self.parameters, self.average):
                torch._foreach_copy_(many, list(weights))
            for state in self.optimiser.state.values():
                for value in state.values():
                    value.zero_()
            for total in self.sums.values():
                total.zero_()

    def save(self, folder: Path, steps: int) -> None:
        """The averaged weights as a model folder."""
        from speechduet.training.checkpoints import save_model

        kept = [parameter.detach().clone() for parameter in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            save_model(self.recipe, self.module, folder, steps)
            torch._foreach_copy_(self.parameters, kept)


def module_on(device: torch.device, recipe: TrainingRecipe) -> Training:
    """The module with its first weights, its networks in the recipe's precision."""
    from speechduet.backend.eager import Bfloat16
    from speechduet.training.building import build

    module = build(recipe).to(device).train()
    if recipe.run.precision == "bf16-mixed":
        # The losses stay in float32.
        module.system = module.system.evaluated_by(Bfloat16(module.system))
    return module


def gradients(module: Training, clean: Tensor, noisy: Tensor) -> Tensor:
    """Those of a batch, put into the parameters; returns the loss."""
    module.zero_grad()
    x_0, y = module.spectrogram.encode(clean), module.spectrogram.encode(noisy)
    losses = module.part_losses(x_0, y, clean.shape[-1], None)
    for name, part in losses._asdict().items():
        if part is not None:
            module.running_means.add(name, part)
    loss = module.weighted(losses)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def recorded(step: Step) -> Run:
    """The step as a CUDA graph; its weights are afterwards what they were."""
    weights = [parameter.detach().clone() for parameter in step.parameters]
    step.noisy.copy_(0.1 * torch.randn_like(step.noisy))
    step.clean.copy_(step.noisy)
    # What is made but once (plans, windows, the optimiser's state) must not belong to the graph.
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    step.module.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    step.restart(weights)
    return graph.replay


def by_the_clock(
    step: Step, run: Run, batches: Iterator[Batch], log: TextIO, options: argparse.Namespace
) -> int:
    """Train for the time that was asked for; returns the number of steps."""
    settings, optimisation = step.recipe.run, step.recipe.optimisation
    marks = sorted(options.keep)
    ahead: list[torch.cuda.Event] = []
    begun = logged = time.monotonic()
    steps = 0
    while (share := (time.monotonic() - begun) / (60 * options.minutes)) < 1:
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
        step.module.examples_seen += settings.batch_size
        if marks and share >= marks[0]:
            step.save(options.out / f"at_{marks.pop(0):g}", steps)
        if steps % settings.log_every_steps == 0:
            now = time.monotonic()
            pace = settings.log_every_steps * settings.batch_size / (now - logged)
            row = {"step": steps, "seconds": round(now - begun, 1), **step.means()}
            row |= {"learning_rate": float(step.rate), "examples_per_s": round(pace, 1)}
            print(json.dumps(row), file=log, flush=True)
            print(f"step {steps}  loss {row['loss']:.4g}  {pace:.1f} examples/s", flush=True)
            logged = now
            if not math.isfinite(row["loss"]):
                raise TrainingError(f"the loss is {row['loss']} before step {steps}")
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
