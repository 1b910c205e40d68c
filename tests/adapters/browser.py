"""A page opened in a real browser: what it drew, said and asked the network for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Seen:
    """Figures drawn by name, words of the console, requests, pixels too wide, and the text."""

    drawn: dict[str, str]
    said: list[str]
    requested: list[str]
    overflow: int
    text: str


@contextmanager
def browser() -> Iterator[object]:
    """Headless Chromium; skips where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # Chromium refuses its sandbox to root, which is who tests run as in a container.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=flags)
        try:
            yield running
        finally:
            running.close()


def look(running: object, path: Path, width: int, scheme: str = "light") -> Seen:
    """Open every chapter of a page at a width in pixels and wait for each figure."""
    page = running.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[attr-defined]
    said: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details.part').forEach((d) => { d.open = true; })")
    drawn = {}
    for place in page.locator("[data-chart]").all():
        place.scroll_into_view_if_needed()
        marks = place.locator("svg.marks")
        marks.wait_for(timeout=20_000)
        drawn[place.get_attribute("data-chart")] = marks.inner_html()
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    text = page.locator("body").inner_text()
    page.close()
    return Seen(drawn, said, requested, overflow, text)
