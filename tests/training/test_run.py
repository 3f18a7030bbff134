import json
import math
import multiprocessing
import os
import resource
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data._utils import signal_handling

from speechduet.data.mono import Samples
from speechduet.errors import AudioError, ModelError, SettingError
from speechduet.model.folder import load
from speechduet.training import run, validation
from speechduet.training.building import build
from speechduet.training.errors import TrainingError
from speechduet.training.loading import Batch
from speechduet.training.module import Losses, Training
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")


def saved(folder: Path) -> dict[str, Any]:
    """What ``last.ckpt`` holds."""
    state: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)
    return state


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_a_model_its_scores_and_its_log(validated: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = ["run.other_ema_decays=[0.5]", "run.keep_best=2", "run.show_examples=1"]
    model = load(train(read_recipe(validated, settings), folder))
    assert model.metadata["training"] == {"steps": 9, "audio_hours": 0.0}
    assert load(folder / "model_ema_0.5").name == "tiny"
    best = [load(path) for path in (folder / "best").iterdir()]
    assert len(best) == 2
    assert "valid/pesq_balanced" in best[0].metadata["training"]["validation"]
    lines = log(folder)
    assert [line["step"] for line in lines if "train/loss" in line] == [3, 6, 9]
    measured = [line for line in lines if "valid/pesq_fast" in line]
    assert [line["step"] for line in measured] == [4, 8, 9]
    for score in ("pesq", "estoi", "si_sdr"):
        assert math.isfinite(measured[0][f"valid/{score}_balanced"])
    events = next((folder / "tensorboard").glob("events*")).read_bytes()
    assert b"cafe/balanced" in events


def test_nan_stops_names_the_examples_and_keeps_the_checkpoint(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Training.part_losses

    def poisoned(module: Training, x_0: Tensor, y: Tensor, n: int, examples: Any) -> Losses:
        losses = whole(module, x_0, y, n, examples)
        assert losses.predictive is not None
        bad = losses._replace(predictive=losses.predictive * math.nan)
        return bad if 10 in examples else losses

    monkeypatch.setattr(Training, "part_losses", poisoned)
    with pytest.raises(TrainingError, match=r"nan in step 5 with the examples 10, 11"):
        train(read_recipe(recipe), tmp_path / "run")
    kept = saved(tmp_path / "run")
    assert kept["global_step"] == 4
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())


def test_weights_that_are_not_finite_are_not_kept(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Training.training_step

    def exploding(module: Training, batch: Batch, index: int) -> Tensor:
        return step(module, batch, index) * (math.inf if 6 in batch.examples else 1)

    monkeypatch.setattr(Training, "training_step", exploding)
    with pytest.raises(TrainingError, match="not finite after step 4"):
        train(read_recipe(recipe), tmp_path / "run")
    assert saved(tmp_path / "run")["global_step"] == 2


def test_a_worker_that_is_killed_ends_the_run_in_one_line(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Training.training_step

    def killing(module: Training, batch: Batch, index: int) -> Tensor:
        for worker in multiprocessing.active_children() if 10 in batch.examples else ():
            worker.kill()
            time.sleep(30)  # which PyTorch's handler of the signal interrupts
        return step(module, batch, index)

    monkeypatch.setattr(Training, "training_step", killing)
    # PyTorch sets its handler once for each process; another test may have taken it away.
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)
    settings = read_recipe(recipe, ["run.workers=1"])
    with pytest.raises(TrainingError, match=r"was killed; start again: .*lower run\.workers"):
        train(settings, tmp_path / "run")
    assert saved(tmp_path / "run")["global_step"] == 4
    monkeypatch.setattr(Training, "training_step", step)
    train(settings, tmp_path / "run")
    assert saved(tmp_path / "run")["global_step"] == 9


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_end_says_so(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, workers: int
) -> None:
    step = Training.training_step

    def ending(module: Training, batch: Batch, index: int) -> Tensor:
        if 10 in batch.examples:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid or 0, number)
            signal.raise_signal(number)
        return step(module, batch, index)

    monkeypatch.setattr(Training, "training_step", ending)
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(TrainingError, match="asked to end .*; the same command goes on"):
            train(read_recipe(recipe, [f"run.workers={workers}"]), tmp_path / "run")
    finally:
        signal.signal(signal.SIGINT, before)
    # Lightning may still end the step, after which there is another checkpoint.
    assert saved(tmp_path / "run")["global_step"] in (4, 6)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A file that grows beyond so many bytes fails, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(read_recipe(recipe, ["run.max_minutes=1e-9"]), folder)
    before = (folder / "last.ckpt").read_bytes()
    with files_of_at_most(20_000), pytest.raises(TrainingError, match=r"cannot write.*disk space"):
        train(read_recipe(recipe), folder)
    assert (folder / "last.ckpt").read_bytes() == before
    assert not (folder / "last.ckpt.part").exists()
    train(read_recipe(recipe), folder)
    assert saved(folder)["global_step"] == 9


def test_checkpoints_need_no_temporary_folder(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be full, and what a killed run left there nobody would remove."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    train(read_recipe(recipe), tmp_path / "run")
    assert saved(tmp_path / "run")["global_step"] == 9


def test_a_model_that_does_not_fit_on_the_disk_is_a_failed_run(
    recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "model.safetensors").mkdir()
    with pytest.raises(TrainingError, match=r"cannot write .*model.*start again"):
        train(read_recipe(recipe, ["run.max_steps=1"]), tmp_path / "run")


def test_a_measure_that_is_missing_is_told(
    validated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "installed", lambda *_: False)
    notes: list[str] = []
    train(read_recipe(validated, ["run.max_steps=1"]), tmp_path / "run", notes.append)
    (line,) = [line for line in notes if "SI-SDR" in line]
    assert "speechduet[evaluation]" in line
    assert [path.name[:6] for path in (tmp_path / "run" / "best").iterdir()] == ["si_sdr"]


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1], {"hparams": Path("a")}])
def test_a_foreign_checkpoint_is_refused(content: object, recipe: Path, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ModelError, match="no checkpoint of a run"):
        train(read_recipe(recipe), tmp_path)


def test_gradient_norms_are_logged_and_balanced(recipe: Path, tmp_path: Path) -> None:
    settings = ["run.gradient_norms_every_steps=2", "losses.balance=gradient_norm"]
    train(read_recipe(recipe, settings), tmp_path)
    for line in log(tmp_path):
        assert line["train/gradient_norm_generative"] > 0
        assert line["train/gradient_norm_predictive"] > 0
        weights = [line["train/weight_generative"], line["train/weight_predictive"]]
        assert sum(weights) == pytest.approx(1.0, abs=1e-4)


def test_a_run_may_start_from_a_model_of_the_same_system(recipe: Path, tiny_model: Path) -> None:
    size = "channels: [4, 4, 6, 6], width: 16, encoder_blocks: 1, decoder_blocks: 1"
    network = f"network={{kind: compact, {size}}}"
    settings = [network, "spectrogram={}", f"run.start_from={tiny_model}"]
    module = build(read_recipe(recipe, settings))
    known = load(tiny_model).system.state_dict()
    found = module.system.state_dict()
    assert all(torch.equal(found[name], weights) for name, weights in known.items())
    assert all(parameter.requires_grad for parameter in module.system.parameters())
    with pytest.raises(ModelError, match=r"^override 'run.start_from=.*same system and size"):
        build(read_recipe(recipe, [f"run.start_from={tiny_model}"]))


def test_what_a_run_starts_from_is_named(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text() + "  start_from: nowhere\n")
    with pytest.raises(ModelError, match=rf"^{recipe}: run.start_from: no model 'nowhere'"):
        train(read_recipe(recipe), tmp_path / "run")


def test_a_network_that_is_too_large_is_named(recipe: Path, tmp_path: Path) -> None:
    large = "network={kind: compact, bins: 64, channels: [4, 16384], width: 16384}"
    with pytest.raises(SettingError, match="^override 'network=.*: the networks have too"):
        train(read_recipe(recipe, [large, "run.seed=1"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_cannot_be(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="cannot create"):
        train(read_recipe(recipe), tmp_path / "file" / "run")


def test_a_machine_without_the_device_is_told_so(recipe: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    gpu, half = "run.accelerator=gpu", "run.precision=16-mixed"
    with pytest.raises(SettingError, match=f"^override '{gpu}': run.accelerator is 'gpu', which"):
        train(read_recipe(recipe, [gpu]), tmp_path / "run")
    with pytest.raises(SettingError, match=f"^override '{half}': run.precision is .* on a CPU"):
        train(read_recipe(recipe, [half]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_compiled_networks_give_the_same_losses(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_recipe(recipe, ["run.compile=true"])
    compile_part = torch.nn.Module.compile
    options = []

    def compiled_quickly(part: torch.nn.Module, **given: Any) -> None:
        options.append(given["options"])
        compile_part(part, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compiled_quickly)
    x_0, y = (torch.randn(2, 1, 64, 76, dtype=torch.complex64) for _ in range(2))
    compiled, plain = build(settings), build(read_recipe(recipe))
    for one, other in zip(
        compiled.part_losses(x_0, y, 4800, (0, 1)),
        plain.part_losses(x_0, y, 4800, (0, 1)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    # PyTorch takes these, for it raises on names that it does not know.
    torch.nn.Linear(1, 1).compile(options=options[0])


class Unreadable:
    """A recording among the examples is damaged."""

    def example(self, index: int) -> tuple[Samples, Samples]:
        if index == 5:
            raise AudioError("rain.flac is damaged", "a recording")
        return np.ones(4800, np.float32), np.ones(4800, np.float32)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_recording_is_one_line(
    workers: int, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "examples_of", lambda *_: Unreadable())
    with pytest.raises(AudioError) as caught:
        train(read_recipe(recipe, [f"run.workers={workers}"]), tmp_path / "run")
    assert str(caught.value) == "rain.flac is damaged; expected a recording"
