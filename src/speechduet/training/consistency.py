"""What the sections of a recipe have to do with each other; each check raises SettingError."""

import torch

from speechduet.errors import SettingError
from speechduet.model.config import Config
from speechduet.network.layout import Layout
from speechduet.training.draws import TrainingTime
from speechduet.training.losses import LossSettings
from speechduet.training.perceptual import SAMPLE_RATE
from speechduet.training.settings import RunSettings


def check_parts(model: Config, excerpt_s: float) -> None:
    """The system uses the parts that are described, and the network takes the excerpt's frames."""
    layout = model.layout
    for section, part, used in (
        ("predictive_network", model.predictive_network, layout.predictive == "own"),
        ("process", model.process, layout.generative),
    ):
        if part is not None and not used:
            raise SettingError(
                f"{section} is given for a system that does not use one",
                "no such section",
                f"remove it, set {section} to null, or change system.layout",
            )
    transform, multiple = model.spectrogram, model.network.frame_multiple
    frames = transform.frames(round(excerpt_s * transform.sample_rate))
    if frames % multiple:
        fitting = (frames + -frames % multiple - 1) * transform.hop / transform.sample_rate
        raise SettingError(
            f"mixing.excerpt_s of {excerpt_s} makes {frames} frames",
            f"a multiple of the network's {multiple}",
            f"set mixing.excerpt_s to {fitting:.12g}",
        )


def check_losses(model: Config, losses: LossSettings, run: RunSettings) -> None:
    """Something is trained, and what is measured for it can be."""
    layout = model.layout
    weights = {
        "losses.generative": losses.generative * layout.generative,
        "losses.predictive": losses.predictive * (layout.predictive != "none"),
    }
    if not any(weights.values()):
        raise SettingError(
            f"{' and '.join(weights)} are 0 for all parts that the system has",
            "more than 0 for one of them",
        )
    process = model.process if layout.generative else None
    middle = torch.tensor([0.5], device="cpu")
    if losses.weighting == "score" and process is not None and not process.score_weight(middle):
        raise SettingError("losses.weighting is 'score' for a process without noise", "'clean'")
    for name in ("perceptual", "adversarial", "matching"):
        if getattr(losses, name) and not layout.generative:
            raise SettingError(
                f"losses.{name} is given for a system without a generative decoder", "0"
            )
    rate = model.spectrogram.sample_rate
    if losses.perceptual and rate != SAMPLE_RATE:
        raise SettingError(
            f"losses.perceptual is given for a model at {rate} Hz", f"0, or {SAMPLE_RATE} Hz"
        )
    if losses.heard_beta < 1 and (layout.predictive == "none" or not layout.generative):
        raise SettingError("losses.heard_beta is given for a system without two decoders", "1")
    measured = run.gradient_norms_every_steps
    balanced = losses.balance != "fixed"
    if (measured or balanced) and not (layout.generative and layout.predictive == "shared"):
        name = "losses.balance" if balanced else "run.gradient_norms_every_steps"
        raise SettingError(
            f"{name} is given for a system without a shared encoder",
            "system.layout.predictive 'shared'",
        )
    if balanced and not measured:
        raise SettingError(
            f"losses.balance is {losses.balance!r}, but no gradient norm is measured",
            "run.gradient_norms_every_steps of 1 or more",
        )
    if measured and run.compile:
        raise SettingError(
            "run.compile with run.gradient_norms_every_steps",
            "one of the two: compiled networks allow one backward pass",
        )


def check_times(layout: Layout, times: TrainingTime) -> None:
    """States of inference are of systems that predict."""
    if times.own_states and layout.predictive == "none":
        raise SettingError(
            f"times.own_states is {times.own_states} for a system that does not predict",
            "0, or a predictive part",
        )
    if times.chained and not (layout.generative and layout.predictive == "shared"):
        raise SettingError(
            "times.chained for a system without two decoders", "system.layout.predictive 'shared'"
        )
