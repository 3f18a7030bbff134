"""A training recipe: one YAML file with the model, its data, its losses and its run.

The model's sections (``name``, ``system``, ``network``, ``process``, ``spectrogram``, ``modes``)
are those of a model folder's ``config.json``, so that what is trained is what will be loaded.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from speechduet.data import Mixing
from speechduet.errors import SettingError
from speechduet.files.text import read_text
from speechduet.model.config import FORMAT, Config, record
from speechduet.training.draws import TrainingTime
from speechduet.training.losses import LossSettings
from speechduet.training.optimisation import Optimisation
from speechduet.training.settings import DataSettings, RunSettings


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

    def audio_hours(self, examples: int) -> float:
        """Hours of audio in so many examples."""
        return examples * self.mixing.excerpt_s / 3600


SECTIONS = {
    "data": DataSettings,
    "mixing": Mixing,
    "losses": LossSettings,
    "times": TrainingTime,
    "optimisation": Optimisation,
    "run": RunSettings,
}
MODEL_SECTIONS = (
    *("name", "system", "network", "predictive_network", "process", "spectrogram"),
    *("modes", "metadata"),
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML in which 1e-4 is a number too, and not only 1.0e-4.

    It may hold names of files that are not UTF-8, see `read_text`.
    """

    NON_PRINTABLE = re.compile(
        "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\udc80-\udcff\ue000-\ufffd\U00010000-\U0010ffff]"
    )


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """Read a recipe; each override is ``section.key=value`` with the value in YAML."""
    values = read_sections(path, (*MODEL_SECTIONS, *SECTIONS), overrides)
    settings = {name: values.pop(name, None) or {} for name in SECTIONS}
    model = Config.from_json({"format": FORMAT, **values})
    name = model.name
    if name in ("", "..") or Path(name).name != name or not name.isprintable():
        raise SettingError(
            f"name is {name!r}", "a plain name without slashes: the run's folder is runs/NAME"
        )
    sections: dict[str, Any] = {
        name: record(kind, settings[name], name) for name, kind in SECTIONS.items()
    }
    return TrainingRecipe(model, **sections)


def read_sections(
    path: Path, known: Sequence[str], overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """The named sections of a YAML file, none of them unknown; SettingError otherwise."""
    values = _parse(read_text(path, "a YAML file"), str(path))
    if not isinstance(values, dict):
        raise SettingError(f"{path} holds {type(values).__name__}", "named sections")
    for override in overrides:
        _apply(values, override)
    for name in values:
        if name not in known:
            nearest = get_close_matches(str(name), known, n=1)
            remedy = f"did you mean {nearest[0]!r}?" if nearest else ""
            raise SettingError(f"unknown key {name!r} in {path}", ", ".join(known), remedy)
    return values


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        line = str(error).replace("\n", " ")
        raise SettingError(f"{where} is not YAML ({line})", "named sections") from None


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    *sections, name = key.split(".")
    if not equals or not name:
        raise SettingError(f"override {override!r}", "section.key=value")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise SettingError(f"override {override!r}: {section} is a value, not a section")
    values[name] = _parse(text, f"override {override!r}")
