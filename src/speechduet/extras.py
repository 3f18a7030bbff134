"""Packages that may be missing: which extra brings each, and what to say where it is not there."""

from collections.abc import Mapping
from importlib.util import find_spec

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


def missing(error: ImportError, imported: str, extra: str = "") -> SettingError:
    """What to say of an import that failed: which package is missing, and how to get it.

    That need not be the one that was ``imported``: it may lack another, as pystoi may lack scipy.
    ``extra`` is the one to name where several bring the package.
    """
    module = (error.name or imported).partition(".")[0]
    if module == "speechduet":
        raise error  # No package to install, but a mistake in this one.
    package = PACKAGES.get(module, module)
    brought_by = extra or EXTRAS.get(module) or EXTRAS.get(imported)
    remedy = f"pip install 'speechduet[{brought_by}]'" if brought_by else f"pip install {package}"
    if isinstance(error, ModuleNotFoundError):
        compiled = COMPILER if package == "pesq" else ""
        return SettingError(f"{package} is not installed", remedy=remedy + compiled)
    reason = " ".join(str(error).split())
    return SettingError(
        f"{package} is installed but cannot be imported ({reason})",
        remedy=f"pip install --force-reinstall {package}",
    )


def need(*modules: str) -> None:
    """Raise SettingError if one of these is not installed, before any work is begun."""
    for module in modules:
        if not installed(module):
            raise missing(ModuleNotFoundError(name=module), module)


def installed(*modules: str) -> bool:
    """Whether all of these can be imported; nothing is."""
    return all(find_spec(module) is not None for module in modules)
