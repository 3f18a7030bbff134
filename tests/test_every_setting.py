"""Every field of every record of settings: what it refuses, and that its numbers have a range."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from math import inf, nan
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Gt, Le, Lt, MultipleOf

from speechduet.errors import SettingError
from speechduet.model.config import Config
from speechduet.settings import Settings, read
from speechduet.study.settings import Ablation
from speechduet.training.recipe_file import SECTIONS


def records(kind: type[Settings]) -> Iterator[type[Settings]]:
    """A record and all that it can hold."""
    yield kind
    for hint in get_type_hints(kind).values():
        yield from inside(hint)


def inside(hint: Any) -> Iterator[type[Settings]]:
    if isinstance(hint, type) and issubclass(hint, Settings):
        yield from records(hint)
    for part in get_args(hint):
        yield from inside(part)


ALL = list(
    dict.fromkeys(
        found for root in (Config, *SECTIONS.values(), Ablation) for found in records(root)
    )
)
LEAST: Mapping[str, dict[str, Any]] = {
    "Parts": {"layout": {"generative": True, "predictive": "own"}},
    "Layout": {"generative": True, "predictive": "own"},
    "DataSettings": {"pairs": "x"},
    "Folders": {"clean": "a", "noisy": "b"},
    "Sweep": {"system": "x"},
}
"""What has to be given to a record that has no default."""


def members() -> Iterator[Any]:
    """Each field of each record."""
    for kind in ALL:
        if kind in (Config, Ablation):  # Of nothing but other records.
            continue
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if name in {member.name for member in fields(kind)}:  # type: ignore[arg-type]
                yield pytest.param(kind, name, hint, id=f"{kind.__name__}.{name}")


def plain(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without what is said of it, and that."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def absurd(hint: Any) -> Iterator[Any]:
    """Values that no field of this type can mean."""
    kind, constraints = plain(hint)
    origin = get_origin(kind)
    if origin is Literal:
        yield from ("no such choice", 3, None)
    elif origin is tuple:
        yield from (3, None, "text")
        item, other = get_args(kind)
        count = 1 if other is Ellipsis else 2
        yield from ((value,) * count for value in absurd(item))
    elif origin in (Union, UnionType) or (isinstance(kind, type) and issubclass(kind, Settings)):
        yield 3
    elif origin is not None:
        yield 3
        if get_args(kind)[1] is not Any:
            yield from ({"x": value} for value in absurd(get_args(kind)[1]))
    elif kind is bool:
        yield from (1, "true", None)
    elif kind is str:
        yield from (3, None, True)
    else:
        yield from ("3", True, None, nan, inf, -inf)
        if kind is int:
            yield from (2.0, 1.5)
        for constraint in constraints:
            yield from outside(constraint)


def outside(constraint: Any) -> Iterator[float]:
    match constraint:
        case Ge():
            yield constraint.ge - 1
        case Gt():
            yield constraint.gt
        case Le():
            yield constraint.le + 1
        case Lt():
            yield constraint.lt
        case MultipleOf():
            yield 7 * constraint.multiple_of + 1


@pytest.mark.parametrize(("kind", "name", "hint"), [*members()])
def test_every_field_of_every_record(kind: type[Settings], name: str, hint: Any) -> None:
    """In Python and from a file: found / expected, in one line, with the name."""
    needed = LEAST.get(kind.__name__, {})
    kind(**needed)
    refused = list(absurd(hint))
    assert refused
    for value in refused:
        with pytest.raises(SettingError) as made:
            kind(**{**needed, name: value})
        assert str(made.value).startswith(f"{name}"), value
        with pytest.raises(SettingError) as seen:
            read(kind, {**needed, name: value}, "section")
        assert str(seen.value) == f"section.{made.value}"
        assert "; expected " in str(seen.value) and "\n" not in str(seen.value)


@pytest.mark.parametrize(("kind", "name", "hint"), [*members()])
def test_every_number_has_a_range(kind: type[Settings], name: str, hint: Any) -> None:
    """With two ends: no number takes all memory, and none is too small for 32 bits."""
    for number in numbers(hint):
        constraints = plain(number)[1]
        assert any(isinstance(constraint, Ge) for constraint in constraints), name
        assert any(isinstance(constraint, Le | Lt) for constraint in constraints), name


def numbers(hint: Any) -> Iterator[Any]:
    kind = plain(hint)[0]
    if kind in (int, float):
        yield hint
    for part in get_args(kind):
        yield from numbers(part)


def test_the_walk_goes_everywhere() -> None:
    names = {kind.__name__ for kind in ALL}
    assert names >= {"Layout", "NCSNpp", "Compact", "DualPath", "Spectrogram", "Sampling", "Mixing"}
    assert names >= {"OrnsteinUhlenbeck", "SchroedingerBridge", "FlowMatching", "LossSettings"}
    assert names >= {"TrainingTime", "Optimisation", "DataSettings", "RunSettings"}
    assert names >= {"Ablation", "Sweep", "Pick", "Folders"} and len(ALL) == 21
