"""What happens to a setting that was changed between two starts of a run: for each, one of two."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

from speechduet.errors import SpeechduetError
from speechduet.model.config import FORMAT, Config
from speechduet.training.recipe_file import MODEL_SECTIONS, SECTIONS, TrainingRecipe

Rule = Literal["applied", "fixed"]

_MODEL: Mapping[str, Rule] = {
    "name": "applied",
    "system": "fixed",
    "network": "fixed",
    "predictive_network": "fixed",
    "process": "fixed",
    "spectrogram": "fixed",
    "modes": "applied",
    "metadata": "applied",
}
_RUN: Mapping[str, Rule] = {
    "run.max_steps": "applied",
    "run.max_minutes": "applied",
    "run.batch_size": "applied",
    "run.accumulate": "applied",
    "run.workers": "applied",
    # The first weights are made with it, and with them it is too late.
    "run.seed": "fixed",
    # An average cannot start among the steps that it is of.
    "run.ema_decay": "fixed",
    "run.other_ema_decays": "fixed",
    "run.gradient_clip": "applied",
    "run.gradient_norms_every_steps": "applied",
    "run.precision": "applied",
    "run.compile": "applied",
    "run.accelerator": "applied",
    "run.devices": "applied",
    "run.nodes": "applied",
    "run.valid_every_steps": "applied",
    "run.keep_best": "applied",
    "run.show_examples": "applied",
    "run.checkpoint_every_steps": "applied",
    "run.log_every_steps": "applied",
    "run.start_from": "fixed",
}
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "data": (
        *("speech", "noise", "rooms", "speech_weights", "noise_weights", "pairs"),
        *("valid_clean", "valid_noisy", "valid_limit"),
    ),
    "mixing": (
        *("excerpt_s", "snr_db", "colour_db", "level_db", "pause_s", "second_noise"),
        *("coloured_noise", "babble", "murmur", "rumble", "rumble_db"),
        *("reverberation", "early_s"),
        *("clipping", "clipping_db", "band_limit", "band_limit_hz", "band_limit_target"),
    ),
    "losses": (
        *("weighting", "generative", "predictive", "balance", "magnitude", "excess", "si_sdr"),
        *("resolutions", "terms_for", "perceptual", "adversarial", "matching", "heard_beta"),
    ),
    "times": ("at_start", "own_states", "chained", "between"),
    "optimisation": ("learning_rate", "weight_decay", "warmup_steps", "decay_steps"),
}
"""All of these are applied from the next example, or the next step, on."""

ON_RESUME: Mapping[str, Rule] = {
    **_MODEL,
    **{f"{name}.{key}": "applied" for name, keys in _SECTIONS.items() for key in keys},
    **_RUN,
}
"""Every setting of a recipe. *applied*: the run goes on with the new value, and says so. *fixed*:
it is what the run is, and another value is refused by name."""


class Changes(NamedTuple):
    """Settings that differ from those a run was last started with, in words."""

    refused: list[str]
    applied: list[str]


def settings_of(recipe: TrainingRecipe) -> dict[str, Any]:
    """All settings by their names, as plain values that a checkpoint can hold."""
    model = recipe.model.to_json()
    settings = {part: model[part] for part in MODEL_SECTIONS}
    for section in SECTIONS:
        for name, value in asdict(getattr(recipe, section)).items():
            settings[f"{section}.{name}"] = value
    return {name: _plain(value) for name, value in settings.items()}


def recorded_in(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that a checkpoint holds; KeyError if it is none of a run."""
    if "settings" in checkpoint:
        held: Mapping[str, Any] = checkpoint["settings"]
        return held
    # Earlier versions held what is fixed alone, and not all of that.
    identity = dict(checkpoint["identity"])
    decay, *others = identity.pop("ema_decays")
    return {**identity, "run.ema_decay": decay, "run.other_ema_decays": others}


def changes(recorded: Mapping[str, Any], recipe: TrainingRecipe) -> Changes:
    """What a recipe changes of the settings of a checkpoint, by the rules of `ON_RESUME`."""
    found, recorded = Changes([], []), _completed(recorded)
    for name, value in settings_of(recipe).items():
        # A setting that was not there when the checkpoint was written cannot have been changed.
        if name in recorded and recorded[name] != value:
            difference = _difference(recorded[name], value, name)
            (found.refused if ON_RESUME[name] == "fixed" else found.applied).append(difference)
    return found


def _completed(recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the defaults of what a model's description did not yet say when it was recorded."""
    parts = {name: recorded[name] for name in MODEL_SECTIONS if name in recorded}
    try:
        complete = Config.from_json({"format": FORMAT, **parts}).to_json()
    except SpeechduetError:
        return recorded  # not a description of this version
    return {**recorded, **{name: _plain(complete[name]) for name in parts}}


def _plain(value: Any) -> Any:
    """Tuples as lists, as they come back from a file."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _difference(found: Any, expected: Any, where: str) -> str:
    """The first place at which two values differ, in words; empty if they are the same."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in {**expected, **found}:
            inner = _difference(found.get(key), expected.get(key), f"{where}.{key}")
            if inner:
                return inner
        return ""
    return "" if found == expected else f"{where} is {_shown(found)}, here {_shown(expected)}"


def _shown(value: Any) -> str:
    return "empty" if value in ("", {}, []) else str(value)
