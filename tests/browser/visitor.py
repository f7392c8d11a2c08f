"""A person in front of the dashboard: opens pages and finds things by their role and label."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    ViewportSize,
    expect,
)

SECONDS = 1_000  # Playwright counts in milliseconds
PATIENCE = 45 * SECONDS  # a busy machine with two cores
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}


class Visitor:
    """A browser of one person. `foreign` and `complaints` are to be empty at the end."""

    def __init__(self, context: BrowserContext, url: str, hosts: Sequence[str]) -> None:
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        self.url = url
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self._hosts = {urlsplit(each).netloc for each in (url, *hosts)}
        self._context = context
        self._listeners: dict[str, Callable[..., None]] = {
            "request": self._look_at,
            "console": self._listen,
            "weberror": lambda error: self.complaints.append(str(error.error)),
        }
        for event, listener in self._listeners.items():
            context.on(event, listener)
        self.page: Page = context.new_page()
        self.page.on("websocket", lambda socket: self._look_at_address(socket.url))

    def leave(self) -> BrowserContext:
        """Stand up from the browser, which another person then finds as if it were new: the caches are not theirs."""
        for event, listener in self._listeners.items():
            self._context.remove_listener(event, listener)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.url))
        self._context.new_cdp_session(self.page).send(
            "Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage"}
        )
        for page in self._context.pages:
            page.close()
        self._context.clear_cookies()
        return self._context

    def open(self, path: str, heading: str | re.Pattern[str]) -> None:
        """Type an address of the dashboard, and wait until its page is there."""
        self.page.goto(f"{self.url}/{path}")
        self.sees_page(heading)

    def choose_page(self, name: str) -> None:
        """By the menu."""
        self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
        self.sees_page(name)

    def sees_page(self, heading: str | re.Pattern[str]) -> None:
        exact = isinstance(heading, str)
        title = self.page.get_by_role("heading", level=1, name=heading, exact=exact)
        expect(title).to_be_visible()
        self.waits()

    def sees(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def waits(self) -> None:
        """Until the page has been drawn; one that draws itself again every few seconds has been, once."""
        if self.page.url.startswith(self.url):  # and not Constant Contact's own
            self.page.wait_for_function(_IS_DRAWN)

    def is_still(self) -> None:
        """Waits until nothing on the page has changed for a moment: charts and tables come after the text."""
        self.waits()
        self.page.evaluate(_IS_STILL)

    def grow_to_content(self, size: ViewportSize) -> None:
        """Make the window as high as the page's content, which scrolls inside of the page."""
        height = int(self.page.evaluate(_CONTENT_HEIGHT))
        self.page.set_viewport_size({**size, "height": max(size["height"], min(height, 6_000))})
        self.is_still()

    def button(self, name: str, *, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def press(self, name: str, *, within: Locator | None = None) -> None:
        """Select a button once it can be."""
        button = self.button(name, within=within)
        expect(button).to_be_enabled()
        button.click()

    def dialog(self, name: str) -> Locator:
        found = self.page.get_by_role("dialog", name=name)
        expect(found).to_be_visible()
        self.page.mouse.move(0, 0)  # a tip of what now lies under the mouse would hide something
        return found

    def pick(
        self, label: str, typed: str, option: str | re.Pattern[str], *, number: int = 0
    ) -> None:
        """Type into a select box, the `number`-th of its label, and choose what it offers."""
        box = self.page.get_by_role("combobox", name=label).nth(number)
        box.click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.type(typed)
        self.page.get_by_role("option", name=option).first.click()
        self.page.keyboard.press("Escape")  # one that takes several stays open
        self.waits()

    def fill(self, label: str, text: str) -> None:
        """Type into a field and leave it."""
        field = self.page.get_by_role("textbox", name=label)
        field.fill(text)
        field.press("Enter")

    def cells(self, text: str | re.Pattern[str]) -> Locator:
        """Cells of tables with this text. A table is painted: what a screen reader gets of it lies in the canvas."""
        wanted = re.compile(rf"^{re.escape(text)}$") if isinstance(text, str) else text
        return self.page.get_by_role("gridcell", include_hidden=True).filter(has_text=wanted)

    def _look_at(self, request: Request) -> None:
        self._look_at_address(request.url)

    def _look_at_address(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("data", "blob") and parts.netloc not in self._hosts:
            self.foreign.append(address)

    def _listen(self, message: ConsoleMessage) -> None:
        address = str(message.location.get("url", ""))
        about = address or message.page.url if message.page else address
        is_ours = urlsplit(about).netloc in ("", urlsplit(self.url).netloc)
        if message.type == "error" and is_ours and not _TRIES_ITS_BASE.search(address):
            self.complaints.append(f"{message.text} ({address})")


# Streamlit's script asks below the page's own address first where its server is, then at the root
_TRIES_ITS_BASE = re.compile(r"/\w+/_stcore/(health|host-config)$")
OpenBrowser = Callable[..., Visitor]

_IS_STILL = """() => new Promise((resolve) => {
    let timer = setTimeout(resolve, 300);
    const giveUp = setTimeout(resolve, 1500);
    new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(resolve, 300); })
        .observe(document.body, {childList: true, subtree: true, characterData: true});
})"""
_CONTENT_HEIGHT = """() => {
    const main = document.querySelector('[data-testid="stMain"]');
    return main === null ? document.documentElement.scrollHeight : main.scrollHeight;
}"""
_IS_DRAWN = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    return app !== null && app.dataset.testScriptState === "notRunning"
        && document.querySelector('[data-testid="stSkeleton"]') === null;
}"""
