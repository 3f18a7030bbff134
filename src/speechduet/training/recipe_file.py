"""A training recipe: one YAML file with the model, its data, its losses and its run.

The model's sections (``name``, ``system``, ``network``, ``process``, ``spectrogram``, ``modes``)
are those of a model folder's ``config.json``, so that what is trained is what will be loaded. Or
``system`` is the name of a row of `RECIPES`: the other sections are then the row's, unless the file
has them. ``system: {name: ROW, layout: {...}}`` changes the row's layout.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from speechduet.data import Mixing
from speechduet.errors import SettingError
from speechduet.files.text import read_text
from speechduet.model.config import Config
from speechduet.recipe import system_named
from speechduet.settings import check_names, read
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
        """Hours of audio in this many examples."""
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


_UNREADABLE = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What PyYAML raises for what is nearly a date, a number, a tag or a list, too."""


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
    """Read a recipe; each override is ``section.key=value`` with the value in YAML.

    SettingError for what is unknown, missing or out of range.
    """
    values = load(path)
    with of_file(path):
        # Another system first, so that single settings of it can be changed too.
        of_system = ("system=", "system.name=")
        named = [override for override in overrides if override.startswith(of_system)]
        change(values, named)
        values = with_row(values)
        change(values, [override for override in overrides if override not in named])
        check_names(values, (*MODEL_SECTIONS, *SECTIONS))
        settings = {name: values.pop(name, None) or {} for name in SECTIONS}
        model = read(Config, values)
        sections: dict[str, Any] = {
            name: read(kind, settings[name], name) for name, kind in SECTIONS.items()
        }
        name = model.name
        if name in ("", "..") or Path(name).name != name or not name.isprintable():
            raise SettingError(
                f"name is {name!r}", "a plain name without slashes: the run's folder is runs/NAME"
            )
    return TrainingRecipe(model, **sections)


def with_row(values: dict[str, Any]) -> dict[str, Any]:
    """The sections, with those of the row that ``system`` names where there are none."""
    system = values.get("system")
    system = dict(system) if isinstance(system, Mapping) else {"name": system}
    name = system.pop("name", None)
    if not isinstance(name, str):
        return values
    row = system_named(name)
    layout = system.get("layout", {})
    if isinstance(layout, Mapping):
        system["layout"] = {**vars(row.layout), **layout}
    sections: dict[str, Any] = {
        "name": row.name,
        "network": dict(vars(row.backbone)),
        "process": row.process and dict(vars(row.process)),
        "spectrogram": dict(vars(row.spectrogram)),
        "modes": {mode: dict(vars(sampling)) for mode, sampling in row.modes.items()},
    }
    return {**sections, **values, "system": system}


@contextmanager
def of_file(path: Path) -> Iterator[None]:
    """What is wrong in here is wrong in this file."""
    try:
        yield
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from None


def load(path: Path) -> dict[str, Any]:
    """The named sections of a YAML file."""
    values = _parse(read_text(path, "a YAML file"), str(path))
    if not isinstance(values, dict):
        raise SettingError(f"{path} holds {type(values).__name__}", "named sections")
    return values


def change(values: dict[str, Any], overrides: Iterable[str]) -> None:
    """Put in what ``section.key=value`` says, with the value in YAML."""
    for override in overrides:
        key, equals, text = override.partition("=")
        *sections, name = key.split(".")
        if not equals or not name:
            raise SettingError(f"override {override!r}", "section.key=value")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingError(f"override {override!r}: {section} is a value, not a section")
        place[name] = _parse(text, f"override {override!r}")


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except _UNREADABLE as error:
        line = str(error).replace("\n", " ")
        raise SettingError(f"{source} is not YAML ({line})", "named sections") from None
