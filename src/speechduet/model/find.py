"""Finds a model by what a user calls it: a bundled one, a folder, a checkpoint, a Hub id."""

import re
from contextlib import suppress
from pathlib import Path

from speechduet.audio.folders import is_folder, is_there
from speechduet.errors import ModelError
from speechduet.model.folder import CARD, CONFIG, RANGES, WEIGHTS, Pretrained, load
from speechduet.model.upstream import released

BUNDLED = Path(__file__).parent / "bundled"


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}"))


def load_any(name_or_path: str | Path | None = None) -> Pretrained:
    """Load a bundled model, a folder, an SGMSE+ or StoRM checkpoint, or one of the Hub.

    None is the bundled default.
    """
    names = bundled()
    if name_or_path is None:
        if not names:
            raise ModelError(
                "no model comes with this installation",
                remedy="give a model folder or a .ckpt of SGMSE+ or StoRM",
            )
        return load(BUNDLED / names[0])
    if str(name_or_path) in names:
        return load(BUNDLED / str(name_or_path))
    path = Path(name_or_path)
    with suppress(RuntimeError):  # ~nobody has no home
        path = path.expanduser()
    # The empty name would be the folder that one is in.
    if str(name_or_path).strip() and is_folder(path):
        return load(path)
    if is_there(path) and path.is_file():
        return released.load(path)
    on_hub = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", str(name_or_path))
    if on_hub and path.suffix.lower() != ".ckpt":
        return load(_download(str(name_or_path)))
    raise ModelError(
        f"no model {str(name_or_path)!r}",
        f"a bundled model ({', '.join(names) or 'there is none'}), a model folder, "
        "a .ckpt file or a Hugging Face id",
    )


def _download(identifier: str) -> Path:
    """Fetch a model of the Hugging Face Hub, or find it in the local cache."""
    try:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise ModelError(
            f"{identifier} is no folder here, and models of the Hub need huggingface_hub",
            remedy="pip install 'speechduet[hub]'",
        ) from None
    wanted = [CONFIG, WEIGHTS, RANGES, CARD]
    try:
        return Path(huggingface_hub.snapshot_download(identifier, allow_patterns=wanted))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"cannot fetch {identifier} ({reason})",
            "a public model and a connection",
            "check the name, or give a folder",
        ) from None
