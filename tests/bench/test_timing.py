from collections.abc import Callable

import pytest

from speechduet.bench.timing import Spread, alternate, times_as_fast
from speechduet.errors import SettingError


def test_runs_take_turns_and_are_timed_apart() -> None:
    now, order = [0.0], []

    def takes(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            now[0] += seconds

        return run

    taken = alternate({"a": takes("a", 1.0), "b": takes("b", 3.0)}, 3, clock=lambda: now[0])
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert taken == {"a": [1.0, 1.0, 1.0], "b": [3.0, 3.0, 3.0]}
    assert times_as_fast(taken["a"], taken["b"]) == Spread(3.0, 3.0, 3.0)


def test_ratios_are_of_rounds_so_that_a_slow_machine_cancels_out() -> None:
    assert times_as_fast([1.0, 10.0, 1.0], [2.0, 20.0, 4.0]) == Spread(2.0, 2.0, 4.0)


def test_no_repeats() -> None:
    with pytest.raises(SettingError, match="0 repeats; expected 1 or more"):
        alternate({"a": lambda: None}, 0)
