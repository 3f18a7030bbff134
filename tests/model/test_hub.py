"""Models of the Hub: the real huggingface_hub against a stand-in of the Hub on loopback.

huggingface_hub reads its environment when it is imported, so each test runs a program of its own.
"""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from speechduet.model.hub import identified

STAND_IN = runpy.run_path(str(Path(__file__).with_name("hub_stand_in.py")))
TOKEN, Repository = STAND_IN["TOKEN"], STAND_IN["Repository"]

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")
pytestmark = pytest.mark.slow

WANTED = ("README.md", "config.json", "model.safetensors")
LOAD = """
from speechduet.errors import ModelError
from speechduet.model.find import load_any
said = []
for name, revision in asked:
    try:
        model = load_any(name, revision)
        said.append([model.name, sum(p.double().sum().item() for p in model.system.parameters())])
    except ModelError as error:
        said.append(str(error))
"""


@pytest.fixture
def hub() -> Iterator[Any]:
    with STAND_IN["stand_in"]() as hub:
        yield hub


@pytest.fixture
def run(hub: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a program against the stand-in; what its variable ``said`` holds in the end."""

    def run(code: str, *, token: str = "", offline: bool = False, **given: Any) -> Any:
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
        for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_XET_CACHE"):
            environment.pop(name, None)
        environment |= {
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        environment |= {"HF_TOKEN": token} if token else {}
        environment |= {"HF_HUB_OFFLINE": "1"} if offline else {}
        values = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        program = f"said = []\n{values}{code}\nimport json; print(json.dumps(said))"
        ended = subprocess.run(
            [sys.executable, "-c", program],
            **{"capture_output": True, "text": True, "check": False, "env": environment},
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr[-3000:]
        return json.loads(ended.stdout.splitlines()[-1])

    return run


@pytest.fixture
def files(tiny_model: Path) -> dict[str, bytes]:
    """A model's files, and one that nobody may fetch."""
    found = {path.name: path.read_bytes() for path in tiny_model.iterdir()}
    return {**found, "pytorch_model.bin": b"a pickle", "code.py": b"import os"}


def test_names() -> None:
    assert identified("org/name") == ("org/name", None)
    assert identified("org/name@v1.0/x") == ("org/name", "v1.0/x")
    for other in ("name", "org/name.ckpt", "../name", "org/name/more", "org/name@"):
        assert identified(other) is None


def test_download_revision_and_cache(
    hub: Any, run: Callable[..., Any], files: dict[str, bytes], tmp_path: Path
) -> None:
    repository = hub.repositories["org/name"] = Repository()
    renamed = {**files, "config.json": files["config.json"].replace(b'"tiny"', b'"older"')}
    first = repository.commit(renamed, "v1")
    repository.commit(files)
    asked = [
        ("org/name", None),
        ("org/name", "v1"),
        ("org/name@v1", None),
        ("org/name", first),
        ("org/name", "v3"),
        ("org/name@v1", "main"),
        ("org/nothing", None),
    ]
    said = run(LOAD, asked=asked)
    assert [one[0] for one in said[:4]] == ["tiny", "older", "older", "older"]
    assert said[4] == (
        "cannot fetch org/name@v3: no revision v3; expected a branch, a tag or a commit"
    )
    assert "one revision" in said[5]
    assert said[6].startswith(f"cannot fetch org/nothing: {hub.address} has no such model, or it")
    assert "HF_TOKEN" in said[6]
    # Nothing but the model was asked for.
    assert not [one for one in hub.asked if ".bin" in one or ".py" in one]
    fetched = {path.name for path in (tmp_path / "home").rglob("snapshots/*/*")}
    assert fetched == set(WANTED)

    hub.asked.clear()
    listed = (
        f"{LOAD}\nfrom speechduet.model.hub import cached\n"
        "said += cached()\nimport speechduet.cli\n"
    )
    said = run(listed, asked=[*asked[:2], ("org/nothing", None)], offline=True)
    assert [said[0][0], said[1][0], said[3]] == ["tiny", "older", "org/name"]
    assert "HF_HUB_OFFLINE is set, and the cache" in said[2]
    assert not hub.asked
    hub.cut = True  # what is there is not fetched again
    assert run(LOAD, asked=asked[:1])[0][0] == "tiny"


def test_gated_private_and_not_a_model(
    hub: Any, run: Callable[..., Any], files: dict[str, bytes]
) -> None:
    hub.repositories["org/gated"] = Repository(gated=True)
    hub.repositories["org/private"] = Repository(private=True)
    hub.repositories["org/other"] = Repository()
    for name in ("gated", "private"):
        hub.repositories[f"org/{name}"].commit(files)
    hub.repositories["org/other"].commit({"pytorch_model.bin": b"a pickle"})
    asked = [("org/gated", None), ("org/private", None), ("org/other", None)]
    gated, private, other = run(LOAD, asked=asked)
    assert f"ask for it at {hub.address}/org/gated, then log in" in gated
    assert "or it is private" in private
    assert other.startswith("org/other is no model of speechduet: it has no config.json")
    assert [one[0] for one in run(LOAD, asked=asked[:2], token=TOKEN)] == ["tiny", "tiny"]


def test_damaged_and_broken_off(
    hub: Any, run: Callable[..., Any], files: dict[str, bytes], tmp_path: Path
) -> None:
    hub.repositories["org/name"] = Repository()
    hub.repositories["org/name"].commit(files)
    hub.cut = True
    (said,) = run(LOAD, asked=[("org/name", None)])
    assert said.startswith("cannot fetch org/name (")
    hub.cut = False
    assert run(LOAD, asked=[("org/name", None)])[0][0] == "tiny"
    (weights,) = (tmp_path / "home").rglob("snapshots/*/model.safetensors")
    stored = bytearray(weights.read_bytes())
    stored[-1] ^= 1  # still a safetensors file, of finite numbers
    weights.resolve().write_bytes(stored)
    (said,) = run(LOAD, asked=[("org/name", None)])
    assert "model.safetensors is damaged (SHA-256" in said and "delete that folder" in said


def test_a_hub_out_of_reach(hub: Any, run: Callable[..., Any]) -> None:
    hub.address = "http://127.0.0.1:9"
    (said,) = run(LOAD, asked=[("org/name", None)])
    assert said.startswith("cannot fetch org/name (")
    assert "check the name, or give a folder" in said


PUSH = """
from speechduet import Enhancer
from speechduet.errors import ModelError
enhancer = Enhancer.from_pretrained(model, device="cpu")
for options in pushes:
    try:
        said.append(enhancer.push_to_hub(**options))
    except ModelError as error:
        said.append(str(error))
"""


def test_what_is_pushed_is_what_is_pulled(
    hub: Any, run: Callable[..., Any], tiny_model: Path, tmp_path: Path
) -> None:
    pushes = [
        {"name": "org/mine", "private": True, "commit_message": "First", "token": TOKEN},
        {"name": "org/mine", "token": "hf_wrong"},
        {"name": "mine"},
        {"name": "org/mine@v1"},
    ]
    address, wrong, nameless, revision = run(PUSH, model=str(tiny_model), pushes=pushes)
    repository = hub.repositories["org/mine"]
    assert address == f"{hub.address}/org/mine/commit/{repository.names['main']}"
    assert repository.private and hub.messages == ["First"]
    assert wrong == (
        "cannot publish org/mine: not allowed (401); log in (hf auth login) or set HF_TOKEN"
    )
    assert "'mine' is no name on the Hub" in nameless
    assert "'org/mine@v1' is no name on the Hub" in revision
    written = repository.commits[repository.names["main"]]
    assert sorted(written) == sorted(WANTED)
    assert "--model org/mine\n" in written["README.md"].decode()
    assert hub.cards == [written["README.md"].decode()]

    code = LOAD + "from speechduet.model.folder import save\nsave(model, folder)\n"
    folder = tmp_path / "pulled"
    assert run(code, asked=[("org/mine", None)], token=TOKEN, folder=str(folder))[0][0] == "tiny"
    pushed, pulled = (load_file(one / "model.safetensors") for one in (tiny_model, folder))
    assert pushed.keys() == pulled.keys()
    assert all(pushed[name].equal(pulled[name]) for name in pushed)

    # Ranges of other weights do not stay behind.
    repository.commit({**written, "activation_ranges.json": b"{}"})
    run(PUSH, model=str(tiny_model), pushes=[{"name": "org/mine", "token": TOKEN}])
    assert sorted(repository.commits[repository.names["main"]]) == sorted(WANTED)
