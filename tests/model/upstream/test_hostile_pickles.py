"""Ways in which a pickle can attack its reader: each is refused, or comes to nothing.

Instructions are written out where no honest program would write them.
"""

import collections
import copyreg
import functools
import io
import operator
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from speechduet.errors import ModelError
from speechduet.model.upstream import archive, released
from speechduet.model.upstream.archive import Archive
from speechduet.model.upstream.program import MOST_LEVELS, check_program

MARK = "was_here"


class Calling:
    """Pickled as the call of a function."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.parts


def written(*instructions: bytes) -> bytes:
    return b"\x80\x02" + b"".join(instructions) + b"."


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


TOUCH = f"touch {MARK}"
CODE = f"open({MARK!r}, 'w').close()"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def calling(module: str, name: str, *arguments: str) -> bytes:
    parts = b"".join(map(text, arguments))
    return named(module, name) + b"(" + parts + b"tR"


GETATTR = named("builtins", "getattr") + b"(" + named("posix", "path") + text("x") + b"tR"
ATTACKS = {
    "os.system": written(calling("os", "system", TOUCH)),
    "posix.system": written(calling("posix", "system", TOUCH)),
    "eval": written(calling("builtins", "eval", CODE)),
    "exec of Python 2": written(calling("__builtin__", "execfile", MARK)),
    "open": written(calling("builtins", "open", MARK, "w")),
    "io.open": written(calling("io", "open", MARK, "w")),
    "__import__": written(calling("builtins", "__import__", "os")),
    "compile": written(calling("builtins", "compile", CODE, "x", "exec")),
    "breakpoint": written(calling("builtins", "breakpoint")),
    "getattr of a module": written(GETATTR),
    "getattr in a chain": written(
        named("builtins", "getattr") + b"(" + named("builtins", "eval") + text("__call__") + b"tR",
        b"(" + text(CODE) + b"tR",
    ),
    "a dotted name": b"\x80\x04\x8c\x08builtins\x8c\x0deval.__call__\x93(" + text(CODE) + b"tR.",
    "a name on the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93(" + text(TOUCH) + b"tR.",
    "INST": b"(" + text(TOUCH) + b"ios\nsystem\n.",
    "OBJ": written(b"(" + named("os", "system") + text(TOUCH) + b"o"),
    "NEWOBJ": written(named("os", "system") + b"(" + text(TOUCH) + b"t\x81"),
    "subprocess": written(calling("subprocess", "Popen", TOUCH)),
    "a module of torch": written(calling("torch.serialization", "load", MARK)),
    "torch.hub": written(calling("torch.hub", "load", "someone/something", "model")),
    "torch.jit": written(calling("torch.jit._script", "unpickled_script", MARK)),
    "torch._utils": written(calling("torch._utils", "_import_dotted_name", "os.system")),
    "a rebuilding function of torch": written(calling("torch._tensor", "_rebuild_from_type_v2")),
    "numpy.load": written(calling("numpy", "load", MARK)),
    "numpy's runner": written(calling("numpy.testing._private.utils", "runstring", CODE)),
    "methodcaller": written(calling("operator", "methodcaller", "touch")),
    "attrgetter": written(calling("_operator", "attrgetter", "system")),
    "functools.reduce": written(calling("functools", "reduce", "x")),
    "partial": written(calling("functools", "partial", "x")),
    "pickle.loads": written(calling("_pickle", "loads", "x")),
    "marshal": written(calling("marshal", "loads", "x")),
    "types.FunctionType": written(calling("types", "FunctionType", "x")),
    "code": written(calling("code", "interact")),
    "pdb": written(calling("pdb", "run", CODE)),
    "timeit": written(calling("timeit", "timeit", CODE)),
    "webbrowser": written(calling("webbrowser", "open", "http://127.0.0.1")),
    "a function of ours": written(calling("speechduet.model.folder", "save", "x")),
    "copyreg._reconstructor of a function": written(
        named("copyreg", "_reconstructor") + b"(" + named("os", "system") + text(TOUCH) + b"NtR"
    ),
    "copyreg.add_extension": written(calling("copyreg", "add_extension", "os", "system")),
    "__main__": written(calling("__main__", "run_me")),
    "this very module": written(calling(__name__, "run_me")),
    "a persistent id": b"\x80\x02" + text("os.system") + b"Q.",
    "a persistent id of text": b"Pos.system\n.",
    "a persistent call": written(b"(" + named("os", "system") + text(TOUCH) + b"tQ"),
    "an extension": written(b"\x82\x01"),
    "the state of a function": written(
        named("torch._utils", "_rebuild_tensor_v2") + b"}" + text("x") + b"K\x01sb"
    ),
    "the defaults of a function": written(
        named("_codecs", "encode") + b"N}" + text("__defaults__") + b"(" + text("x") + b"ts\x86b"
    ),
    "the state of a container": written(
        named("collections", "OrderedDict") + b"N}" + text("__call__") + b"K\x01s\x86b"
    ),
    "a descriptor given other numbers": written(
        named("torch._utils", "_rebuild_tensor_v2")
        + b"(("
        + text("storage")
        + named("torch", "FloatStorage")
        + text("0")
        + b"tQK\x00K\x01\x85K\x01\x85tR}"
        + text("offset")
        + b"J\xff\xff\xff\xffsb"
    ),
    "memory for 2^29 places": written(b"Nr\xff\xff\xff\x1f"),
    "memory beyond all": written(b"Nr\xff\xff\xff\xff"),
    "a negative place": b"Np-1\n.",
    "tuples within tuples": written(b"})" + b"\x85" * 300_000 + b"K\x01s"),
    "tuples of tuples as a key": written(b"}K\x01K\x02\x86" + b"2\x86" * 60 + b"K\x01s"),
    "tuples of tuples in a set": written(
        named("builtins", "frozenset") + b"]K\x01K\x02\x86" + b"q\x01h\x01\x86" * 60 + b"a\x85R"
    ),
    "bytes of terabytes": b"\x80\x04\x8e" + (1 << 41).to_bytes(8, "little") + b"x.",
    "text of gigabytes": written(b"X\xff\xff\xff\x7fx"),
    "a number of gigabytes": written(b"\x8b\xff\xff\xff\x7fx"),
    "a frame of terabytes": b"\x80\x04\x95" + (1 << 41).to_bytes(8, "little") + b"N.",
    "a mark that is missing": written(b"t"),
    "an empty stack": written(b"0"),
    "no such instruction": written(b"\xff"),
    "no end": b"\x80\x02N",
}
INERT = {
    "a class of the system": written(named("pathlib", "PosixPath") + b"(" + text(MARK) + b"tR"),
    "an unknown class": written(named("nowhere", "Thing") + b")\x81}" + text("a") + b"K\x01sb"),
    "a function that is named alone": written(named("builtins", "eval")),
    "a placeholder's state": written(
        named("nowhere", "Thing")
        + b")\x81}"
        + text("__reduce__")
        + named("builtins", "eval")
        + b"sb"
    ),
    "a class that is made anew": written(named("builtins", "eval") + b"(" + text(CODE) + b"t\x81"),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def archived(path: Path, program: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", program)
        file.writestr("a/data/0", bytes(16))
    return path


def within(program: bytes) -> bytes:
    """A program whose value lies where a checkpoint has its weights, three levels down."""
    begin, end = (2, -1) if program.startswith(b"\x80") else (0, -1)
    head = program[:begin] if begin else b""
    return head + b"}" + text("state_dict") + b"}" + text("a") + b"]" + program[begin:end] + b"ass."


@pytest.mark.parametrize("deep", [False, True], ids=["alone", "within"])
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(tmp_path: Path, name: str, deep: bool) -> None:
    program = within(ATTACKS[name]) if deep else ATTACKS[name]
    with pytest.raises(ModelError) as caught:
        released.load(archived(tmp_path / "x.ckpt", program))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    (tmp_path / "bare.ckpt").write_bytes(program)
    with pytest.raises(ModelError):
        released.load(tmp_path / "bare.ckpt")
    assert not Path(MARK).exists()


@pytest.mark.parametrize("name", INERT)
def test_what_is_unknown_comes_to_nothing(tmp_path: Path, name: str) -> None:
    with Archive(archived(tmp_path / "x.ckpt", INERT[name])) as opened:
        content = opened.content
        kind = content if isinstance(content, type) else type(content)
        assert issubclass(kind, archive.Placeholder)
    assert not Path(MARK).exists()


@pytest.mark.parametrize(
    "thing",
    [
        Calling(exec, CODE),
        Calling(functools.partial(exec, CODE)),
        Calling(operator.methodcaller("system", TOUCH), "os"),
        Calling(collections.Counter, (Calling(exec, CODE),)),
        Calling(list, (), state={"x": Calling(eval, CODE)}),
        {"a": [{"b": (Calling(exec, CODE),)}]},
    ],
    ids=["reduce", "partial", "methodcaller", "argument", "state", "nested"],
)
def test_what_torch_writes_of_hostile_objects(
    tmp_path: Path, thing: Any, save: Callable[..., Path]
) -> None:
    path = save(callbacks=thing)
    with pytest.raises(ModelError, match="refused: the checkpoint tries to run"):
        released.load(path)
    assert not Path(MARK).exists()


def test_a_registered_extension_is_not_followed(tmp_path: Path) -> None:
    copyreg.add_extension("builtins", "exec", 240)  # type: ignore[no-untyped-call]
    try:
        data = pickle.dumps(Calling(exec, CODE), 2)
        assert b"\x82\xf0" in data
        pickle.loads(pickle.dumps(exec, 2))  # by which Python keeps it in mind
        with pytest.raises(ModelError, match="extension 240"):
            released.load(archived(tmp_path / "x.ckpt", data))
    finally:
        copyreg.remove_extension("builtins", "exec", 240)  # type: ignore[no-untyped-call]
    assert not Path(MARK).exists()


def test_functions_keep_their_defaults() -> None:
    for made in (archive.Described(), archive.First(), archive.Encoded()):
        with pytest.raises(AttributeError):
            made.__defaults__ = ("x",)  # type: ignore[union-attr]
        assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_honest_programs_are_followed(protocol: int) -> None:
    circle: list[Any] = [1]
    circle.append((circle,))
    for value in (
        {"a": [float(n) for n in range(5000)], "b": {str(n): (n, (n,)) for n in range(3000)}},
        *(circle, circle[1], frozenset([1, (2,)]), {3}, bytearray(b"x"), b"y", "z" * 300),
        torch.Size([1, 2]),
    ):
        stream = io.BytesIO(pickle.dumps(value, protocol) + b"behind it")
        check_program(stream)
        assert stream.read() == b"behind it"


def test_levels_are_counted() -> None:
    check_program(io.BytesIO(written(b")", b"\x85" * (MOST_LEVELS - 1))))
    with pytest.raises(pickle.UnpicklingError, match="values within values"):
        check_program(io.BytesIO(written(b")", b"\x85" * MOST_LEVELS)))
