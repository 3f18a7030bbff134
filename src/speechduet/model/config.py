"""``config.json`` of a model folder: a system, described by checked records."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch

from speechduet.errors import ModelError, SettingError
from speechduet.network.compact import Compact
from speechduet.network.dual_path import DualPath
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import Layout, System
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, SchroedingerBridge
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

FORMAT = 1
MODES = ("fast", "balanced", "best")

NETWORKS: Mapping[str, type[Any]] = {
    "ncsnpp": NCSNpp,
    "compact": Compact,
    "dual_path": DualPath,
}
PROCESSES: Mapping[str, type[Any]] = {
    "ornstein_uhlenbeck": OrnsteinUhlenbeck,
    "schroedinger_bridge": SchroedingerBridge,
    "flow_matching": FlowMatching,
}

Record = TypeVar("Record")


@dataclass(frozen=True)
class Config:
    """All that a model folder says of its model, but for the weights."""

    name: str
    layout: Layout
    network: Any
    predictive_network: Any
    process: Any
    spectrogram: Spectrogram
    modes: Mapping[str, Sampling]
    metadata: Mapping[str, Any]

    def build(self) -> System:
        """The system with random weights; the global random state stays as it was."""
        with torch.random.fork_rng(devices=[]):
            return System(self.layout, self.process, self.network, self.predictive_network)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "format": FORMAT,
            "name": self.name,
            "system": {"layout": asdict(self.layout)},
            "network": _with_kind(self.network, NETWORKS),
            "predictive_network": _with_kind(self.predictive_network, NETWORKS),
            "process": _with_kind(self.process, PROCESSES),
            "spectrogram": asdict(self.spectrogram),
            "modes": {mode: asdict(sampling) for mode, sampling in self.modes.items()},
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_json(cls, values: Any) -> "Config":
        """Check plain JSON values and build the record; a `ModelError` says what is wrong."""
        found = _mapping(values, "config")
        if found.get("format") != FORMAT:
            raise ModelError(
                f"model format {found.get('format')!r}", str(FORMAT), "update speechduet"
            )
        optional: dict[str, Any] = {"predictive_network": None, "process": None, "metadata": {}}
        required = ("format", "name", "system", "network", "spectrogram", "modes")
        _check_keys(found, (*required, *optional), required, "config")
        found = {**optional, **found}
        system = _mapping(found["system"], "system")
        _check_keys(system, ["layout"], ["layout"], "system")
        modes = _mapping(found["modes"], "modes")
        _check_keys(modes, MODES, (), "modes")
        return cls(
            name=_value(found["name"], str, "name"),
            layout=record(Layout, system["layout"], "system.layout"),
            network=_kind_of(NETWORKS, found["network"], "network"),
            predictive_network=None
            if found["predictive_network"] is None
            else _kind_of(NETWORKS, found["predictive_network"], "predictive_network"),
            process=None
            if found["process"] is None
            else _kind_of(PROCESSES, found["process"], "process"),
            spectrogram=record(Spectrogram, found["spectrogram"], "spectrogram"),
            modes={mode: record(Sampling, modes[mode], f"modes.{mode}") for mode in modes},
            metadata=_mapping(found["metadata"], "metadata"),
        )


def _with_kind(part: Any, kinds: Mapping[str, type[Any]]) -> dict[str, Any] | None:
    if part is None:
        return None
    for name, kind in kinds.items():
        if isinstance(part, kind):
            return {"kind": name, **asdict(part)}
    raise ModelError(f"{type(part).__name__} has no place in a config", "one of " + _list(kinds))


def _kind_of(kinds: Mapping[str, type[Any]], values: Any, where: str) -> Any:
    found = dict(_mapping(values, where))
    kind = found.pop("kind", None)
    if kind not in kinds:
        raise ModelError(f"{where}.kind is {kind!r}", "one of " + _list(kinds))
    return record(kinds[kind], found, where)


def record(kind: type[Record], values: Any, where: str) -> Record:
    """A dataclass from a mapping, its keys and the types of its values checked."""
    found = _mapping(values, where)
    members = fields(kind)  # type: ignore[arg-type]
    required = [
        member.name
        for member in members
        if member.default is MISSING and member.default_factory is MISSING
    ]
    _check_keys(found, [member.name for member in members], required, where)
    hints = get_type_hints(kind)
    arguments = {key: _value(value, hints[key], f"{where}.{key}") for key, value in found.items()}
    try:
        return kind(**arguments)
    except SettingError as error:
        raise ModelError(f"config: {where}: {error}") from None


def _value(value: Any, hint: Any, where: str) -> Any:
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ModelError(f"config: {where} is {value!r}", "one of " + _list(get_args(hint)))
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ModelError(f"config: {where} is {value!r}", "a list")
        return tuple(_value(item, get_args(hint)[0], where) for item in value)
    if get_origin(hint) is Mapping:
        return {
            key: _value(item, get_args(hint)[1], where)
            for key, item in _mapping(value, where).items()
        }
    fits = isinstance(value, (int, float) if hint is float else hint)
    if not fits or (isinstance(value, bool) and hint is not bool):
        raise ModelError(f"config: {where} is {value!r}", f"a value of type {hint.__name__}")
    return hint(value)


def _mapping(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ModelError(f"config: {where} is {values!r}", "an object with named values")
    return values


def _check_keys(
    found: Mapping[str, Any], known: Iterable[str], required: Iterable[str], where: str
) -> None:
    for key in found:
        if key not in known:
            nearest = get_close_matches(str(key), list(known), n=1)
            remedy = f"did you mean {nearest[0]!r}?" if nearest else ""
            raise ModelError(f"config: unknown key {key!r} in {where}", _list(known), remedy)
    for key in required:
        if key not in found:
            raise ModelError(f"config: {where} lacks {key!r}")


def _list(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names)
