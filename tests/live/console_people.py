"""People at the console in Chromium: what they read by its label in their language, press, and fill in, by mouse or by keyboard alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pipeline.texts import Language, texts

from .chromium import PATIENCE_MS

Hand = Literal["mouse", "keyboard"]
MOST_TABS = 250
LOCALES = {"en": "en-GB", "kk": "kk-KZ", "ru": "ru-RU"}
AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True,
    "automaticPresenceSimulation": True,
}  # fmt: skip
FOCUS = """element => {
  if (document.activeElement !== element) return "elsewhere";
  const style = getComputedStyle(element);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 ? "seen" : "unseen";
}"""
"""Asked at once: between two questions the part that has the element may ask for itself anew, and the focus is nowhere for a moment."""


class Person:
    """One person's browser: a profile of its own, a language, and a way to use it. Texts are given in English and looked up in the catalogue."""

    def __init__(self, chromium: Any, address: str, language: Language = "en", hand: Hand = "mouse") -> None:
        self.address, self.language, self.hand, self._words = address, language, hand, texts(language)
        self.context = chromium.new_context(locale=LOCALES[language], accept_downloads=True)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        """What the browser's console complains of, apart from refusals of the server."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))

    def _heard(self, said: Any) -> None:
        if said.type in ("error", "warning") and not said.text.startswith("Failed to load resource"):
            self.troubles.append(said.text)

    # --- words

    def say(self, text: str, /, **values: object) -> str:
        """A text of the catalogue in this person's language."""
        return self._words.gettext(text, **values)

    def say_of(self, one: str, many: str, count: int) -> str:
        return self._words.ngettext(one, many, count)

    def amount(self, text: str) -> str:
        return self._words.amount(text)

    @property
    def text(self) -> str:
        """What the page says, with plain spaces."""
        return re.sub(r"\s+", " ", str(self.page.inner_text("main")))

    def sees(self, *wanted: str) -> None:
        """The page says each of these, at once or within a while."""
        for one in wanted:
            try:
                self.page.get_by_text(one).first.wait_for(state="attached")
            except Exception as error:
                raise AssertionError(f"{one!r} is not on {self.page.url}: {self.text[:2000]}") from error

    # --- moves

    def open(self, path: str) -> None:
        """Type an address."""
        self.page.goto(self.address + path)

    def button(self, text: str, within: str = "main") -> Any:
        return self.page.locator(within).get_by_role("button", name=self.say(text), exact=True)

    def press(self, text: str, within: str = "main") -> None:
        """Press the button with this text."""
        self.use(self.button(text, within).first)

    def send(self, text: str, within: str = "main") -> None:
        """Press the button with this text, which sends a form, and wait for the page that answers."""
        self.button(text, within).first.evaluate("button => { button.ownerDocument.body.dataset.sent = 'yes' }")
        self.press(text, within)
        self.page.locator("body:not([data-sent])").wait_for()

    def follow(self, text: str, within: str = "body") -> None:
        """Follow the link with this text."""
        self.use(self.page.locator(within).get_by_role("link", name=text, exact=True).first)

    def fill(self, field: str, value: str) -> None:
        """Type a value into the first field that fits, instead of what is there."""
        element = self.page.locator(field).first
        if self.hand == "mouse":
            element.fill(value)
            return
        self._go_to(element)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(value)

    def choose(self, field: str, value: str) -> None:
        """Choose an entry of a list."""
        element = self.page.locator(field).first
        if self.hand == "mouse":
            element.select_option(value)
            return
        self._go_to(element)
        self.page.keyboard.press("Home")
        for _ in range(element.locator("option").count()):
            if element.input_value() == value:
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{field}: {value} can't be chosen by arrows")

    def tick(self, field: str) -> None:
        """Tick a box."""
        element = self.page.locator(field).first
        if self.hand == "mouse":
            element.check()
        elif not element.is_checked():
            self._go_to(element)
            self.page.keyboard.press("Space")
        assert element.is_checked()

    def attach(self, field: str, *paths: Path) -> None:
        """Choose files for a field."""
        element = self.page.locator(field).first
        with self.page.expect_file_chooser() as asked:
            self.use(element, key="Space")
        asked.value.set_files([str(path) for path in paths])

    def use(self, element: Any, key: str = "Enter") -> None:
        """Click on something; by keyboard: go there with Tab and press a key."""
        element.wait_for()
        if self.hand == "mouse":
            element.click()
            return
        self._go_to(element)
        self.page.keyboard.press(key)

    def _go_to(self, element: Any) -> None:
        """Tab until the element has the focus, which must be seen."""
        for _ in range(MOST_TABS):
            if (focus := element.evaluate(FOCUS)) != "elsewhere":
                assert focus == "seen", f"the focus can't be seen: {element}"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{MOST_TABS} tabs do not lead there: {element}")

    def work_ends(self, path: str) -> None:
        """Follow the work that was begun until its result's page, which begins with `path`."""
        self._comes_to(lambda url: url.startswith(self.address + path))

    def arrives(self, path: str) -> None:
        """Wait for exactly this page."""
        self._comes_to(lambda url: url == self.address + path)

    def _comes_to(self, is_there: Callable[[str], bool]) -> None:
        """Not by `wait_for_url`, which fails when a page gives way to the next one before it is loaded, as those that follow work do."""
        until = time.monotonic() + PATIENCE_MS / 1000
        while not is_there(self.page.url):
            assert time.monotonic() < until, f"the work does not end: {self.page.url}: {self.text[:2000]}"
            self.page.wait_for_timeout(50)
        self.page.wait_for_load_state()

    def finds(self) -> None:
        """Wait until what was searched for is shown: a field that is left and a button that is pressed ask each for itself, and a row that is replaced takes a click with it."""
        self.page.locator("form.filters:not(.htmx-request)").wait_for(state="attached")

    def taken(self, move: Callable[[], None]) -> bytes:
        """The file that a move downloads."""
        with self.page.expect_download() as asked:
            move()
        return Path(asked.value.path()).read_bytes()

    # --- signing in

    def enter(self, link: str) -> None:
        """By the one-time link."""
        self.open(f"/enter?link={link}")
        self.press("Sign in")
        self.arrives("/")

    def accept(self, invitation: str, password: str) -> None:
        """Choose the password of an invitation, which signs in."""
        self.page.goto(invitation)
        self.fill("input[name=password]", password)
        self.press("Set it and sign in")
        self.arrives("/")

    def sign_in(self, name: str, password: str) -> None:
        self.fill("input[name=person]", name)
        self.fill("input[name=password]", password)
        self.press("Sign in with a password")

    def has_authenticator(self) -> None:
        """Give this browser a device that makes passkeys and verifies its holder."""
        protocol = self.context.new_cdp_session(self.page)
        protocol.send("WebAuthn.enable")
        protocol.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})

    def add_passkey(self, name: str) -> None:
        """Register a passkey on the account's page."""
        self.open("/account")
        self.fill("#passkey-name", name)
        self.press("Add a passkey")
        self.page.get_by_role("cell", name=name).first.wait_for()
