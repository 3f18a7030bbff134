"""Reads what ``torch.save`` wrote, without running any of it.

Such a file is a zip archive of a pickle, which is a small program, and of raw numbers. Here that
program may build plain containers and descriptions of tensors. Classes it names are never
imported: they become inert placeholders. Functions it wants to call are refused by name.
"""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechduet.errors import ModelError
from speechduet.files.bounded import BoundedFile
from speechduet.files.zipped import DAMAGED_ZIP
from speechduet.model.upstream.program import check_program
from speechduet.model.upstream.stored import Described, Encoded, First, Storage, StoredTensor

DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

CONTAINERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.complex": complex,
    "torch.Size": tuple,
}

PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg", "commands": "subprocess"}
"""Old names of modules, which pickles of protocol 2 (torch's default) still write."""

RUNNING_MODULES = frozenset(
    ("ctypes", "importlib", "nt", "os", "posix", "pty", "runpy", "shutil", "subprocess", "sys")
)
"""No data comes from these: to name anything of theirs is refused, called or not."""

INERT_NAMES = frozenset(
    f"numpy.{package}.multiarray.{name}"
    for package in ("core", "_core")
    for name in ("scalar", "_reconstruct")
) | {"collections.defaultdict", "copyreg._reconstructor", "numpy.dtype", "torch.device"}
"""Lower-case names that data carries; what they would build is not needed here."""


UNREADABLE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a damaged pickle raises."""


MOST_AT_ONCE = 1 << 26
"""Bytes of a pickle, or of the list of an archive's entries: a hundred times what is usual."""
_PIECE = 1 << 20
_MOST_UNUSED = 4
"""How many times as large as a tensor its storage may be, if it has more than `MOST_AT_ONCE`."""


class _Called(type):
    """Decides what happens when a pickle *calls* a placeholder instead of building an instance."""

    qualified_name = ""

    def __call__(cls, *arguments: Any, **settings: Any) -> Any:
        """Ignore the arguments, unless the name is that of a function."""
        looks_like_class = cls.qualified_name.rpartition(".")[2].lstrip("_")[:1].isupper()
        if not looks_like_class and cls.qualified_name not in INERT_NAMES:
            raise refusal(cls.qualified_name)
        return super().__call__()


class Placeholder(dict[Any, Any], metaclass=_Called):
    """Stands for an object of an unknown class; keeps the items of a dictionary, else nothing."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __new__(cls, *arguments: Any, **settings: Any) -> "Placeholder":
        """Ignore the arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Ignore the state."""

    def append(self, item: Any) -> None:
        """Ignore the items of a list."""

    def extend(self, items: Any) -> None:
        """Ignore the items of a list."""


class Archive:
    """An open archive: ``content`` is its pickle's content with tensors as `StoredTensor`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with ExitStack() as unless_read:
            self._zip = _open(path, unless_read)
            pickles = [name for name in self._zip.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ModelError(
                    f"{path} is a zip archive without a torch pickle", "a checkpoint of torch.save"
                )
            self._prefix = pickles[0].removesuffix("data.pkl")
            self.content = self._unpickle()
            self._opened = unless_read.pop_all()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Read one tensor."""
        if prod(stored.size) == 0:
            return torch.zeros(stored.size, dtype=stored.storage.dtype)
        own_bytes = prod(stored.size) * stored.storage.dtype.itemsize
        most = max(MOST_AT_ONCE, _MOST_UNUSED * own_bytes)
        data = self._read(f"data/{stored.storage.key}", most)
        held = len(data) // stored.storage.dtype.itemsize
        reach = stored.offset + sum(
            (size - 1) * stride for size, stride in zip(stored.size, stored.stride, strict=True)
        )
        # No more values than are stored: repetition by a stride of 0 could fill the memory.
        if min(stored.offset, *stored.stride, 0) < 0 or max(reach, prod(stored.size) - 1) >= held:
            raise self._damaged(f"tensor of shape {stored.size} outside its storage")
        values = torch.frombuffer(data, dtype=stored.storage.dtype, count=held)
        return values.as_strided(stored.size, stored.stride, stored.offset).clone()

    def _unpickle(self) -> Any:
        recorded = self._prefix + "byteorder" in self._zip.namelist()
        if recorded and self._read("byteorder", MOST_AT_ONCE) != b"little":
            raise ModelError(f"{self._path} was saved in big-endian order", "little-endian numbers")
        try:
            return _unpickled(BytesIO(self._read("data.pkl", MOST_AT_ONCE)))
        except ModelError as error:
            raise ModelError(f"{self._path}: {error}") from None
        except UNREADABLE as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from None

    def _read(self, name: str, most_bytes: int) -> bytearray:
        """All of an entry, whose checksum is right; ModelError if it declares more bytes."""
        data = bytearray()
        try:
            entry = self._zip.getinfo(self._prefix + name)
            # torch.save stores plainly; a compressed entry could unfold beyond all memory.
            if entry.compress_type != zipfile.ZIP_STORED:
                raise self._damaged(f"entry {name} is compressed")
            if entry.file_size > most_bytes:
                raise self._damaged(f"entry {name} declares {entry.file_size:,} bytes")
            with self._zip.open(entry) as stream:
                while piece := stream.read(_PIECE):
                    data += piece
            return data
        except KeyError:
            raise self._damaged(f"entry {name} is missing") from None
        except (*DAMAGED_ZIP, OSError) as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, detail: str) -> ModelError:
        return ModelError(f"{self._path} is damaged ({detail})", remedy="download it again")


class _Unpickler(pickle.Unpickler):
    """Knows tensors and plain containers, and imports nothing."""

    def find_class(self, module: str, name: str, /) -> Any:
        """What a name in the pickle stands for here."""
        module = PYTHON_2.get(module, module)
        qualified = f"{module}.{name}"
        if module in ("torch", "torch.storage") and name in DTYPES:
            return DTYPES[name]
        if qualified in CONTAINERS:
            return CONTAINERS[qualified]
        if qualified == "torch._utils._rebuild_tensor_v2":
            return Described()
        if qualified == "torch._utils._rebuild_parameter":
            return First()
        if qualified == "_codecs.encode":
            return Encoded()
        if module.partition(".")[0] in RUNNING_MODULES:
            raise refusal(qualified)
        return _Called(name, (Placeholder,), {"qualified_name": qualified})

    def persistent_load(self, pid: Any, /) -> Storage:
        """A reference to raw numbers."""
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
            raise pickle.UnpicklingError(f"reference {kind!r}")
        return Storage(key, dtype)


def refusal(name: str) -> ModelError:
    """The error for a pickle that names something to be run."""
    return ModelError(
        f"refused: the checkpoint tries to run {name}",
        "only tensors and plain containers",
        "it may be malicious: do not load it elsewhere either",
    )


def _unpickled(stream: BytesIO) -> Any:
    """What a pickle builds here, once its program is known to be of bounded size."""
    start = stream.tell()
    check_program(stream)
    stream.seek(start)
    return _Unpickler(stream).load()


def _refuse_calls(path: Path) -> None:
    """Say by name what a bare pickle would run, if anything."""
    with path.open("rb") as file:
        stream = BytesIO(file.read(MOST_AT_ONCE))
    with suppress(*UNREADABLE):
        while True:
            _unpickled(stream)


def _open(path: Path, opened: ExitStack) -> zipfile.ZipFile:
    expected = "a checkpoint of torch.save in its zip format (torch 1.6 or newer)"
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if not start:
            raise ModelError(f"{path} is empty", expected)
        if start[:1] == b"\x80":
            _refuse_calls(path)
            raise ModelError(
                f"{path} is a bare pickle or torch's format before 1.6",
                expected,
                "load and save it once with a recent torch",
            )
        if start != b"PK\x03\x04":
            raise ModelError(f"{path} is no checkpoint", expected)
        bounded = opened.enter_context(BoundedFile(path, MOST_AT_ONCE))
        return opened.enter_context(zipfile.ZipFile(bounded))
    except DAMAGED_ZIP:
        raise ModelError(f"{path} is truncated or damaged", expected, "download it again") from None
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist", expected) from None
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path} cannot be read ({reason})", expected) from None
