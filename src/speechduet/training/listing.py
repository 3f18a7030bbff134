"""All sections and keys of a recipe, as their dataclasses define and document them."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from speechduet.model.config import NETWORKS, PROCESSES
from speechduet.network.system import Layout
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.training.recipe_file import SECTIONS
from speechduet.training.resuming import ON_RESUME


def settings_text() -> str:
    """A page per section: what it is, and of each key the type, the default and the meaning."""
    parts = ["name: TEXT\n    Of the model."]
    parts += [_section("system.layout", Layout)]
    parts += [_section(f"network (kind: {name})", kind) for name, kind in NETWORKS.items()]
    parts += ["predictive_network: as network\n    Of the predictive part alone, if it differs."]
    parts += [_section(f"process (kind: {name})", kind) for name, kind in PROCESSES.items()]
    parts += [_section("spectrogram", Spectrogram)]
    parts += [_section("modes.fast, modes.balanced, modes.best", Sampling)]
    parts += [_section(name, kind) for name, kind in SECTIONS.items()]
    return "\n\n".join(parts)


def _section(title: str, kind: type[Any]) -> str:
    described = inspect.getdoc(kind) or ""
    lines = [f"{title}:", textwrap.indent(described.replace("``", ""), "  # ", lambda line: True)]
    hints, meanings = get_type_hints(kind), dict(_meanings(kind))
    for member in fields(kind):
        default = member.default
        if member.default_factory is not MISSING:
            default = member.default_factory()
        given = "required" if default is MISSING else f"default {_value(default)}"
        fixed = ON_RESUME.get(f"{title}.{member.name}") == "fixed"
        kept = "; fixed once a run has begun" if fixed else ""
        lines.append(f"  {member.name}: {_type(hints[member.name])}, {given}{kept}")
        if member.name in meanings:
            lines.append(textwrap.fill(meanings[member.name], 96, **_INDENT))
    return "\n".join(lines)


_INDENT: Mapping[str, Any] = {"initial_indent": " " * 6, "subsequent_indent": " " * 6}


def _meanings(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """The strings that stand below fields, which only the source knows."""
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


def _type(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(str(choice) for choice in inner)
    if origin is tuple:
        return f"list, each {_type(inner[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"{_type(inner[1])} by name"
    names = {str: "text", int: "whole number", float: "number", bool: "true | false"}
    return names[hint]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return "empty" if value in ("", {}) else str(value)
