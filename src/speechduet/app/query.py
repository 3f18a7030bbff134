"""Options in the query of an address, named as on the command line."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from fastapi import Query
from fastapi.requests import HTTPConnection

from speechduet.app.job import Request
from speechduet.errors import SettingError
from speechduet.sampling import SETTINGS, Mode, Sampling, SettingValue
from speechduet.seed import MOST_SEED
from speechduet.settings import bounds, check_names, meanings

ModeQuery = Annotated[Mode, Query(description="fast is the quickest, best the slowest.")]
SeedQuery = Annotated[
    int, Query(ge=0, le=MOST_SEED, description="The same seed gives the same result.")
]
StrengthQuery = Annotated[
    float, Query(ge=0, le=1, description="Mix of the enhanced speech (1) and the input (0).")
]


def given_request(
    mode: ModeQuery = "balanced",
    strength: StrengthQuery = 1.0,
    seed: SeedQuery = 0,
    format: Annotated[
        str | None, Query(description="wav, flac, ogg, ...; by default the input's, or wav.")
    ] = None,
    track: Annotated[
        int | None, Query(ge=1, le=9999, description="Which of several sound tracks, from 1.")
    ] = None,
    salvage: Annotated[
        bool, Query(description="Enhance what a truncated or damaged file still holds.")
    ] = False,
    *,
    expert: dict[str, SettingValue],
) -> Request:
    """What a query asks for."""
    return Request(mode, strength, seed, format, track, salvage, None, expert)


def with_sampler_settings(asked: Callable[..., Any]) -> Callable[..., Any]:
    """A dependency with a query parameter for each field of `Sampling` in place of ``expert``."""
    hints = get_type_hints(Sampling, include_extras=True)
    help_of = dict(meanings(Sampling))
    names = [setting.name for setting in fields(Sampling)]
    added = [_parameter(name, hints[name], help_of[name]) for name in names]

    def dependency(**given: Any) -> Any:
        expert = {name: given.pop(name) for name in names}
        return asked(**given, expert={key: v for key, v in expert.items() if v is not None})

    others = [p for name, p in signature(asked).parameters.items() if name != "expert"]
    dependency.__signature__ = Signature([*others, *added])  # type: ignore[attr-defined]
    return dependency


def check_query(connection: HTTPConnection, dependency: Callable[..., Any]) -> None:
    """Raise SettingError for an option that is unknown or comes twice.

    One of the two would do nothing unnoticed.
    """
    known = [
        name.replace("_", "-") if name in SETTINGS else name
        for name in signature(dependency).parameters
    ]
    check_names(connection.query_params, known, "the query")
    counts = Counter(name for name, _ in connection.query_params.multi_items())
    for name, count in counts.items():
        if count > 1:
            raise SettingError(f"{name} {count} times in the query", "once")


def _parameter(name: str, hint: Any, text: str) -> Parameter:
    least, most = bounds(hint)
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    query = Query(alias=name.replace("_", "-"), description=text, ge=least, le=most)
    return Parameter(
        name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, query]
    )
