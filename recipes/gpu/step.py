"""One step of training on inputs that stay where they are, and as a CUDA graph."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from speechduet.backend.eager import Bfloat16
from speechduet.training.building import build
from speechduet.training.checkpoints import save_model
from speechduet.training.errors import TrainingError
from speechduet.training.module import Training
from speechduet.training.recipe_file import TrainingRecipe

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

    def means(self, steps: int) -> dict[str, float]:
        """Of what was measured in the last steps; TrainingError if the loss is not finite."""
        means = {name: round(float(total / steps), 5) for name, total in self.sums.items()}
        for total in self.sums.values():
            total.zero_()
        if not math.isfinite(means.get("loss", 0.0)):
            raise TrainingError(
                f"the loss is {means['loss']}",
                "a finite number",
                "lower optimisation.learning_rate or set run.gradient_clip, and start again",
            )
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
        kept = [parameter.detach().clone() for parameter in self.parameters]
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.average)
            save_model(self.recipe, self.module, folder, steps)
            torch._foreach_copy_(self.parameters, kept)


def module_on(device: torch.device, recipe: TrainingRecipe) -> Training:
    """The module with its first weights, its networks in the recipe's precision."""
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
