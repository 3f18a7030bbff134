"""How an adaptation trains: the settings, and the recipe that they make for a model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from speechduet.audio.folders import resolved
from speechduet.data import Mixing
from speechduet.model.folder import Pretrained, describe
from speechduet.sampler import Sampling
from speechduet.settings import Count, Positive, Seed, Settings
from speechduet.training.draws import TrainingTime
from speechduet.training.losses import LossSettings
from speechduet.training.optimisation import Optimisation
from speechduet.training.perceptual import SAMPLE_RATE
from speechduet.training.recipe_file import TrainingRecipe
from speechduet.training.settings import DataSettings, RunSettings

_EXCERPT_S = 2.0
_PERCEPTUAL, _BETA = 40.0, 0.5
"""Weight of the term after PESQ, which there is at 16 kHz only, and the blend that it hears."""
_LOG_STEPS = 10
"""A line for every tenth of the steps, but not less often: a minute of one processor core."""
_AROUND = 0.1
"""How far from the time at which a mode's step starts the generative decoder is trained."""


@dataclass(frozen=True)
class Adaptation(Settings):
    """How long and how fast a model is fine-tuned."""

    steps: Count = 100
    """Of eight excerpts of two seconds."""
    learning_rate: Positive = 2e-4
    """It falls to 0 over the second half."""
    seed: Seed = 0


def recipe_of(
    pretrained: Pretrained,
    noise: Path,
    speech: Path,
    excerpt_s: float,
    settings: Adaptation,
) -> TrainingRecipe:
    """By losses after those of the bundled model's training; what it starts from is given apart.

    Without the term after PESQ the bundled model loses what it had gained by it.
    """
    return TrainingRecipe(
        replace(describe(pretrained), name=f"{pretrained.name}_adapted"),
        # Whole, so that a folder which is spelled otherwise is not called another setting.
        DataSettings(speech=str(resolved(speech)), noise=str(resolved(noise))),
        Mixing(excerpt_s=excerpt_s),
        LossSettings(
            "clean",
            generative=1.0,
            magnitude=1.0,
            si_sdr=2.0,
            terms_for="both",
            perceptual=_PERCEPTUAL * (pretrained.spectrogram.sample_rate == SAMPLE_RATE),
            heard_beta=_BETA,
        ),
        times(pretrained.modes),
        Optimisation(
            settings.learning_rate,
            weight_decay=0.01,
            warmup_steps=20,
            decay_steps=settings.steps // 2,
        ),
        RunSettings(
            max_steps=settings.steps,
            ema_decay=0.98,
            gradient_clip=20.0,
            seed=settings.seed,
            checkpoint_every_steps=50,
            log_every_steps=min(_LOG_STEPS, max(1, settings.steps // 10)),
        ),
    )


def times(modes: Mapping[str, Sampling]) -> TrainingTime:
    """The states that a model's modes lead to.

    If all take one step at most, from the prediction on, the decoders are trained in a chain as
    the bundled model was; else at times of the whole process.
    """
    generative = [mode for mode in modes.values() if mode.steps]
    chained = generative and all(
        mode.steps == 1 and mode.start_from == "predictive" and mode.predict_once
        for mode in generative
    )
    if not chained:
        return TrainingTime(at_start=0.5, own_states=0.9)
    starts = [mode.start for mode in generative]
    between = max(0.0, min(starts) - _AROUND), min(1.0, max(starts) + _AROUND)
    return TrainingTime(chained=True, between=between)


def training_excerpt_s(pretrained: Pretrained) -> float:
    """The least length from `_EXCERPT_S` on whose frames the network takes."""
    transform, multiple = pretrained.spectrogram, pretrained.system.frame_multiple
    frames = transform.frames(round(_EXCERPT_S * transform.sample_rate))
    return (frames + -frames % multiple - 1) * transform.hop / transform.sample_rate
