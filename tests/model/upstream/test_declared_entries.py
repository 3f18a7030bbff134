"""What a checkpoint's archive declares takes no memory before it is known to be there."""

import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

ENTRIES = """
import resource, sys, torch
from pathlib import Path
from speechduet.errors import ModelError
from speechduet.model.upstream import released
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        released.load(Path(name))
    except ModelError as error:
        print(error)
    else:
        print("it was read")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def stored(path: Path, size: int, storage: int, stride: int = 1) -> Path:
    """A checkpoint of one weight, whose storage is full of nothing and takes no room on disk."""
    weight = torch.zeros(2, 4, 1, 1)
    torch.save({"state_dict": {"dnn.output_layer.weight": weight}, "hyper_parameters": {}}, path)
    with zipfile.ZipFile(path) as file:
        (name,) = (name for name in file.namelist() if name.endswith("data.pkl"))
        program = file.read(name)
    shape = b"(K\x02K\x04K\x01K\x01t"
    strides = b"(K\x04K\x01K\x01K\x01t"
    assert shape in program and strides in program
    number = b"\x8a\x08" + size.to_bytes(8, "little")
    program = program.replace(shape, b"(K\x02" + number + b"K\x01K\x01t")
    step = b"\x8a\x08" + stride.to_bytes(8, "little")
    program = program.replace(strides, b"(" + number + step + b"K\x01K\x01t")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", program)
        with file.open(zipfile.ZipInfo("a/data/0"), "w", force_zip64=True) as entry:
            entry.write(bytes(64))
    if storage > 64:
        widened(path, storage)
    return path


def widened(path: Path, size: int) -> None:
    """The archive with another size for the last of its entries, in both places that state it."""
    data = path.read_bytes()
    old, new = (64).to_bytes(4, "little"), min(size, 0xFFFFFFFE).to_bytes(4, "little")
    central = data.rindex(b"PK\x01\x02")
    entry = data[central:]
    assert entry.count(old * 2) == 1
    path.write_bytes(data[:central] + entry.replace(old * 2, new * 2))


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_sizes_that_are_declared_take_no_memory(tmp_path: Path) -> None:
    huge = stored(tmp_path / "huge.ckpt", 1 << 40, 64)
    repeated = stored(tmp_path / "repeated.ckpt", 1 << 27, 64, stride=0)
    lying = stored(tmp_path / "lying.ckpt", 4, 0xFFFFFFFE)
    pickled = tmp_path / "pickled.ckpt"
    with zipfile.ZipFile(pickled, "w") as file:
        file.writestr("a/data.pkl", b"N.")
    data = pickled.read_bytes()
    place = data.index(b"PK\x01\x02") + 20
    pickled.write_bytes(data[:place] + b"\xfe\xff\xff\xff" * 2 + data[place + 8 :])
    listed = tmp_path / "listed.ckpt"
    # A list of entries of 3 GB, of a file that has as many bytes, all of them holes.
    end = b"PK\x05\x06" + bytes(4) + b"\1\0\1\0" + (3 << 30).to_bytes(4, "little") + bytes(6)
    with listed.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.seek((3 << 30) + 100)
        file.write(end)
    files = [huge, repeated, lying, pickled, listed]
    done = subprocess.run(
        [sys.executable, "-c", ENTRIES, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (10 << 30, 10 << 30)),
    )
    *messages, taken_mb = done.stdout.splitlines()
    assert done.returncode == 0 and len(messages) == len(files), done.stderr
    assert all(path.name in message for path, message in zip(files, messages, strict=True))
    assert int(taken_mb) < 200
