"""A window of the browser: it opens pages, takes screenshots, and remembers whatever should not have happened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response

SECONDS = 30.0
_QUIET_SECONDS = 1.0  # pages go on loading over a websocket
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "")
_LOCAL_SCHEMES = ("http", "ws", "file", "data", "blob", "about")
_ASKED_UNBIDDEN = "/favicon.ico"  # a browser asks for it by itself
_TELL_ERRORS = """
const fetched = window.fetch;
window.fetch = async (...given) => {
  const answer = await fetched(...given);
  if (answer.url.includes('/graphql'))
    answer.clone().json().then(said => [said].flat().filter(one => one.errors)
      .forEach(one => console.error('GraphQL: ' + JSON.stringify(one.errors)))).catch(() => {});
  return answer;
};
"""
_INLINE_PICTURE = "img => img.complete && img.naturalWidth > 0 && img.getBoundingClientRect().width > 0"


class Window:
    """One page of the browser.

    Attributes:
        left: requests to another machine.
        wrong: uncaught errors of scripts, errors in the console, answers of GraphQL that hold errors (the UI tells them
            in a toast), and answers of 400 and above.
    """

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self.page, self.url, self.screenshots = page, url, screenshots
        self.left = list[str]()
        self.wrong = list[str]()
        page.set_default_timeout(SECONDS * 1000)
        page.add_init_script(_TELL_ERRORS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.wrong.append(f"{page.url}: {error}"))
        page.on("request", self._requested)
        page.on("websocket", lambda socket: self._sent_to(socket.url))
        page.on("response", self._answered)

    def open(self, path: str, **parameters: str) -> None:
        """Open a path of the UI, or a whole address."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        address = path if "://" in path else self.url + quote(path)
        self.page.goto(f"{address}?{query}" if query else address, wait_until="domcontentloaded")

    def sees(self, *texts: str, within: Locator | None = None) -> None:
        """Wait until each of these texts is seen."""
        for text in texts:
            (within or self.page).get_by_text(text).filter(visible=True).first.wait_for()

    def text(self) -> str:
        """Return all text of the page."""
        return self.page.inner_text("body")

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """Return the button of this name, the first of several."""
        return (within or self.page).get_by_role("button", name=name).filter(visible=True).first

    def pictures(self) -> list[tuple[int, int]]:
        """Return the natural size in pixels of each picture that is shown without a click."""
        shown: list[Any] = self.page.locator("img").evaluate_all(
            f"imgs => imgs.filter({_INLINE_PICTURE}).map(img => [img.naturalWidth, img.naturalHeight])"
        )
        return [(width, height) for width, height in shown]

    def screenshot(self, name: str) -> None:
        """Take a screenshot of what a person sees now."""
        self.page.wait_for_timeout(_QUIET_SECONDS * 1000)
        self.page.screenshot(path=self.screenshots / f"{name}.png")

    def choose_partition(self, name: str) -> None:
        """Choose a partition in the launchpad."""
        self.page.get_by_placeholder("Partition").click()
        self.page.keyboard.type(name)
        self.page.get_by_text(name, exact=True).last.click()
        self.sees(f"partition: {name}")

    def write_config(self, yaml: str, in_place_of: str) -> None:
        """Write YAML in the launchpad in place of all that is there; ``in_place_of`` is a word of that."""
        self.page.get_by_text(in_place_of, exact=True).first.click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(yaml)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith(_ASKED_UNBIDDEN):
            self.wrong.append(f"{self.page.url}: {message.text}")

    def _requested(self, request: Request) -> None:
        self._sent_to(request.url)

    def _sent_to(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _LOCAL_SCHEMES or (parts.hostname or "") not in _LOCAL_HOSTS:
            self.left.append(url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.url} answered {response.status}")
