"""What records of settings take and refuse: one of each kind, and every field of all of them."""

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from math import inf, nan
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import Field

from speechduet.data import Mixing
from speechduet.errors import SettingError
from speechduet.model.config import Config
from speechduet.network.layout import Layout
from speechduet.process import OrnsteinUhlenbeck
from speechduet.recipe import RECIPES, system_named
from speechduet.settings import Count, Settings, Share, Sizes, bounds, meanings, read
from speechduet.study.settings import Ablation, Folders, Pick, Sweep
from speechduet.training.recipe_file import SECTIONS


@dataclass(frozen=True)
class Inner(Settings):
    kind: Literal["inner"] = field(default="inner", kw_only=True, repr=False)
    count: Count = 1
    """How many there are,
    in two lines."""
    share: Share = 0.5
    sizes: Sizes = (1, 2)
    ends: tuple[float, float] = (0.0, 1.0)
    choice: Literal["exact", "paper"] = "exact"
    flag: bool = False

    def check(self) -> None:
        if self.ends[0] > self.ends[1]:
            raise SettingError(f"ends is {self.ends}", "a lower and an upper one")


@dataclass(frozen=True)
class Other(Settings):
    needed: int
    kind: Literal["other"] = field(default="other", kw_only=True, repr=False)


@dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    name: str
    part: Annotated[Inner | Other, Field(discriminator="kind")] | None = None
    parts: Mapping[str, Inner] = field(default_factory=dict)
    weights: Mapping[str, Share] = field(default_factory=dict)


def test_a_record_is_an_ordinary_dataclass() -> None:
    inner = Inner(share=1, sizes=[3])  # type: ignore[arg-type]
    assert (inner.share, inner.sizes) == (1.0, (3,)) and type(inner.share) is float
    assert hash(inner) == hash(replace(inner)) and pickle.loads(pickle.dumps(inner)) == inner
    assert Inner(**asdict(inner)) == inner and Inner(3).count == 3
    assert Inner(share=np.float32(0.25)).share == 0.25  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="count is 0"):
        replace(inner, count=0)


def test_plain_values_become_records() -> None:
    values = {"name": "x", "part": {"kind": "other", "needed": 3}, "parts": {"a": {"count": 2}}}
    outer = read(Outer, values)
    assert outer == Outer(name="x", part=Other(3), parts={"a": Inner(2)})
    assert read(Outer, {**values, "part": Inner()}).part == Inner()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "count is 0; expected 1 or more"),
        ({"count": "3"}, "count is '3'; expected a whole number"),
        ({"count": True}, "count is True; expected a whole number"),
        ({"count": 2.0}, "count is 2.0; expected a whole number"),
        ({"share": 1.1}, "share is 1.1; expected 1 or less"),
        ({"share": nan}, "share is nan; expected a finite number"),
        ({"share": "0"}, "share is '0'; expected a number"),
        ({"share": True}, "share is True; expected a number"),
        ({"sizes": ()}, "sizes is (); expected 1 or more of them"),
        ({"sizes": (1, 0)}, "sizes is 0; expected 1 or more"),
        ({"sizes": ("1",)}, "sizes is '1'; expected a whole number"),
        ({"sizes": 5}, "sizes is 5; expected a list"),
        ({"ends": ()}, "ends is (); expected a list of 2"),
        ({"ends": (1,)}, "ends is (1,); expected a list of 2"),
        ({"ends": (1, 2, 3)}, "ends is (1, 2, 3); expected 2 of them at most"),
        ({"sizes": (1,) * 17}, f"sizes is {(1,) * 17}; expected 16 of them at most"),
        ({"ends": (2, 1)}, "ends is (2.0, 1.0); expected a lower and an upper one"),
        ({"choice": "exakt"}, "choice is 'exakt'; expected one of exact, paper; did you mean 'ex"),
        ({"flag": 1}, "flag is 1; expected true or false"),
        ({"kind": "other"}, "kind is 'other'; expected one of inner"),
    ],
)
def test_wrong_values_are_refused_wherever_they_come_from(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError) as made:
        Inner(**values)
    assert str(made.value).startswith(message)
    if "kind" not in values:
        whole = {"name": "x", "part": {"kind": "inner", **values}, "parts": {"inner": values}}
        for place in ("part", "parts.inner"):
            section = place.partition(".")[0]
            with pytest.raises(SettingError) as seen:
                read(Outer, {"name": "x", section: whole[section]}, "file")
            where = f"file.{place}"
            assert str(seen.value).startswith((f"{where}.{message}", f"{where}: {message}"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (5, "it is 5; expected named values"),
        ({}, "'name' is missing"),
        (
            {"name": "x", "prat": 1},
            "unknown key 'prat'; expected name, part, parts, weights; d",
        ),
        ({"name": "x", "part": {"count": 1}}, "part.kind is None; expected the name of a kind"),
        (
            {"name": "x", "part": {"kind": "iner"}},
            "part.kind is 'iner'; expected one of inn",
        ),
        (
            {"name": "x", "part": {"kind": "inner", "cuont": 1}},
            "part: unknown key 'cuont'; exp",
        ),
        ({"name": "x", "part": {"kind": "other"}}, "part: 'needed' is missing"),
        ({"name": "x", "part": 3}, "part is 3; expected named values"),
        ({"name": "x", "part": None, "parts": 3}, "parts is 3; expected named values"),
        ({"name": "x", "parts": {"a": 3}}, "parts.a is 3; expected named values"),
        ({"name": "x", "weights": {"a": -1}}, "weights.a is -1; expected 0 or more"),
    ],
)
def test_wrong_sections_are_refused(values: Any, message: str) -> None:
    with pytest.raises(SettingError) as error:
        read(Outer, values)
    assert str(error.value).startswith(message)


def test_annotations_and_the_strings_below_fields_are_read() -> None:
    assert bounds(Share) == (0, 1) and bounds(Count) == (1, 10**9) and bounds(int) == (None, None)
    assert dict(meanings(Inner)) == {"count": "How many there are, in two lines."}


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


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (OrnsteinUhlenbeck, {"sigma_min": 0.5}, "sigma_min is 0.5; expected less than sigma_max"),
        (OrnsteinUhlenbeck, {"sigma_min": 2}, "sigma_min is 2.0; expected less than sigma_max"),
        (
            Mixing,
            {"coloured_noise": 0.5, "babble": 0.3, "murmur": 0.3},
            "together are 1.1; exp",
        ),
        (Mixing, {"level_db": [0, -12]}, "level_db is .0.0, -12.0.; expected a lower"),
        (Mixing, {"band_limit_hz": [7000, 2000]}, "band_limit_hz is .*; expected a lower"),
        (Layout, {"generative": False, "predictive": "none"}, "predictive is 'none' without a gen"),
        (Layout, {"generative": False, "predictive": "shared"}, "predictive is 'shared' without"),
    ],
)
def test_what_makes_no_sense_together(
    kind: type[Settings], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        kind(**values)
    with pytest.raises(SettingError, match=f"^here: .*{message}"):
        read(kind, values, "here")


def test_probabilities_may_fill_the_whole() -> None:
    Mixing(coloured_noise=0.1, babble=0.2, murmur=0.7)


def test_sweeps_have_the_sampler_s_fields() -> None:
    swept = asdict(Sweep(system="x"))
    assert swept.pop("system") == "x" and swept.pop("test") is False
    assert {name: value for name, (value,) in swept.items()} == asdict(RECIPES[1].sampling)
    assert Pick().most_evaluations == 0 and Folders("a", "b").limit == 0


def test_a_system_is_found_by_its_name() -> None:
    assert system_named("storm").anchor == "prediction"
    assert system_named("sgmse_plus").anchor == "noisy speech"
    assert system_named("predictive").anchor is None
    with pytest.raises(SettingError, match=r"no system 'strom'; expected one of predictive, .*'st"):
        system_named("strom")


def test_what_is_refused_is_shown_in_one_line() -> None:
    with pytest.raises(SettingError) as error:
        Inner(count=np.zeros((2, 2)))  # type: ignore[arg-type]
    assert str(error.value) == "count is array([[0., 0.], [0., 0.]]); expected a whole number"
