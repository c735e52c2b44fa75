"""A browser tab that remembers whatever went wrong in it, and the dashboard it looks at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genome_pipeline.dashboard.app import create_app
from genome_pipeline.dashboard.security import Access
from genome_pipeline.dashboard.server import Server

# While something is under way for longer, the page is dimmed.
_IS_CLEAR = """(() => {
    let element = document.querySelector("#page");
    while (element && getComputedStyle(element).opacity === "1") element = element.parentElement;
    return element === null;
})()"""


def serve(path: Path, access: Access | None = None) -> Iterator[str]:
    """Serve the dashboard of a published file, at the address given."""
    server = Server(create_app(path, access or Access()).server, "127.0.0.1", 0)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"


class Watched:
    """A tab that remembers whatever went wrong in it."""

    def __init__(self, browser: Any, address: str, scheme: str = "light") -> None:
        self.address = address
        self.problems: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        if address.startswith("http"):
            self.context.add_cookies([{"name": "color_scheme", "value": scheme, "url": address}])
        self.tab = self.context.new_page()
        self.tab.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        self.tab.on("pageerror", lambda error: self._note(True, f"error: {error}"))
        self.tab.on("dialog", lambda dialog: self._note(True, f"dialog: {dialog.message}"))
        # The browser itself ends what is under way when it leaves a page, and what becomes a download.
        self.tab.on(
            "requestfailed",
            lambda request: self._note(request.failure != "net::ERR_ABORTED", f"failed: {request.url}"),
        )
        self.tab.on(
            "response", lambda response: self._note(response.status >= 400, f"{response.status} {response.url}")
        )
        self.tab.on(
            "request", lambda request: self._note(self._is_foreign(request.url), f"off loopback: {request.url}")
        )

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self.address, "data:", "blob:"))

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self.problems.append(text)

    def open(self, path: str) -> None:
        self.tab.goto(self.address + path)
        self.tab.wait_for_selector("main .page, main .empty")
        # The page as plain HTML has made room for the page itself.
        self.wait_for("document.getElementById('first-paint') === null")
        self.tab.wait_for_load_state("networkidle")
        # A figure is drawn once its axes or its flow are there.
        self.wait_for("[...document.querySelectorAll('.graph')].every(graph => graph.querySelector('.main-svg'))")
        self.wait_for(_IS_CLEAR)

    def wait_for(self, expression: str, arg: Any = None) -> None:
        """Wait until an expression holds. Playwright's own waiting evaluates text in the page, which forbids it."""
        for _ in range(600):
            if self.tab.evaluate(expression, arg):
                return
            self.tab.wait_for_timeout(50)
        raise AssertionError(f"never true: {expression}")

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector))

    def close(self) -> None:
        self.context.close()
