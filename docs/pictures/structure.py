"""Draws which part of the package imports which, into structure.svg.

python docs/pictures/structure.py

A part is a folder or module directly in src/speechduet. Each stands below all that it imports;
lines that follow from others are left out.
"""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "speechduet"
PICTURE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT, GAP, ROW = 112, 30, 16, 74
"""Sizes in pixels: of a box, between boxes, and from row to row."""


def imported(path: Path) -> Iterator[str]:
    """The parts that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("speechduet."))


def imports() -> dict[str, set[str]]:
    """What each part imports of the others."""
    parts: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if not part.startswith("__"):
            parts.setdefault(part, set()).update(imported(path))
    return {part: others & parts.keys() - {part} for part, others in parts.items()}


def everything_below(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What each part needs, directly or by way of others, in an order of imports."""
    needed: dict[str, set[str]] = {}
    for part in TopologicalSorter(graph).static_order():
        needed[part] = graph[part].union(*(needed[other] for other in graph[part]))
    return needed


def rows(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The parts in rows; those of a row stand near what they import."""
    depth: dict[str, int] = {}
    for part in everything_below(graph):
        depth[part] = 1 + max((depth[other] for other in graph[part]), default=-1)
    found: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    place: dict[str, float] = {}
    for level, row in enumerate(found):
        row += sorted(part for part in graph if depth[part] == level)
        row.sort(key=lambda part: sum(place[n] for n in graph[part]) / max(1, len(graph[part])))
        place |= {part: index - (len(row) - 1) / 2 for index, part in enumerate(row)}
    return found


def draw(graph: Mapping[str, set[str]]) -> str:
    """The picture as SVG."""
    below, levels = everything_below(graph), rows(graph)
    width = max(map(len, levels)) * (WIDTH + GAP) + GAP
    height = len(levels) * ROW - ROW + HEIGHT + 2 * GAP
    centres = {
        part: (width / 2 + (index - (len(row) - 1) / 2) * (WIDTH + GAP), GAP + level * ROW)
        for level, row in enumerate(levels)
        for index, part in enumerate(row)
    }
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13" text-anchor="middle">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for part, others in sorted(graph.items()):
        for other in sorted(others - set().union(*(below[between] for between in others))):
            (x, y), (to_x, to_y) = centres[part], centres[other]
            lines.append(
                f'<path d="M{x:g} {y} C{x:g} {y - 30} {to_x:g} {to_y + HEIGHT + 30} '
                f'{to_x:g} {to_y + HEIGHT}" fill="none" stroke="#78909c"/>'
            )
    for part, (x, y) in centres.items():
        lines.append(
            f'<rect x="{x - WIDTH / 2:g}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
            f'fill="#e3f2fd" stroke="#263238"/><text x="{x:g}" y="{y + 20}">{part}</text>'
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(imports()), encoding="utf-8")
