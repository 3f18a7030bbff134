"""The model as a module of other people's networks."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import speechduet
from speechduet.enhancement.module import EnhancementModule
from speechduet.errors import ModelError, SettingError
from speechduet.model.folder import load, save


@pytest.fixture
def module(tiny_model: Path) -> EnhancementModule:
    return EnhancementModule(tiny_model)


@pytest.fixture
def published(tiny_model: Path, tmp_path: Path) -> Path:
    """A model that leaves direct current in, as the module does."""
    model = load(tiny_model)
    save(replace(model, spectrogram=replace(model.spectrogram, published=True)), tmp_path)
    return tmp_path


def test_it_gives_what_the_enhancer_gives(published: Path) -> None:
    noisy = torch.randn(3, 20_001) * torch.tensor([[0.1], [1.0], [5.0]])
    enhancer = speechduet.Enhancer.from_pretrained(published, device="cpu", backend="pytorch")
    expected = enhancer(noisy, 16_000, "fast")
    with torch.no_grad():
        found = speechduet.EnhancementModule(published)(noisy)
    assert found.shape == noisy.shape and found.dtype == torch.float32
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_bundled_model_differs_by_direct_current_alone(speech: Tensor) -> None:
    noisy = torch.as_tensor(speech)[None] - float(speech.mean())
    module = EnhancementModule()
    assert module.sample_rate == 16_000
    expected = speechduet.Enhancer.from_pretrained(device="cpu")(noisy, 16_000, "fast")
    with torch.no_grad():
        error = module(noisy) - expected
    assert error.square().mean() < 1e-3 * expected.square().mean()


def test_level_silence_and_batch(module: EnhancementModule) -> None:
    noisy = torch.randn(2, 8000)
    noisy[1] = 0
    with torch.no_grad():
        both, alone, louder = module(noisy), module(noisy[:1]), module(4 * noisy)
    assert (both[1] == 0).all()
    torch.testing.assert_close(both[:1], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(louder, 4 * both, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 100, 512, 5000])
def test_any_length(module: EnhancementModule, samples: int) -> None:
    with torch.no_grad():
        assert module(torch.randn(1, samples)).shape == (1, samples)


def test_gradients_reach_the_input_and_if_wished_the_weights(tiny_model: Path) -> None:
    noisy = torch.randn(2, 4000, requires_grad=True)
    for trainable in (False, True):
        module = EnhancementModule(tiny_model, trainable=trainable)
        noisy.grad = None
        module(noisy).square().mean().backward()
        assert noisy.grad is not None
        assert noisy.grad.isfinite().all() and (noisy.grad.abs().amax(1) > 0).all()
        reached = {
            name.split(".")[1] for name, p in module.named_parameters() if p.grad is not None
        }
        assert reached == ({"encoder", "predictive_decoder"} if trainable else set())
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    before = copy.deepcopy(module.state_dict())
    optimiser.step()
    assert any(not before[name].equal(value) for name, value in module.state_dict().items())


def test_the_gradient_is_the_slope(tiny_model: Path) -> None:
    module = EnhancementModule(tiny_model).double()
    noisy = torch.randn(1, 3000, dtype=torch.float64)
    noisy[0, 10] = 9.0  # the peak, which is taken as a constant
    direction = torch.randn_like(noisy)
    direction[0, 10] = 0
    noisy.requires_grad_()
    (gradient,) = torch.autograd.grad(module(noisy).square().sum(), noisy)
    with torch.no_grad():
        step = 1e-5
        up, down = (module(noisy + s * direction).square().sum() for s in (step, -step))
    assert float((up - down) / (2 * step)) == pytest.approx(
        float((gradient * direction).sum()), rel=1e-4
    )


def test_export_for_any_batch_and_length(module: EnhancementModule) -> None:
    automatic = torch.export.Dim.AUTO
    example = torch.randn(2, 16_000)
    program = torch.export.export(
        module, (example,), dynamic_shapes={"noisy": {0: automatic, 1: automatic}}, strict=False
    )
    exported = program.module()
    for batch, samples in ((2, 16_000), (1, 16_000), (3, 23_456)):
        noisy = torch.randn(batch, samples)
        with torch.no_grad():
            expected = module(noisy)
            torch.testing.assert_close(exported(noisy), expected, rtol=1e-4, atol=1e-5)
    # Tracing leaves nothing behind that other enhancers would meet.
    assert type(expected) is Tensor and expected.isfinite().all()


def test_its_weights_are_the_systems(module: EnhancementModule, tiny_model: Path) -> None:
    assert {name.partition(".")[0] for name in module.state_dict()} == {"system"}
    other = EnhancementModule(tiny_model)
    other.load_state_dict(module.state_dict())


def test_models_that_cannot(shared: Path) -> None:
    with pytest.raises(SettingError, match="no predictive decoder"):
        EnhancementModule(shared / "reference/sgmse_plus.ckpt")
    with pytest.raises(ModelError, match="no model"):
        EnhancementModule("absent")
