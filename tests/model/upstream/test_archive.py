"""What a checkpoint may hold: nothing of it is run, imported or built."""

import collections
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from speechduet.errors import ModelError
from speechduet.model.upstream import released
from speechduet.model.upstream.archive import Archive, Placeholder


class Hostile:
    """Asks the reader of a pickle to call something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, r"(posix|nt)\.system"),
        (eval, r"builtins\.eval"),
        (exec, r"builtins\.exec"),
        (getattr, r"builtins\.getattr"),
        (subprocess.Popen, r"subprocess\.Popen"),
        (torch.load, r"torch\.serialization\.load"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_pickle_that_runs_something_is_refused_by_name(
    save: Callable[..., Path], tmp_path: Path, function: Callable[..., Any], name: str
) -> None:
    mark = tmp_path / "was here"
    hostile = Hostile(function, f"touch '{mark}'")
    with pytest.raises(ModelError, match=f"refused: the checkpoint tries to run {name}"):
        released.load(save(callbacks=hostile))
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_bare_pickle_that_runs_something_is_refused_by_name(
    tmp_path: Path, protocol: int
) -> None:
    path = tmp_path / "hostile.ckpt"
    with path.open("wb") as file:
        pickle.dump("harmless", file, protocol)
        pickle.dump({"state_dict": Hostile(os.system, "false")}, file, protocol)
    with pytest.raises(ModelError, match=r"refused: .*(posix|nt)\.system"):
        released.load(path)


class Unknown:
    """A class that the reader must neither import nor build."""

    built = 0

    def __init__(self) -> None:
        Unknown.built += 1

    def __setstate__(self, state: Any) -> None:
        Unknown.built += 1


class UnknownDictionary(dict[str, Any]):
    """As Lightning keeps settings in."""


def test_unknown_classes_become_inert_placeholders(tmp_path: Path) -> None:
    thing = Unknown()
    thing.state = 1  # type: ignore[attr-defined]
    before = Unknown.built
    path = tmp_path / "archive.pt"
    torch.save(
        {
            "class": Unknown,
            "instance": thing,
            "dictionary": UnknownDictionary(theta=1.5),
            "path": Path("/tmp"),
            "bytes": b"\x00\xff",
            "set": {1, 2},
            "shape": torch.Size([2, 3]),
            "order": collections.OrderedDict(a=1),
            "default": collections.defaultdict(list, {1: [2]}),
            "number": 1 + 2j,
            "half": torch.arange(6.0).half().reshape(2, 3).t(),
            "none": torch.zeros(0, 3),
        },
        path,
    )
    with Archive(path) as archive:
        found = archive.content
        assert issubclass(found["class"], Placeholder)
        assert isinstance(found["instance"], Placeholder) and not hasattr(
            found["instance"], "state"
        )
        assert found["dictionary"] == {"theta": 1.5}
        assert isinstance(found["path"], Placeholder)
        assert found["bytes"] == b"\x00\xff" and found["set"] == {1, 2}
        assert found["shape"] == (2, 3) and found["order"] == {"a": 1}
        assert found["default"] == {1: [2]} and found["number"] == 1 + 2j
        half = archive.tensor(found["half"])
        torch.testing.assert_close(half, torch.arange(6.0).half().reshape(2, 3).t())
        assert archive.tensor(found["none"]).shape == (0, 3)
    assert Unknown.built == before
