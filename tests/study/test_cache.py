from dataclasses import replace
from pathlib import Path

import pytest
import torch

from speechduet.errors import AudioError, SettingError
from speechduet.evaluation import Scores
from speechduet.model.folder import load, save
from speechduet.sampler import Sampling
from speechduet.study.cache import Cache, TimedScores, digest_of_file, digest_of_model, key_of

KNOWN = TimedScores(Scores("a", 2.0, 0.5, 10.0, 20.0, 11.0), 0.25)


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    cache = Cache(path)
    assert cache.get("k") is None
    cache.add("k", KNOWN)
    assert cache.get("k") == Cache(path).get("k") == KNOWN


def test_a_line_that_was_cut_short_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    cache = Cache(path)
    cache.add("k", KNOWN)
    cache.add("cut", KNOWN)
    cache.close()
    path.write_text(path.read_text()[:-20])
    again = Cache(path)
    assert again.get("k") == KNOWN and again.get("cut") is None
    again.add("next", KNOWN)
    again.close()
    assert Cache(path).get("next") == KNOWN


def test_keys_differ_in_all_that_decides() -> None:
    base = ("model", Sampling(), 0, ("clean", "noisy"))
    others = [
        ("other", Sampling(), 0, ("clean", "noisy")),
        ("model", Sampling(beta=0.5), 0, ("clean", "noisy")),
        ("model", None, 0, ("clean", "noisy")),
        ("model", Sampling(), 1, ("clean", "noisy")),
        ("model", Sampling(), 0, ("clean", "other")),
    ]
    keys = {key_of(*arguments) for arguments in (base, *others)}
    assert len(keys) == 1 + len(others)
    assert key_of(*base) == key_of(*base)


def test_a_models_digest_is_of_what_it_computes(tiny_model: Path, tmp_path: Path) -> None:
    model = load(tiny_model)
    digest = digest_of_model(model)
    renamed = replace(model, name="other", modes={"fast": Sampling(steps=0)}, metadata={"a": 1})
    save(renamed, tmp_path / "renamed")
    assert digest_of_model(load(tmp_path / "renamed")) == digest
    with torch.no_grad():
        next(model.system.parameters()).flatten()[0] += 1e-6
    assert digest_of_model(model) != digest
    assert (
        digest_of_model(replace(load(tiny_model), spectrogram=replace(model.spectrogram, hop=64)))
        != digest
    )


def test_places_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="cannot write"):
        Cache(tmp_path / "file" / "results.jsonl")
    with pytest.raises(AudioError, match="cannot read"):
        digest_of_file(tmp_path / "absent")
