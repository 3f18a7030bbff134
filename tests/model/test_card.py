"""Model cards, as the Hub's own package reads them."""

from dataclasses import replace
from pathlib import Path

import pytest

from speechduet.model.folder import load, save

hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    save(load(tiny_model), tmp_path)
    return tmp_path


def test_the_package_of_the_hub_reads_the_card(folder: Path) -> None:
    score = {"set": "test", "pairs": 55, "pesq": [2.03, 1.9, 2.2], "estoi": 0.77}
    scores = [{**score, "mode": mode} for mode in ("noisy", "fast", "best")]
    metadata = {"licence": "mit", "datasets": ["org/a", "b"], "scores": scores}
    save(replace(load(folder), metadata=metadata), folder)
    card = hub.ModelCard.load(folder / "README.md")
    data = card.data
    assert (data.library_name, data.pipeline_tag, data.license) == (
        *("speechduet", "audio-to-audio", "mit"),
    )
    assert {"speech-enhancement", "diffusion"} <= set(data.tags)
    assert data.datasets == ["org/a", "b"] and data.metrics == ["pesq", "estoi"]
    assert data.model_name == "tiny"
    found = [(one.dataset_name, one.metric_name, one.metric_value) for one in data.eval_results]
    assert len(found) == 4 and ("test (55 pairs)", "PESQ-WB, fast", 2.03) in found
    assert "| test (55 pairs) | fast | – | 2.03 [1.90, 2.20] | 0.770 | – |" in card.text
    # The parser's own writing of it says the same again.
    assert hub.ModelCardData(**data.to_dict()).to_dict() == data.to_dict()


def test_licences_and_scores_that_the_hub_has_no_place_for(folder: Path) -> None:
    scores = [{"set": "test", "mode": "fast", "pesq": [1, 2]}]
    metadata = {"licence": 'Ours: "all" # rights', "scores": scores}
    save(replace(load(folder), metadata=metadata, name="a: b # c"), folder)
    card = hub.ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data["license_name"]) == ("other", metadata["licence"])
    assert card.data.eval_results is None and "## Scores\n\n- {" in card.text
