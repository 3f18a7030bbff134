"""The training step of ours and of a clone."""

from pathlib import Path

import pytest
import torch

from speechduet.bench.request import Candidate, Request
from speechduet.bench.workloads import workload

OURS = Candidate("speechduet", "float32")


def test_both_codes_have_the_same_loss_step_after_step(sgmse_model: str, clone: Path) -> None:
    request = Request(model=sgmse_model, sgmse=clone, seconds=0.1, batch_size=2, train=True)
    ours, theirs = (workload(request, one) for one in request.candidates)
    losses = [(ours.run(), theirs.run()) for _ in range(3)]
    for mine, other in losses:
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=0)
    assert losses[0][0] != losses[2][0]  # the weights moved


def test_a_recipes_step_needs_no_data(tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(
        "name: tiny\n"
        "system: {layout: {generative: true, predictive: shared, parametrisation: clean}}\n"
        "network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, "
        "decoder_blocks: 1, bins: 64}\n"
        "process: {kind: ornstein_uhlenbeck}\n"
        "spectrogram: {n_fft: 126, hop: 64}\n"
        "modes: {fast: {steps: 0}}\n"
        "data: {pairs: nowhere}\n"
        "mixing: {excerpt_s: 0.3}\n"
        "run: {batch_size: 3}\n"
    )
    work = workload(Request(recipe=recipe, train=True), OURS)
    assert work.examples == 3 and work.audio_s == pytest.approx(0.9, abs=0.05)
    assert work.run().isfinite()
    again = workload(Request(recipe=recipe, train=True, batch_size=2, seconds=0.1), OURS)
    assert again.examples == 2 and again.audio_s == pytest.approx(0.2, abs=0.02)


def test_a_models_step_trains_all_of_its_weights(tiny_model: Path) -> None:
    work = workload(Request(model=str(tiny_model), train=True, seconds=0.2), OURS)
    first = work.run()
    assert first.isfinite() and not first.requires_grad
    assert work.run() != first
