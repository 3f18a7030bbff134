"""Packages that may be missing: which extra brings each, and what to say where it is not there."""

import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from speechduet.errors import SettingError

EXTRAS: Mapping[str, str] = {
    "lightning": "train",
    "tensorboard": "train",
    "yaml": "train",
    "pesq": "evaluation",
    "pystoi": "evaluation",
    "scipy": "evaluation",
    "matplotlib": "evaluation",
    "jinja2": "evaluation",
    "onnxruntime": "onnx",
    "onnx": "onnx",
    "openvino": "openvino",
    "pyroomacoustics": "rooms",
    "speechmos": "dnsmos",
    "pocketsphinx": "words",
    "huggingface_hub": "hub",
    "fastapi": "app",
    "uvicorn": "app",
    "python_multipart": "app",
    "websockets": "app",
    "gradio": "app",
    "ray": "ray",
}
"""The extra of this package that brings a module."""

PACKAGES: Mapping[str, str] = {
    "yaml": "PyYAML",
    "python_multipart": "python-multipart",
    "ray": "ray[data]",
}
"""What a module's package is called, where it has another name."""

COMPILER = (
    "; it is compiled then, by a C compiler: apt install gcc python3-dev, xcode-select --install, "
    "or Visual Studio's Build Tools"
)
"""What else is needed for pesq, which has no wheels."""


_TOO_LITTLE_MEMORY = re.compile(
    r"(failed to map segment|cannot map zero-fill pages)(?!.*not permitted)|"
    r"cannot allocate memory(?! in static TLS)",
    re.IGNORECASE,
)
"""What the dynamic loader says then; not where a file system forbids programs, or threads' own
memory is used up by other libraries."""


def missing(error: ImportError, imported: str, extra: str = "") -> SettingError:
    """What to say of an import that failed: which package is missing, and how to get it.

    That need not be the one that was ``imported``: it may lack another, as pystoi may lack scipy.
    ``extra`` is the one to name where several bring the package.
    """
    module = _top_level(error) or imported.partition(".")[0]
    if module == "speechduet":
        raise error  # No package to install, but a mistake in this one.
    package = PACKAGES.get(module, module)
    brought_by = extra or EXTRAS.get(module) or EXTRAS.get(imported)
    remedy = f"pip install 'speechduet[{brought_by}]'" if brought_by else f"pip install {package}"
    if isinstance(error, ModuleNotFoundError):
        compiled = COMPILER if package == "pesq" else ""
        return SettingError(f"{package} is not installed", remedy=remedy + compiled)
    reason = " ".join(str(error).split())
    if _TOO_LITTLE_MEMORY.search(reason):
        return SettingError(
            f"it seems that memory is too small to load {package} ({reason})",
            remedy="raise its limit (ulimit -v, or that of the job)",
        )
    return SettingError(
        f"{package} is installed but cannot be imported ({reason})",
        remedy=f"pip install --force-reinstall {package}",
    )


def _top_level(error: ImportError) -> str:
    """The package whose import failed, as one imports it; empty if that is not known."""
    if error.path:
        # Of a compiled part ``name`` is the last word alone: _C for torch._C.
        file = Path(error.path)
        homes = [Path(entry) for entry in sys.path if entry and file.is_relative_to(entry)]
        if homes:
            home = max(homes, key=lambda home: len(home.parts))
            return file.relative_to(home).parts[0].partition(".")[0]
    return (error.name or "").partition(".")[0]


def need(*modules: str) -> None:
    """Raise SettingError if one of these is not installed, before any work is begun."""
    for module in modules:
        if not installed(module):
            raise missing(ModuleNotFoundError(name=module), module)


def installed(*modules: str) -> bool:
    """Whether all of these can be imported; nothing is."""
    return all(find_spec(module) is not None for module in modules)
