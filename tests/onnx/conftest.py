"""A small model, exported once."""

from pathlib import Path

import pytest

from speechduet.model.folder import load


@pytest.fixture(scope="session")
def exported(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small model in float32."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from speechduet.export.folder import export_folder

    folder = tmp_path_factory.mktemp("exported") / "tiny"
    export_folder(load(tiny_model), folder)
    return folder
