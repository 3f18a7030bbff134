"""Models of the Hugging Face Hub: fetched into its cache, listed from there, and published.

All is left to huggingface_hub, so its environment variables mean here what they mean elsewhere:
``HF_HUB_OFFLINE``, ``HF_HOME``, ``HF_ENDPOINT``, ``HF_TOKEN``.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from speechduet.errors import ModelError
from speechduet.model.folder import CARD, CONFIG, RANGES, WEIGHTS, Pretrained, load, read_json, save

WANTED = [CONFIG, WEIGHTS, RANGES, CARD]
"""The files of a model; nothing else is ever fetched or published."""
_NAME = r"[\w-][\w.-]*/[\w-][\w.-]*"
_LOG_IN = "log in (hf auth login) or set HF_TOKEN"


def identified(name: str) -> tuple[str, str | None] | None:
    """Name and revision of what is written like ``org/name`` or ``org/name@revision``."""
    found = re.fullmatch(rf"({_NAME})(?:@(\S+))?", name)
    return (found[1], found[2]) if found and not name.lower().endswith(".ckpt") else None


def load_from_hub(name: str, revision: str | None = None) -> Pretrained:
    """Load a model of the Hub, or of its cache if that is what there is.

    ``revision`` is a branch, a tag or a commit. Raises ModelError.
    """
    import_hub(name)
    import huggingface_hub

    called = f"{name}@{revision}" if revision else name
    with _explained(f"cannot fetch {called}", name, revision):
        folder = Path(
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=WANTED)
        )
    if not (folder / CONFIG).is_file():
        raise ModelError(
            f"{called} is no model of speechduet: it has no {CONFIG}", f"{CONFIG} and {WEIGHTS}"
        )
    try:
        _check_content(folder / WEIGHTS)
        return load(folder)
    except ModelError as error:
        raise ModelError(
            f"{called}: {error}", remedy="to fetch it anew, delete that folder of the cache first"
        ) from None


def publish(
    pretrained: Pretrained,
    name: str,
    private: bool | None = None,
    commit_message: str = "Upload a model of speechduet",
    token: str | None = None,
) -> str:
    """Put a model on the Hub as ``org/name``, made if it is not there; the commit's address."""
    if (found := identified(name)) is None or found[1] is not None:
        raise ModelError(f"{name!r} is no name on the Hub", "one like org/name")
    import_hub(name)
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token)
    with TemporaryDirectory() as folder:
        save(pretrained, folder, address=name)
        with _explained(f"cannot publish {name}", name, None):
            api.create_repo(name, private=private, exist_ok=True)
            files = sorted(Path(folder).iterdir())
            changes: list[Any] = [
                huggingface_hub.CommitOperationAdd(path.name, path) for path in files
            ]
            if Path(folder, RANGES) not in files and api.file_exists(name, RANGES):
                # Ranges of other weights must not stay behind.
                changes.append(huggingface_hub.CommitOperationDelete(RANGES))
            commit = api.create_commit(name, changes, commit_message=commit_message)
    return str(commit.commit_url)


def cached() -> list[str]:
    """Names of the models of this package in the Hub's cache on this machine."""
    if find_spec("huggingface_hub") is None:
        return []
    import huggingface_hub

    try:
        repositories = huggingface_hub.scan_cache_dir().repos
    except huggingface_hub.CacheNotFound:
        return []
    return sorted(
        repository.repo_id
        for repository in repositories
        if any(_is_model(revision.snapshot_path) for revision in repository.revisions)
    )


def import_hub(name: str) -> None:
    """Raise ModelError if huggingface_hub is not installed."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        raise ModelError(
            f"{name} is no folder here, and models of the Hub need huggingface_hub",
            remedy="pip install 'speechduet[hub]'",
        ) from None


def _is_model(folder: Path) -> bool:
    try:
        config = read_json(folder / CONFIG)
    except (OSError, ValueError):
        return False
    return (folder / WEIGHTS).is_file() and isinstance(config, dict) and "spectrogram" in config


def _check_content(weights: Path) -> None:
    """Raise ModelError if a large file of the cache is not what its name there says.

    The cache calls such a file by its SHA-256, and links to it; it never checks it.
    """
    stored = weights.resolve()
    if not re.fullmatch(r"[0-9a-f]{64}", stored.name):
        return
    with stored.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != stored.name:
        raise ModelError(f"{weights} is damaged (SHA-256 {digest.hexdigest()})", stored.name)


@contextmanager
def _explained(what: str, name: str, revision: str | None) -> Iterator[None]:
    """Turn every error of the Hub into a ModelError that says what to do."""
    from huggingface_hub import constants, errors

    # Of requests or of httpx: what the installed version of huggingface_hub is built on.
    network_error: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(
            f"{what}: access has to be granted",
            remedy=f"ask for it at {constants.ENDPOINT}/{name}, then {_LOG_IN}",
        ) from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"{what}: {constants.ENDPOINT} has no such model, or it is private",
            remedy=f"check the name; if it is private, {_LOG_IN}",
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelError(f"{what}: no revision {revision}", "a branch, a tag or a commit") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        if constants.HF_HUB_OFFLINE:
            raise ModelError(
                f"{what}: HF_HUB_OFFLINE is set, and the cache {constants.HF_HUB_CACHE} lacks it",
                remedy="fetch it once without HF_HUB_OFFLINE, or give a folder",
            ) from None
        raise _unreachable(what, error.__cause__ or error) from None
    except (network_error, OSError, ValueError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            raise ModelError(f"{what}: not allowed ({status})", remedy=_LOG_IN) from None
        raise _unreachable(what, error) from None


def _unreachable(what: str, error: BaseException) -> ModelError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelError(
        f"{what} ({reason})", "a public model and a connection", "check the name, or give a folder"
    )
