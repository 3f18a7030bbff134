"""Takes the pictures of the page of ``speechduet serve``; needs the extra app and playwright.

python docs/pictures/page.py [--browser /usr/bin/chromium]
"""

import io
import subprocess
import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
VIEWS = {
    "page.png": (1400, "light"),
    "page_dark.png": (1400, "dark"),
    "page_narrow.png": (390, "light"),
    "page_narrow_dark.png": (390, "dark"),
}
MOST_BYTES = 300_000


def main(
    browser: Annotated[str | None, typer.Option(help="Default: chromium on the path.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o")] = Path(__file__).parent,
) -> None:
    """Enhance a bundled sample on the page, and take pictures of it."""
    command = [sys.executable, "-m", "speechduet", "serve", "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        line = next(line for line in server.stderr if line.startswith("listening on "))
        address = line.split()[2]
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=browser or which("chromium"), args=["--no-sandbox"]
            )
            for name, (width, scheme) in VIEWS.items():
                context = chromium.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                context.set_default_timeout(180_000)
                page = context.new_page()
                page.goto(address)
                _use(page)
                _save(page.screenshot(full_page=True), output / name)
                context.close()
    finally:
        server.terminate()
        server.wait(60)


def _use(page: Page) -> None:
    page.get_by_role("tab", name="Sample").click()
    page.get_by_label("street").check()
    page.get_by_role("button", name="Enhance").click()
    page.locator("speech-result").wait_for()
    page.get_by_role("slider", name="Position in the recording").fill("1.2")
    page.get_by_role("checkbox", name="less sure").check()
    page.get_by_text("The reverse process, step by step").click()
    page.get_by_role("button", name="Show the steps").click()
    slider = page.get_by_role("slider", name="Reverse step", exact=True)
    slider.fill("4")
    # Those of other steps are not loaded.
    page.evaluate(
        "Promise.all([...document.images].filter(it => it.checkVisibility())"
        ".map(it => it.decode()))"
    )
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)


def _save(picture: bytes, path: Path) -> None:
    """As small as it may be: with few colours, and with fewer if that is too much."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32):
        image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            return
    raise SystemExit(f"{path} is larger than {MOST_BYTES} bytes")


if __name__ == "__main__":
    typer.run(main)
