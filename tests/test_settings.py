"""What records of settings take and refuse: one of each kind, and every field of all of them."""

import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import nan
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import Field

from speechduet.data import Mixing
from speechduet.errors import SettingError
from speechduet.network.layout import Layout
from speechduet.process import OrnsteinUhlenbeck
from speechduet.recipe import RECIPES, system_named
from speechduet.settings import Count, Settings, Share, Sizes, bounds, meanings, read
from speechduet.study.settings import Folders, Pick, Sweep


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
