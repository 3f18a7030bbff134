"""The fastest training on one GPU, very small and on the CPU, where there are no graphs."""

import importlib
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from gpu_scripts import GPU
from speechduet.model.folder import load
from speechduet.training.errors import TrainingError
from speechduet.training.recipe_file import TrainingRecipe, read_recipe

CPU = torch.device("cpu")
SIZE = "kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1"


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script; what it changes in its process is restored."""
    monkeypatch.setattr(sys, "path", [str(GPU), *sys.path])
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda _: None)
    return importlib.import_module("graphs")


@pytest.fixture
def overrides(root: Path) -> list[str]:
    """A network of nothing on the bundled samples."""
    return [
        *(f"data.speech={root}/samples/clean", f"data.noise={root}/samples/noisy"),
        *("data.speech_weights={}", f"network={{{SIZE}}}", "run.start_from=''"),
        *("run.workers=0", "run.batch_size=2", "run.accelerator=cpu", "run.precision=32-true"),
        *("run.compile=false", "run.log_every_steps=1", "mixing.excerpt_s=0.5"),
        "optimisation.warmup_steps=0",
    ]


@pytest.fixture
def small(overrides: list[str]) -> TrainingRecipe:
    """The recipe with them."""
    return read_recipe(GPU / "continued.yaml", overrides)


def filled(step: object) -> None:
    """Inputs other than silence."""
    torch.manual_seed(0)
    step.clean.copy_(0.1 * torch.randn_like(step.clean))  # type: ignore[attr-defined]
    step.noisy.copy_(step.clean + 0.1)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")
def test_a_run_leaves_models_of_several_times_and_its_log(
    graphs: ModuleType, overrides: list[str], tmp_path: Path
) -> None:
    options = [f"--out={tmp_path}", "--minutes=0.03", "--falling=0.5", "--keep", "0.99999", "0.2"]
    options += [f"--override={override}" for override in overrides]
    graphs.main(options)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [*range(1, len(rows) + 1)]
    rates = [row["learning_rate"] for row in rows]
    assert rates[0] == pytest.approx(1.5e-3) and rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.5 * rates[0]
    assert all(row["generative"] + row["predictive"] > 0 for row in rows)
    end, early = (load(tmp_path / name) for name in ("end", "at_0.2"))
    assert end.metadata["training"]["steps"] == len(rows)
    assert 1 <= early.metadata["training"]["steps"] < len(rows)
    states = end.system.state_dict(), early.system.state_dict()
    assert any(not torch.equal(states[0][name], states[1][name]) for name in states[0])
    # What is to be kept after the last step is as it was at the end.
    assert load(tmp_path / "at_0.99999").metadata["training"]["steps"] == len(rows)
    with pytest.raises(SystemExit, match=rf"^graphs: {tmp_path} is not empty; expected a new"):
        graphs.main(options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(), "stopped; nothing can go on from here"),
        (EOFError(), r"a process that prepares examples was killed; start again"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "was killed"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_ends_a_run_is_said_in_a_line(
    graphs: ModuleType,
    overrides: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    said: str,
) -> None:
    def ending(step: object) -> None:
        raise error

    monkeypatch.setattr(graphs.Step, "__call__", ending)
    options = [f"--override={override}" for override in overrides]
    with pytest.raises(SystemExit, match=f"^graphs: .*{said}"):
        graphs.main([f"--out={tmp_path}", *options])


@pytest.mark.filterwarnings("ignore")
def test_a_loss_that_is_not_finite_ends_a_run_though_nothing_was_to_be_logged(
    graphs: ModuleType, overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = sys.modules["step"]
    right = step.gradients  # type: ignore[attr-defined]
    monkeypatch.setattr(step, "gradients", lambda *given: right(*given) * torch.inf)
    options = [f"--override={override}" for override in (*overrides, "run.log_every_steps=1000")]
    with pytest.raises(SystemExit, match=r"^graphs: the loss is (nan|inf); expected a finite"):
        graphs.main([f"--out={tmp_path}", "--minutes=0.02", *options])
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


@pytest.mark.filterwarnings("ignore")
def test_a_step_changes_weights_and_average_and_can_be_undone(
    graphs: ModuleType, small: TrainingRecipe
) -> None:
    step = graphs.Step(small, CPU)
    before = [parameter.detach().clone() for parameter in step.parameters]
    filled(step)
    step.rate.fill_(1e-3)
    step()
    changes = [p.detach() - b for p, b in zip(step.parameters, before, strict=True)]
    assert max(float(change.abs().max()) for change in changes) == pytest.approx(1e-3, rel=0.1)
    for average, old, change in zip(step.average, before, changes, strict=True):
        torch.testing.assert_close(average, old + 0.002 * change)
    step.restart(before)
    for many in (step.parameters, step.average):
        assert all(torch.equal(one, old) for one, old in zip(many, before, strict=True))
    assert all(not value.any() for s in step.optimiser.state.values() for value in s.values())
    assert set(step.means(1).values()) == {0.0}


@pytest.mark.filterwarnings("ignore")
def test_other_gradients_of_compiled_networks_are_refused(
    graphs: ModuleType, small: TrainingRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = replace(small, run=replace(small.run, compile=True))
    monkeypatch.setattr(torch.nn.Module, "compile", lambda part, **_: None)
    graphs.Step(compiled, CPU)

    def wrongly(part: torch.nn.Module, **_: object) -> None:
        part.register_forward_pre_hook(
            lambda _, inputs: tuple(x + 1 if torch.is_tensor(x) else x for x in inputs)
        )

    monkeypatch.setattr(torch.nn.Module, "compile", wrongly)
    with pytest.raises(TrainingError, match="compiled networks get other gradients"):
        graphs.Step(compiled, CPU)


@pytest.mark.parametrize(
    "setting", ["losses.matching=1", "run.accumulate=2", "run.other_ema_decays=[0.9]"]
)
def test_what_a_step_leaves_out_is_refused(
    graphs: ModuleType, overrides: list[str], tmp_path: Path, setting: str
) -> None:
    options = [f"--override={override}" for override in [*overrides, setting]]
    with pytest.raises(SystemExit, match=rf"^graphs: override '{re.escape(setting)}': .*job\.py"):
        graphs.main([f"--out={tmp_path}", *options])
