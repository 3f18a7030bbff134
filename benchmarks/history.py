"""List the records of ``speechduet bench --json`` in ``benchmarks/history``, a line each.

python benchmarks/history.py
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).parent / "history"


def lines(record: dict[str, Any]) -> Iterator[str]:
    """A line for each candidate that the first one was compared with, or one for itself."""
    request, machine = record["request"], record["machine"]
    (name, first), *_ = record["contestants"].items()
    model = request["network"] or request["model"] or request["recipe"]
    what = f"{request['work']} of {model or ('sgmse_plus' if request['sgmse'] else 'the default')}"
    shares = (("share_of_convolution_peak", "peak"), ("share_of_floor", "its products alone"))
    parts = [f"{first[share]:.0%} of {limit}" for share, limit in shares if first[share]]
    measured = ", ".join([f"{first['seconds_median']:.3g} s", *parts])
    processor = machine.get("gpu", machine["processor"])
    where = f"{processor}, {machine['threads']} threads"
    ratios = record["times_as_fast_as"] or {"–": None}
    for other, ratio in ratios.items():
        speed = (
            f"{ratio['median']:.2f} ({ratio['least']:.2f}–{ratio['greatest']:.2f})" if ratio else ""
        )
        cells = (record["day"], record["commit"] or "–", where, what, name, measured, other, speed)
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    print("| day | commit | machine | one | of | measured | against | times as fast |")
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(HISTORY.glob("*.json")):
        print("\n".join(lines(json.loads(path.read_text(encoding="utf-8")))))


if __name__ == "__main__":
    main()
