"""All sections and keys of a recipe, as their dataclasses define and document them."""

import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from speechduet.model.config import AnyNetwork, AnyProcess
from speechduet.network.layout import Layout
from speechduet.recipe import RECIPES
from speechduet.sampler import Sampling
from speechduet.settings import meanings
from speechduet.spectrogram import Spectrogram
from speechduet.training.recipe_file import SECTIONS
from speechduet.training.resuming import ON_RESUME


def settings_text() -> str:
    """A page per section: what it is, and of each key the type, the default and the meaning."""
    parts = ["name: TEXT\n    Of the model; by default that of its system."]
    parts += [_SYSTEM.format(names=", ".join(recipe.name for recipe in RECIPES))]
    parts += [_section("system.layout", Layout)]
    parts += _kinds("network", AnyNetwork)
    parts += ["predictive_network: as network\n    Of the predictive part alone, if it differs."]
    parts += _kinds("process", AnyProcess)
    parts += [_section("spectrogram", Spectrogram)]
    parts += [_section("modes.fast, modes.balanced, modes.best", Sampling)]
    parts += [_section(name, kind) for name, kind in SECTIONS.items()]
    return "\n\n".join(parts)


_SYSTEM = """system: NAME, or {{name: NAME, layout: {{...}}}} with other values of system.layout
    {names}: all other sections of the model have
    this system's values where they are not given. Without a name, all of them are required."""


def _kinds(section: str, union: Any) -> list[str]:
    """A page for each of the records that a section can be."""
    return [_section(f"{section} (kind: {kind.kind})", kind) for kind in get_args(union.__origin__)]


def _section(title: str, kind: type[Any]) -> str:
    described = inspect.getdoc(kind) or ""
    lines = [f"{title}:", textwrap.indent(described.replace("``", ""), "  # ", lambda line: True)]
    hints, meaning_of = get_type_hints(kind, include_extras=True), dict(meanings(kind))
    for member in fields(kind):
        if member.name == "kind":
            continue
        default = member.default
        if member.default_factory is not MISSING:
            default = member.default_factory()
        given = "required" if default is MISSING else f"default {_value(default)}"
        fixed = ON_RESUME.get(f"{title}.{member.name}") == "fixed"
        kept = "; fixed once a run has started" if fixed else ""
        lines.append(f"  {member.name}: {_type(hints[member.name])}, {given}{kept}")
        if member.name in meaning_of:
            lines.append(textwrap.fill(meaning_of[member.name], 96, **_INDENT))
    return "\n".join(lines)


_INDENT: Mapping[str, Any] = {"initial_indent": " " * 6, "subsequent_indent": " " * 6}


_EDGES = {"ge": "from", "gt": "above", "le": "to", "lt": "below", "multiple_of": "in steps of"}


def _type(hint: Any) -> str:
    """The type in words, with the range of a number."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        edges = [
            f" {word} {_number(getattr(constraint, name))}"
            for constraint in inner[1:]
            for name, word in _EDGES.items()
            if hasattr(constraint, name)
        ]
        return _type(inner[0]) + "".join(edges)
    if origin is Literal:
        return " | ".join(str(choice) for choice in inner)
    if origin is tuple:
        return f"list, each {_type(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"{_type(inner[1])} by name"
    names = {str: "text", int: "whole number", float: "number", bool: "true | false"}
    return names[hint]


def _number(edge: float) -> str:
    return str(edge) if isinstance(edge, int) else f"{edge:g}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "empty" if value in ("", {}) else str(value)
