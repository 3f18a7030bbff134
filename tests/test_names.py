"""Names of every kind as text that can be shown and written."""

import os

import pytest

from speechduet.names import markdown, shown, utf8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"plain.wav", "plain.wav"),
        (b"not_utf8_\xff.wav", "not_utf8_\\xff.wav"),
        (b"\xe9t\xe9.wav", "\\xe9t\\xe9.wav"),
        ("録音　été.wav".encode(), "録音　été.wav"),
        (b"two\nlines\tand\rmore.wav", "two\\nlines\\tand\\rmore.wav"),
        (b"\x1b[31mred\x07.wav", "\\x1b[31mred\\x07.wav"),
        ("line\u2028paragraph\u2029\x85.wav".encode(), "line\\u2028paragraph\\u2029\\x85.wav"),
        (b"[red]x[/red] %s {0} 'it' \"is\" \\n.wav", "[red]x[/red] %s {0} 'it' \"is\" \\n.wav"),
        ("👩‍🚀 :smile:.wav".encode(), "👩‍🚀 :smile:.wav"),
    ],
    ids=ascii,
)
def test_a_name_becomes_one_line(name: bytes, expected: str) -> None:
    assert shown(os.fsdecode(name)) == expected
    shown(os.fsdecode(name)).encode()
    utf8(os.fsdecode(name)).encode()


def test_only_what_is_not_utf8_is_changed_for_a_file() -> None:
    assert utf8("a\nb\udcffé") == "a\nb\\xffé"
    assert utf8("half of a pair \ud800") == "half of a pair \\ud800"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p232_001.wav", "p232_001.wav"),
        ("PESQ 2.1 [2.0, 2.2] (dB)", "PESQ 2.1 [2.0, 2.2] (dB)"),
        ("a|b", r"a\|b"),
        ("<b>`x`</b> & *y*", r"\<b>\`x\`\</b> \& \*y\*"),
        ("[text](url) __init__ ~~a~~", r"[text]\(url) \_\_init\_\_ \~\~a\~\~"),
        ("a\\b\nc", r"a\\b\nc"),
    ],
)
def test_a_name_in_markdown_has_no_meaning_there(name: str, expected: str) -> None:
    assert markdown(name) == expected
