"""A training recipe: one YAML file with the model, its data, its losses and its run.

The model's sections (``name``, ``system``, ``network``, ``process``, ``spectrogram``, ``modes``) are
those of a model folder's ``config.json``, so that what is trained is what will be loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from speechduet.config import FORMAT, Config, record
from speechduet.data import Mixing
from speechduet.errors import SettingError
from speechduet.training.losses import LossSettings
from speechduet.training.module import Optimisation, TrainingTime


@dataclass(frozen=True)
class DataSettings:
    """Folders of training audio, and the pairs to validate on; paths are relative to the caller."""

    speech: str
    noise: str
    speech_weights: Mapping[str, float] = field(default_factory=dict)
    noise_weights: Mapping[str, float] = field(default_factory=dict)
    valid_clean: str = ""
    valid_noisy: str = ""


@dataclass(frozen=True)
class RunSettings:
    """How long, how often, where, and from what."""

    max_steps: int = 100_000
    batch_size: int = 8
    workers: int = 1
    seed: int = 0
    ema_decay: float = 0.999
    gradient_clip: float = 0.0
    precision: str = "32-true"
    accelerator: str = "auto"
    valid_every_steps: int = 1000
    checkpoint_every_steps: int = 200
    log_every_steps: int = 50
    start_from: str = ""
    """A model folder whose weights to begin with."""


@dataclass(frozen=True)
class TrainingRecipe:
    """All of a recipe file, checked."""

    model: Config
    data: DataSettings
    mixing: Mixing
    losses: LossSettings
    times: TrainingTime
    optimisation: Optimisation
    run: RunSettings

    def audio_hours(self, steps: int) -> float:
        """Hours of mixtures seen after so many steps."""
        return steps * self.run.batch_size * self.mixing.excerpt_s / 3600


SECTIONS = {
    "data": DataSettings,
    "mixing": Mixing,
    "losses": LossSettings,
    "times": TrainingTime,
    "optimisation": Optimisation,
    "run": RunSettings,
}


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """Read a recipe; each override is ``section.key=value`` with the value in YAML."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"cannot read {path} ({error.strerror})", "a recipe file") from None
    except yaml.YAMLError as error:
        line = str(error).replace("\n", " ")
        raise SettingError(f"{path} is not YAML ({line})", "a recipe file") from None
    if not isinstance(values, dict):
        raise SettingError(f"{path} holds {type(values).__name__}", "named sections")
    for override in overrides:
        _apply(values, override)
    sections: dict[str, Any] = {
        name: record(kind, values.pop(name, {}), name) for name, kind in SECTIONS.items()
    }
    model = Config.from_json({"format": FORMAT, **values})
    return TrainingRecipe(model, **sections)


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, name = key.split(".")
    if not equals or not name:
        raise SettingError(f"override {override!r}", "section.key=value")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise SettingError(f"override {override!r}: {section} is a value, not a section")
    values[name] = yaml.safe_load(text)
