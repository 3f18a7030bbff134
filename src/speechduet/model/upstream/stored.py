"""What a checkpoint's pickle may build besides plain containers: descriptions of tensors."""

import pickle
from typing import Any, NamedTuple

import torch


class Storage(NamedTuple):
    """A block of raw numbers in the archive."""

    key: str
    dtype: torch.dtype


class StoredTensor(NamedTuple):
    """Where in the archive a tensor lies; `Archive.tensor` reads it.

    Like `Storage` it has no attributes that a pickle could set once it is checked.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


# Functions that a pickle may call. They are no Python functions: of those it could set attributes,
# such as defaults, which would last.


class Described:
    """Makes a description of a tensor."""

    __slots__ = ()

    def __call__(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
    ) -> StoredTensor:
        """The tensor's place in its storage."""
        if not isinstance(storage, Storage) or len(size) != len(stride) or min(size, default=0) < 0:
            raise pickle.UnpicklingError("a tensor that is none")
        return StoredTensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, stride)))


class First:
    """Takes the first argument: of a parameter, its tensor."""

    __slots__ = ()

    def __call__(self, data: Any, *_: Any) -> Any:
        """The first argument."""
        return data


class Encoded:
    """Makes bytes of text, which is how protocol 2 writes them."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        """The bytes."""
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"bytes in {encoding}")
        return text.encode("latin1")
