"""Records of settings: what they hold is checked, in Python as from a file.

The types and ranges of the annotations are checked by pydantic. They are strict: text is no number,
nor is a truth value; but a whole number may stand for a number, and a list for a tuple. Every
number is finite.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_origin, get_type_hints

import numpy as np
from annotated_types import Ge, Le, MaxLen, MinLen, MultipleOf

from speechduet.errors import SettingError
from speechduet.seed import MOST_SEED

# pydantic itself is imported with the first record: the command line answers without.
if TYPE_CHECKING:
    from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
    from pydantic_core import CoreSchema

# The ranges are wider than anything of use, and so narrow that 32-bit numbers hold the squares.
Positive = Annotated[float, Ge(1e-6), Le(1e6)]
NotNegative = Annotated[float, Ge(0), Le(1e6)]
Share = Annotated[float, Ge(0), Le(1)]
"""Also a weight of one of two, or a probability."""
Decibels = Annotated[float, Ge(-200), Le(200)]
Count = Annotated[int, Ge(1), Le(10**9)]
"""Of steps and the like, which take time and no memory."""
Whole = Annotated[int, Ge(0), Le(10**9)]
"""0 often stands for none, or no limit."""
BatchSize = Annotated[int, Ge(1), Le(4096)]
Size = Annotated[int, Ge(1), Le(2**14)]
"""Of a network's parts: channels, bins, states."""
Sizes = Annotated[tuple[Size, ...], MinLen(1), MaxLen(16)]
Even = Annotated[int, Ge(2), Le(2**14), MultipleOf(2)]
Blocks = Annotated[int, Ge(0), Le(256)]
"""Layers of one kind in a network."""
Seed = Annotated[int, Ge(0), Le(MOST_SEED)]
Text = Annotated[str, MinLen(1)]

Record = TypeVar("Record", bound="Settings")


class Settings:
    """Base of the records: ``@dataclass(frozen=True) class Name(Settings)``.

    A value outside its type or range is a SettingError. In a union, records are told apart by the
    single value that their field ``kind`` can have.
    """

    def __post_init__(self) -> None:
        from pydantic import ValidationError

        # Numbers of NumPy are as good as Python's.
        values = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in vars(self).items()
        }
        try:
            checked = _model(type(self)).model_validate(values)
        except ValidationError as error:
            raise _refusal(error, values) from None
        for name, value in checked:
            object.__setattr__(self, name, value)
        self.check()

    def check(self) -> None:
        """Rules for several fields together; a SettingError says which one is broken."""

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: "GetCoreSchemaHandler"
    ) -> "CoreSchema":
        """As part of another record: a record of this kind, or the plain values of one."""
        from pydantic_core import core_schema

        def build(value: Any, validate: Any) -> Settings:
            if isinstance(value, cls):
                return value
            if isinstance(value, Mapping):
                _check_keys(value, cls)
            return cls(**dict(validate(value)))

        inner = handler.generate_schema(_model(cls))
        return core_schema.no_info_wrap_validator_function(build, inner)


def read(kind: type[Record], values: Any, place: str = "") -> Record:
    """A record from plain values, as JSON and YAML have them; ``place`` is theirs in a file."""
    from pydantic import TypeAdapter, ValidationError

    try:
        record = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise _refusal(error, values, place) from None
    return record


def check_names(found: Iterable[Any], expected: Iterable[str], place: str = "") -> None:
    """SettingError for a name that is not expected, with the nearest that is."""
    where = f" in {place}" if place else ""
    names = list(expected)
    for name in found:
        if name not in names:
            raise SettingError(
                f"unknown key {_written(name)}{where}", ", ".join(names), nearest(name, names)
            )


def nearest(found: Any, names: list[str]) -> str:
    """The remedy for a misspelt name; empty if no other is like it."""
    if not isinstance(found, str) or len(found) > _LONGEST_VALUE:
        return ""
    close = get_close_matches(found, names, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def bounds(hint: Any) -> tuple[float | None, float | None]:
    """Least and greatest number of an annotation, as far as it has them."""
    least = greatest = None
    for constraint in getattr(hint, "__metadata__", ()):
        least = getattr(constraint, "ge", least)
        greatest = getattr(constraint, "le", greatest)
    return least, greatest


def meanings(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """Fields and the strings that stand below them, which only the source knows."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            yield field.target.id, " ".join(str(text.value.value).split())


def _model_of(kind: Any) -> "type[BaseModel]":
    """A pydantic model with the fields of a record."""
    from pydantic import ConfigDict, Field, Strict, create_model

    hints = get_type_hints(kind, include_extras=True)
    members: dict[str, Any] = {}
    for member in fields(kind):
        hint = hints[member.name]
        if get_origin(hint) is tuple or get_origin(getattr(hint, "__origin__", None)) is tuple:
            hint = Annotated[hint, Strict(False)]  # of the list alone, not of what is in it
        default = ... if member.default is MISSING else member.default
        if member.default_factory is not MISSING:
            default = Field(default_factory=member.default_factory)
        members[member.name] = (hint, default)
    config = ConfigDict(strict=True, allow_inf_nan=False, protected_namespaces=())
    return create_model(kind.__name__, __config__=config, **members)


# Records with a hash make mypy think that their classes have none.
_model = cast("Callable[[type[Settings]], type[BaseModel]]", cache(_model_of))


def _check_keys(found: Mapping[Any, Any], kind: type[Settings]) -> None:
    members = fields(kind)  # type: ignore[arg-type]
    check_names(found, (member.name for member in members))
    for member in members:
        required = member.default is MISSING and member.default_factory is MISSING
        if required and member.name not in found:
            raise SettingError(f"{member.name!r} is missing")


_LONGEST_VALUE = 500
"""Characters of a wrong value in a message."""

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "missing": "a list of {length}",
    "too_short": "{min_length} or more of them",
    "too_long": "{max_length} of them at most",
    "string_too_short": "a text that is not empty",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "one of {names}",
    "union_tag_invalid": "one of {names}",
    "union_tag_not_found": "the name of a kind",
    "dict_type": "named values",
    "model_type": "named values",
    "model_attributes_type": "named values",
}
"""By pydantic's names of what can be wrong."""


def _refusal(error: "ValidationError", values: Any, place: str = "") -> SettingError:
    """The first thing that is wrong, as found / expected / remedy."""
    wrong, *more = error.errors()
    kind, found, context = wrong["type"], wrong["input"], wrong.get("ctx", {})
    if kind == "missing":  # Of a tuple, for the keys of records are checked before.
        lacking = [wrong, *(other for other in more if other["input"] is found)]
        context = {"length": len(found) + len(lacking)}
    path = [*([place] if place else []), *_path(wrong["loc"], values)]
    if kind.startswith("union_tag"):
        found = found.get("kind") if isinstance(found, Mapping) else found
        path.append("kind")
    where = ".".join(path)
    if kind == "value_error":  # One of ours, from inside.
        return SettingError(f"{where}: {context['error']}" if where else str(context["error"]))
    names = re.findall(r"'([^']*)'", context.get("expected", context.get("expected_tags", "")))
    shown = {key: f"{n:g}" if isinstance(n, float) else n for key, n in context.items()}
    template = _EXPECTED.get(kind)
    expected = template.format(**shown, names=", ".join(names)) if template else wrong["msg"]
    value = _written(found)
    return SettingError(f"{where or 'it'} is {value}", expected, nearest(found, names))


def _written(value: Any) -> str:
    """A value on one line, as far as it is worth reading: files of strangers hold any."""
    try:
        text = " ".join(repr(value).split())  # An array's has several lines.
    except (RecursionError, ValueError):  # Lists in lists, and whole numbers of many digits.
        return f"{type(value).__name__} beyond all bounds"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _path(steps: tuple[int | str, ...], values: Any) -> Iterator[str]:
    """The names on the way to a value: no places in lists, no kinds of a union."""
    for step in steps:
        if isinstance(values, Mapping) and step not in values and values.get("kind") == step:
            continue
        if isinstance(step, str):
            yield step
        values = values.get(step) if isinstance(values, Mapping) else None
