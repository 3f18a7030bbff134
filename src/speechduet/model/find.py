"""Finds a model by what a user calls it: a bundled one, a folder, a checkpoint, a Hub id."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from speechduet.audio.folders import is_folder, is_there
from speechduet.errors import ModelError
from speechduet.model.folder import CONFIG, Pretrained, load
from speechduet.model.hub import identified, load_from_hub
from speechduet.model.upstream import released

BUNDLED = Path(__file__).parent / "bundled"


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def load_any(name_or_path: str | Path | None = None, revision: str | None = None) -> Pretrained:
    """Load a bundled model, a folder, an SGMSE+ or StoRM checkpoint, or one of the Hub.

    None is the bundled default. ``revision`` is of a model of the Hub, whose name may also be
    ``org/name@revision``.
    """
    names = bundled()
    path = Path(name_or_path or "")
    with suppress(RuntimeError):  # ~nobody has no home
        path = path.expanduser()
    local: Callable[[], Pretrained] | None = None
    if name_or_path is None:
        if not names:
            raise ModelError(
                "no model comes with this installation",
                remedy="give a model folder or a .ckpt of SGMSE+ or StoRM",
            )
        local = partial(load, BUNDLED / names[0])
    elif str(name_or_path) in names:
        local = partial(load, BUNDLED / str(name_or_path))
    # The empty name would be the folder that one is in.
    elif str(name_or_path).strip() and is_folder(path):
        local = partial(load, path)
    elif is_there(path) and path.is_file():
        local = partial(released.load, path)
    if local is not None:
        if revision is not None:
            raise ModelError(
                f"a revision of {name_or_path or 'the bundled model'}, which is on this machine",
                "a revision only of a model of the Hub",
            )
        return local()
    if (found := identified(str(name_or_path))) is not None:
        name, written = found
        if written and revision and written != revision:
            raise ModelError(f"revision {revision} of {name_or_path}", "one revision")
        return load_from_hub(name, revision or written)
    raise ModelError(
        f"no model {str(name_or_path)!r}",
        f"a bundled model ({', '.join(names) or 'there is none'}), a model folder, "
        "a .ckpt file or a Hugging Face id",
    )
