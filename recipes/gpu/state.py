"""A checkpoint with 16-bit numbers, in pieces small enough to be sent anywhere.

Each tensor is scaled to its largest magnitude. Adam's second moments span too many orders of
magnitude for that, so their square roots travel.
"""

import io
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from speechduet.errors import ModelError
from speechduet.files.zipped import DAMAGED_ZIP

PIECE = 15_000_000
SMALL = 16


def split(checkpoint: Path, folder: Path) -> None:
    """Write ``state.00``, ``state.01``, ... of at most 15 MB each."""
    content = io.BytesIO()
    torch.save(halved(torch.load(checkpoint, map_location="cpu", weights_only=True)), content)
    data = content.getbuffer()
    for number, start in enumerate(range(0, len(data), PIECE)):
        (folder / f"state.{number:02d}").write_bytes(data[start : start + PIECE])


def join(folder: Path, checkpoint: Path) -> bool:
    """Put the pieces together, if there are any. ModelError if some lack, or are damaged."""
    pieces = sorted(folder.glob("state.[0-9][0-9]"))
    for number, piece in enumerate(pieces):
        if piece.name != f"state.{number:02d}":
            raise ModelError(
                f"{folder / f'state.{number:02d}'} is not there, but {piece.name} is",
                "all pieces of a state",
            )
    if pieces:
        content = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
        torch.save(restored(_loaded(content, pieces)), checkpoint)
    return bool(pieces)


def _loaded(content: io.BytesIO, pieces: list[Path]) -> Any:
    """What was `halved`. Only the archive's checksums tell of changed numbers."""
    names = f"{pieces[0]} to {pieces[-1].name}" if len(pieces) > 1 else str(pieces[0])
    try:
        with zipfile.ZipFile(content) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"bad checksum of {damaged}")
        content.seek(0)
        return torch.load(content, weights_only=True)
    except (*DAMAGED_ZIP, UnpicklingError, LookupError) as error:
        raise ModelError(
            f"{names}: damaged, or the last are missing ({str(error).partition(chr(10))[0]})",
            "all pieces that a job left",
        ) from error


def halved(value: Any, name: str = "") -> Any:
    """Nested values with every larger float32 tensor in half precision."""
    if isinstance(value, Tensor) and value.dtype == torch.float32 and value.numel() > SMALL:
        squared = name == "exp_avg_sq"
        whole = value.sqrt() if squared else value
        scale = whole.abs().max().clamp_min(1e-30)
        return {"half": (whole / scale).half(), "scale": scale, "squared": squared}
    if isinstance(value, dict):
        return {key: halved(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(halved(item) for item in value)
    return value


def restored(value: Any) -> Any:
    """What was `halved`, in float32."""
    if isinstance(value, dict) and value.keys() == {"half", "scale", "squared"}:
        whole = value["half"].float() * value["scale"]
        return whole.square() if value["squared"] else whole
    if isinstance(value, dict):
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(restored(item) for item in value)
    return value
