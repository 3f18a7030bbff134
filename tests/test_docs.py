"""The documentation keeps its word: it can be built, nothing in it leads nowhere, options exist."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

from documents import PAGES, ROOT, calls, misused

NEEDED = [name for name in ("zensical", "mkdocstrings_handlers") if find_spec(name) is None]

pytestmark = pytest.mark.skipif(not PAGES, reason="needs docs/")


class Page(HTMLParser):
    """What a page of the site points to, what it loads, and what can be pointed to in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("next", "prev", "canonical"):
            self.loaded.append(found["href"])
        elif "src" in found:
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    if NEEDED:
        pytest.skip(f"needs the extra docs: {' and '.join(NEEDED)}")
    folder = tmp_path_factory.mktemp("documentation")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    (folder / "src").symlink_to(ROOT / "src")
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "site"


def dead(site: Path) -> Iterator[str]:
    """Links and files of the site that are not there, each with its page."""
    pages = {file: Page(file) for file in site.rglob("*.html") if file.name != "404.html"}
    for file, page in pages.items():
        for link in [*page.links, *page.loaded]:
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (file.parent / path).resolve() if path else file
            found = target.exists() and target.is_relative_to(site.resolve())
            if not found or (anchor and target in pages and anchor not in pages[target].anchors):
                yield f"{file.relative_to(site)}: {link}"


def test_every_link_leads_somewhere(site: Path) -> None:
    assert len(list(site.rglob("*.html"))) > len(PAGES)
    assert not list(dead(site.resolve()))


def test_a_dead_link_is_found(site: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="page.html#here">1</a><a href="page.html#there">2</a><a href="gone.html">3</a>'
        '<a href="../outside.html">4</a><h2 id="here"><img src="gone.png">'
    )
    (tmp_path.parent / "outside.html").touch()
    links = {line.partition(": ")[2] for line in dead(tmp_path)}
    assert links == {"page.html#there", "gone.html", "../outside.html", "gone.png"}


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = [(file.name, Page(file)) for file in site.rglob("*.html")]
    assert not [(name, it) for name, page in pages for it in page.loaded if "//" in it]
    styles = [file.read_text(encoding="utf-8") for file in site.rglob("*.css")]
    assert not [style for style in styles if re.search(r"@import|url\(['\"]?(?:https?:)?//", style)]


def test_every_page_can_be_found(site: Path) -> None:
    start = Page(site / "index.html")
    linked = {(site / link.partition("#")[0]).resolve() for link in start.links}
    pages = {file.resolve() for file in site.rglob("*.html") if file.name != "404.html"}
    lost = pages - linked - {(site / "index.html").resolve()}
    assert not lost, "not in nav of zensical.toml"


def test_every_extra_is_in_the_one_table_of_extras() -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    start = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    table = start.partition("| extra | for |\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert sorted(listed) == sorted(declared["optional-dependencies"])


@pytest.mark.parametrize(
    ("page", "call"),
    [(page.name, call) for page in PAGES for call in calls(page.read_text(encoding="utf-8"))],
)
def test_options_exist(page: str, call: str) -> None:
    assert not misused(call)
