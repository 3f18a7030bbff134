"""A server with the page, a browser, and what the pages in it ask for."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from browsing import PATIENCE_S
from speechduet.app.limits import Limits
from speechduet.enhancement.enhancer import Enhancer

if TYPE_CHECKING:  # Each of them may be missing.
    from playwright.sync_api import Browser, Page

    from speechduet.app.jobs import Jobs


class Server:
    """An application in a thread, at a free port."""

    def __init__(self, limits: Limits, enhancer: Enhancer, password: str = "") -> None:
        import uvicorn

        from speechduet.app.address import address_of, bound
        from speechduet.app.application import AppSettings, create_app
        from speechduet.app.page.blocks import mount_page
        from speechduet.app.serving import configured

        app = create_app(AppSettings(limits, password), enhancer)
        self.jobs: Jobs = app.state.jobs
        mount_page(app)
        listener = bound("127.0.0.1", 0, open_to_all=False)
        self.address = address_of("127.0.0.1", listener) + "/"
        self._server = uvicorn.Server(configured(app))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model, threads=1, segment_s=1)


@pytest.fixture(scope="module")
def serve() -> Callable[..., Server]:
    """Servers with small limits, and with a password if one is given."""
    pytest.importorskip("gradio", reason="needs the extra app")
    return partial(Server, Limits(max_seconds=60, max_megabytes=30))


@pytest.fixture(scope="module")
def server(serve: Callable[..., Server], enhancer: Enhancer) -> Iterator[Server]:
    with serve(enhancer) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium, without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    chromium = which("chromium")
    if chromium is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


class Traffic(NamedTuple):
    """What all pages of these tests have asked for, and the errors in them."""

    requests: list[str]
    errors: list[str]


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic([], [])


@pytest.fixture(scope="module")
def open_page(browser: "Browser", traffic: Traffic) -> Iterator[Callable[..., "Page"]]:
    from playwright.sync_api import expect

    contexts = []

    def open_page(address: str, **settings: Any) -> "Page":
        context = browser.new_context(**settings)
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE_S)
        page = context.new_page()
        page.on("request", lambda request: traffic.requests.append(request.url))
        page.on("websocket", lambda socket: traffic.requests.append(socket.url))
        page.on("pageerror", lambda error: traffic.errors.append(str(error)))
        page.goto(address)
        page.get_by_role("button", name="Enhance").wait_for()
        return page

    expect.set_options(timeout=1000 * PATIENCE_S)
    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., "Page"], server: Server) -> Iterator["Page"]:
    page = open_page(server.address)
    yield page
    page.context.close()


@pytest.fixture(scope="module")
def street(root: Path) -> Path:
    return root / "samples" / "noisy" / "street.flac"
