"""Recipes, manifests and lists from strangers: they name no code, and are of bounded size."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from speechduet.bulk.rows import rows_of
from speechduet.data.pairs import find_pairs
from speechduet.errors import AudioError, SettingError, SpeechduetError
from speechduet.files.bounded import BoundedFile
from speechduet.files.text import read_text

yaml = pytest.importorskip("yaml", reason="recipes are YAML")
recipe_file = pytest.importorskip("speechduet.training.recipe_file", reason="needs [train]")

MARK = "was_here"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)
)
RECIPES = {
    "apply": f"system: !!python/object/apply:os.system ['touch {MARK}']",
    "new": f"system: !!python/object/new:subprocess.Popen [['touch', '{MARK}']]",
    "name": "system: !!python/name:os.system",
    "module": "system: !!python/module:os",
    "object": "system: !!python/object:speechduet.model.config.Config {}",
    "tuple": "system: !!python/tuple [1]",
    "a tag of its own": "system: !System {name: sgmse_plus}",
    "a verbatim tag": "system: !<tag:yaml.org,2002:python/name:os.system> x",
    "a tag by another prefix": "%TAG ! tag:yaml.org,2002:python/name:\n---\nsystem: !os.system x",
    "an import path as system": "system: speechduet.network.system.System\ndata: {pairs: p}",
    "an import path as kind": "system: {layout: {}}\nnetwork: {kind: torch.nn.Linear}",
    "an unknown section": "callbacks: [os.system]\nsystem: sgmse_plus",
    "a folder outside as name": "system: sgmse_plus\nname: ../../x\ndata: {pairs: p}",
    "an absolute folder as name": "system: sgmse_plus\nname: /tmp/x\ndata: {pairs: p}",
    "aliases of aliases": LAUGHS,
    "aliases of aliases where a value is checked": LAUGHS + "system: *a39",
    "merges of merges": MERGES,
    "a list in itself": "a: &a [*a]\nsystem: sgmse_plus",
    "lists in lists": "a: " + "[" * 5000,
    "deep lists": "system: " + "[" * 90 + "]" * 90,
    "a large number": "system: sgmse_plus\ndata: {pairs: p}\nrun: {max_steps: 0x"
    + "f" * 9000
    + "}",
    "a number in base 60": "system: sgmse_plus\nx: " + "1:" * 2000 + "1.0",
    "too long": "#" * (1 << 19),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_name_no_code_and_stay_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPES[name])
    with pytest.raises(SettingError) as caught:
        recipe_file.read_recipe(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 2000
    assert not Path(MARK).exists()


def test_a_few_aliases_are_fine(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: &a {steps: 1}\nb: *a\nc: {<<: *a, seed: 2}\n")
    found = recipe_file.load(tmp_path / "x.yaml")
    assert found["b"] == {"steps": 1} and found["c"] == {"steps": 1, "seed": 2}


DEEP = "[" * 100_000
LISTS = {
    "deep.jsonl": DEEP,
    "digits.jsonl": '{"clean": ' + "9" * 5000 + "}",
    "zero.jsonl": json.dumps({"clean": "a\0b", "noisy": "x", "path": "a", "output": "a\0.wav"}),
    "surrogate.jsonl": '{"clean": "\\ud800", "noisy": "x", "path": "y", "output": "../z.wav"}',
    "list.jsonl": '{"clean": ["a"], "noisy": {}, "path": [1]}',
    "field.csv": "clean,noisy,path\n" + "a" * 200_000 + ",b,c\n",
    "quote.csv": 'clean,noisy,path\n"' + "a" * 200_000,
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_that_are_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(LISTS[name])
    with pytest.raises(SettingError, match=name):
        find_pairs(tmp_path / name)
    with pytest.raises(SettingError, match=name):
        list(rows_of(str(tmp_path / name), str(tmp_path / "out"), None, lambda found: []))


@pytest.mark.parametrize(
    "output",
    [
        *("../x.wav", "a/../../x.wav", "/tmp/x.wav", "a//x.wav", "./x.wav", "..\\x.wav"),
        *(
            "C:\\x.wav",
            "~/../x.wav",
            "_ledger/x.wav",
            "x.py",
            "x",
            ".wav/",
            "a/..",
            "file:///x.wav",
        ),
    ],
)
def test_results_stay_below_the_folder_of_results(tmp_path: Path, output: str) -> None:
    manifest = tmp_path / "list.jsonl"
    manifest.write_text(json.dumps({"path": "a.wav", "output": output}))
    with pytest.raises(
        SettingError, match=r"outside of the folder|of the ledger|not the name of an"
    ):
        list(rows_of(str(manifest), str(tmp_path / "out"), None, lambda found: []))


def test_long_texts_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no room on disk
    with pytest.raises(SettingError, match=r"list.csv has more than 268,435,456 bytes; expected a"):
        find_pairs(path)
    path.write_bytes(b"12345")
    assert read_text(path, "five", 5) == "12345"
    with pytest.raises(SettingError, match="more than 4 bytes; expected four"):
        read_text(path, "four", 4)


def shard(change: Callable[[tarfile.TarInfo], None], kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo("a.clean.wav")
    member.type = kind
    change(member)
    header = member.tobuf(tarfile.GNU_FORMAT)
    return header + bytes(4096)


def sized(size: int) -> Callable[[tarfile.TarInfo], None]:
    return lambda member: setattr(member, "size", size)


SHARDS = {
    "a negative size": shard(sized(-1024)),
    "a negative name": shard(sized(-1024), tarfile.GNUTYPE_LONGNAME),
    "a name of terabytes": shard(sized(1 << 41), tarfile.GNUTYPE_LONGNAME),
    "a header of terabytes": shard(sized(1 << 41), tarfile.XHDTYPE),
    "a name of 10 MB": shard(sized(10 << 20), tarfile.GNUTYPE_LONGNAME),
    "a member of terabytes": shard(sized(1 << 41)),
    "nothing": bytes(1024),
}


@pytest.mark.parametrize("name", SHARDS)
def test_shards_that_lie(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(SHARDS[name])
    with pytest.raises(AudioError, match=r"x.tar"):
        find_pairs(path)


def test_members_are_never_unpacked_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "in" / "x.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as file:
        for role in ("clean", "noisy"):
            for name in (f"../../out.{role}.wav", f"/tmp/out.{role}.wav"):
                member = tarfile.TarInfo(name)
                member.size = 5
                file.addfile(member, io.BytesIO(b"hello"))
        link = tarfile.TarInfo("b.clean.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    pairs = find_pairs(path)
    assert len(pairs) == 2
    with pytest.raises(SpeechduetError):
        pairs[0].clean.shape()
    assert [one.name for one in tmp_path.rglob("*")] == ["in", "x.tar"]


def test_what_is_declared_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    with BoundedFile(tmp_path / "x", 60) as file:
        with pytest.raises(OSError, match="a piece of 100 bytes is declared"):
            file.read()
        with pytest.raises(OSError, match="a piece of 61 bytes"):
            file.read(61)
        assert len(file.read(60)) == 60 and len(file.read()) == 40 and file.read() == b""
