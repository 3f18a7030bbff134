from dataclasses import fields

from speechduet.network.compact import Compact
from speechduet.training.listing import settings_text
from speechduet.training.recipe_file import SECTIONS


def test_every_key_is_listed_with_type_and_default() -> None:
    text = settings_text()
    for section, kind in [*SECTIONS.items(), ("network (kind: compact)", Compact)]:
        page = text.split(f"\n{section}:\n", 1)[1].split("\n\n")[0]
        for member in fields(kind):
            if member.name == "kind":
                continue
            assert f"\n  {member.name}: " in "\n" + text, (section, member.name)
        assert page
    assert "  batch_size: whole number from 1 to 4096, default 8\n      Examples that" in text
    assert "  weighting: score | clean, default score" in text
    assert "  generative: true | false, required" in text
    assert "  speech_weights: number from 0 to 1e+06 by name, default empty" in text
