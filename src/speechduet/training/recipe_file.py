"""A training recipe: one YAML file with the model, its data, its losses and its run.

The model's sections (``name``, ``system``, ``network``, ``process``, ``spectrogram``, ``modes``)
are those of a model folder's ``config.json``, so that what is trained is what will be loaded. Or
``system`` is the name of a row of `RECIPES`: the other sections are then the row's, unless the file
has them. ``system: {name: ROW, layout: {...}}`` changes the row's layout.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from speechduet.data import Mixing
from speechduet.errors import SettingError
from speechduet.files.text import read_text
from speechduet.model.config import Config
from speechduet.recipe import RECIPES, system_named
from speechduet.settings import check_names, read
from speechduet.training.consistency import check_losses, check_parts, check_times
from speechduet.training.draws import TrainingTime
from speechduet.training.losses import LossSettings
from speechduet.training.optimisation import Optimisation
from speechduet.training.settings import DataSettings, RunSettings


@dataclass(frozen=True)
class TrainingRecipe:
    """All of a recipe file; SettingError if its sections do not fit each other."""

    model: Config
    data: DataSettings
    mixing: Mixing
    losses: LossSettings
    times: TrainingTime
    optimisation: Optimisation
    run: RunSettings
    path: str = "the recipe"
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        name = self.model.name
        if name in ("", "..") or Path(name).name != name:
            raise SettingError(
                f"name is {name!r}", "a plain name without slashes: the run's folder is runs/NAME"
            )
        if self.mixing.reverberation and not self.data.rooms:
            raise SettingError(
                f"mixing.reverberation is {self.mixing.reverberation} without data.rooms",
                "a folder of room impulse responses, or reverberation 0",
            )
        check_parts(self.model, self.mixing.excerpt_s)
        check_losses(self.model, self.losses, self.run)
        check_times(self.model.layout, self.times)

    def audio_hours(self, examples: int) -> float:
        """Hours of audio in this many examples."""
        return examples * self.mixing.excerpt_s / 3600

    def place_of(self, key: str) -> str:
        """What says a key's value, or some of a section: an override, or else the file."""
        for override in reversed(self.overrides):
            changed = f"{override.partition('=')[0]}."
            if f"{key}.".startswith(changed) or changed.startswith(f"{key}."):
                return f"override {override!r}"
        return self.path


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


_UNREADABLE = (
    *(yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError),
    ArithmeticError,
)
"""What PyYAML raises for what is nearly a date, a number, a tag or a list, too."""

_MOST_BYTES = 1 << 18
_MOST_VALUES = 50_000
"""Of a recipe, aliases counted as often as they stand for something."""

Made = TypeVar("Made")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML in which 1e-4 is a number too, and not only 1.0e-4, and no key stands twice.

    It may hold names of files that are not UTF-8, see `read_text`.
    """

    NON_PRINTABLE = re.compile(
        "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\udc80-\udcff\ue000-\ufffd\U00010000-\U0010ffff]"
    )

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check_unfolded(node, {})
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    raise yaml.YAMLError(f"{key.value!r} in line {lines[name]} and again in {line}")
                lines[name] = line
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> TrainingRecipe:
    """Read a recipe; each override is ``section.key=value`` with the value in YAML.

    SettingError for what is unknown, missing, out of range or does not fit the rest.
    """

    def made(values: dict[str, Any], overrides: Sequence[str]) -> TrainingRecipe:
        # Another system first, so that single settings of it can be changed too.
        of_system = ("system=", "system.name=")
        named = [override for override in overrides if override.startswith(of_system)]
        change(values, named)
        values = with_row(values)
        # In the file a section may stand empty for its defaults; an override of one that is empty
        # is a slip, which would undo all that the file says there.
        values.update((name, {}) for name in SECTIONS if values.get(name) is None)
        change(values, [override for override in overrides if override not in named])
        check_names(values, (*MODEL_SECTIONS, *SECTIONS))
        settings = {name: values.pop(name) for name in SECTIONS}
        model = read(Config, values)
        sections: dict[str, Any] = {
            name: read(kind, settings[name], name) for name, kind in SECTIONS.items()
        }
        return TrainingRecipe(model, **sections, path=str(path), overrides=tuple(overrides))

    return read_changed(path, overrides, made)


def read_changed(
    path: Path, overrides: Sequence[str], make: Callable[[dict[str, Any], Sequence[str]], Made]
) -> Made:
    """What is made of a YAML file's sections and overrides.

    A SettingError begins with the override that causes it, or with the file if none does.
    """
    values = load(path)
    try:
        return make(deepcopy(values), overrides)
    except SettingError as error:
        message = str(error)
    cause = len(overrides)
    while cause and _refusal(make, deepcopy(values), overrides[: cause - 1]) == message:
        cause -= 1
    place = f"override {overrides[cause - 1]!r}" if cause else str(path)
    raise SettingError(f"{place}: {message}")


def _refusal(
    make: Callable[[dict[str, Any], Sequence[str]], Any],
    values: dict[str, Any],
    overrides: Sequence[str],
) -> str:
    try:
        make(values, overrides)
    except SettingError as error:
        return str(error)
    return ""


def with_row(values: dict[str, Any]) -> dict[str, Any]:
    """The sections, with those of the row that ``system`` names where there are none."""
    system = values.get("system")
    if isinstance(system, Mapping):
        check_names(system, ("name", "layout"), "system")
        system = dict(system)
    else:
        system = {"name": system}
    if "layout" in system and "name" not in system:
        return values
    name = system.pop("name", None)
    if name is None:
        names = ", ".join(row.name for row in RECIPES)
        raise SettingError("'system' is missing, or its name", f"one of {names}")
    row = system_named(str(name))
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


def load(path: Path) -> dict[str, Any]:
    """The named sections of a YAML file."""
    values = _parse(read_text(path, "a YAML file", _MOST_BYTES), str(path))
    if not isinstance(values, dict):
        raise SettingError(f"{path} holds {type(values).__name__}", "named sections")
    return values


def change(values: dict[str, Any], overrides: Iterable[str]) -> None:
    """Put in what ``section.key=value`` says, with the value in YAML."""
    for override in overrides:
        key, equals, text = override.partition("=")
        *sections, name = key.split(".")
        if not equals or not name:
            raise SettingError("it is no setting", "section.key=value")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                found = "empty in this system" if place is None else "a value, not a section"
                raise SettingError(f"{section} is {found}", "a section", f"give {section}=VALUE")
        place[name] = _parse(text, "the value")


def _check_unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for; YAMLError if they are too many, or without end.

    A few aliases of aliases stand for more values than any memory holds once they are copied or
    written out.
    """
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1  # while it is counted: it may not hold itself
        count = 1
        for part in [] if isinstance(node, yaml.ScalarNode) else node.value:
            for one in part if isinstance(part, tuple) else (part,):
                count += _check_unfolded(one, known)
                if count > _MOST_VALUES:
                    raise yaml.YAMLError(f"its aliases stand for more than {_MOST_VALUES:,} values")
        known[id(node)] = count
    return known[id(node)]


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except _UNREADABLE as error:
        line = str(error).replace("\n", " ")
        raise SettingError(f"{source} is not YAML ({line})", "named sections") from None
