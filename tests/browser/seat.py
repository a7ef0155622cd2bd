"""People who sit at a computer with Chromium and cards.

A card is in the browser's own certificate store, an NSS database as Debian's Chromium has it, and goes to the card host in
the TLS handshake as a smart card's certificate would. A person picks it in a window of the browser that no test can reach;
a policy of the browser picks it for them. Policies are files below /etc/chromium, so each browser gets a folder of its own
in that place, by a mount that it alone sees.
"""

import json
import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import Locator, Page, Playwright, expect

from stand_in import PATIENCE_S, StandIn, fill_store

DESKTOP = {"width": 1200, "height": 800}
PHONE = {"width": 360, "height": 740}
# What A4 has between margins of 12 mm, in CSS pixels.
PAPER = {"width": 703, "height": 1032}
# The width at which WCAG 2.2 (1.4.10) wants a page to need no scrolling sideways: 1280 pixels at 400 %.
NARROWEST = {"width": 320, "height": 740}

expect.set_options(timeout=PATIENCE_S * 1000)

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# What is wider than the page, or has text that its own box or picture cuts off.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const found = document.documentElement.scrollWidth > width ? ["the page scrolls sideways"] : [];
  const name = (node) => `${node.tagName.toLowerCase()}#${node.id}.${node.getAttribute("class") ?? ""}: ${node.textContent.trim().slice(0, 40)}`;
  for (const node of document.querySelectorAll("body *")) {
    if (!node.checkVisibility() || node.closest(".visually-hidden, .skip, .scroll, .stalled")) continue;
    const box = node.getBoundingClientRect();
    if (box.width === 0) continue;
    if (box.right > width + 1 || box.left < -1) found.push(`outside: ${name(node)}`);
    const picture = node.tagName === "text" ? node.closest("svg").getBoundingClientRect() : undefined;
    if (picture && (box.left < picture.left || box.right > picture.right)) found.push(`cut off: ${name(node)}`);
    const clips = !["visible", "auto"].includes(getComputedStyle(node).overflowX);
    if (clips && !node.closest("input, textarea, svg") && node.scrollWidth > node.clientWidth + 1) found.push(`cut off: ${name(node)}`);
  }
  return found;
}"""

# What a page and its parts took from the network, with their headers, in bytes.
WEIGHT = """() => {
  const taken = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  return taken.reduce((sum, entry) => sum + entry.transferSize, 0);
}"""

# Whether something has the focus, and what has it without showing it.
FOCUSED = """target => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const shown = node === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
  return [node === target, shown ? "" : node.outerHTML.slice(0, 120)];
}"""


class Seat:
    """Somebody at a computer: a browser with cards in its store, in a language."""

    def __init__(self, playwright: Playwright, world: StandIn, folder: Path, shots: Path, cards=(), language="zh-TW", picks=None):
        self.world, self.language, self.shots = world, language, shots / language
        self.complaints: list[str] = []
        # Addresses whose failure a flow brings about, and a browser tells on its console. The card host's is always one:
        # a page asks it for nothing that there is, only to learn whether it lets the card in.
        self.awaited: list[str] = [urlsplit(world.card).netloc]
        home = folder / "home"
        fill_store(home / ".pki" / "nssdb", world, cards)
        self.policies = folder / "chromium"
        (self.policies / "policies" / "managed").mkdir(parents=True)
        self.pick(picks)
        self.browser = playwright.chromium.launch(
            executable_path=self._wrapper(folder),
            env={**os.environ, "HOME": str(home)},
            # Pages and card host are both on loopback here, which browsers ask about when they are not.
            args=["--no-sandbox", "--disable-gpu", "--disable-features=LocalNetworkAccessChecks"],
        )
        self.context = self.browser.new_context(locale=language, viewport=DESKTOP, color_scheme="light")
        self.context.set_default_timeout(PATIENCE_S * 1000)
        self.page = self.watched(self.context.new_page())

    def _wrapper(self, folder: Path) -> Path:
        """Chromium with this seat's policies. Who is not root becomes so in a name space that has nothing else to it."""
        user = "" if os.geteuid() == 0 else "--map-root-user"
        wrapper = folder / "chromium.sh"
        mount = f'mount --bind "{self.policies}" /etc/chromium && exec chromium "$@"'
        wrapper.write_text(f"#!/bin/sh\nexec unshare {user} --mount sh -c '{mount}' chromium \"$@\"\n")
        wrapper.chmod(0o755)
        return wrapper

    def pick(self, common_name: str | None):
        """Whose certificate the browser picks from now on, if any; a running browser knows it some seconds later."""
        host = urlsplit(self.world.card)
        rule = {"pattern": f"https://[*.]{host.hostname}:{host.port}", "filter": {}}
        if common_name is not None:
            rule["filter"] = {"SUBJECT": {"CN": common_name}}
        text = json.dumps({"AutoSelectCertificateForUrls": [json.dumps(rule)]})
        file = self.policies / "policies" / "managed" / "cards.json"
        # At once: the browser may read it at any time.
        file.with_suffix(".new").write_text(text)
        file.with_suffix(".new").rename(file)

    def watched(self, page: Page) -> Page:
        """Notes whatever a page should not do."""
        ours = [urlsplit(url).hostname for url in (self.world.portal, self.world.card)]

        def requested(request):
            host = urlsplit(request.url).hostname
            ours_or_awaited = host in ours or host.endswith(f".{ours[1]}") or any(part in request.url for part in self.awaited)
            if not ours_or_awaited:
                self.complaints.append(f"{page.url} asks {request.url}")

        def told(message):
            # A refusal of the API is an answer like any other; the browser tells it as an error all the same.
            address = message.location.get("url", "")
            answered = urlsplit(address).path.startswith("/v1/") or any(part in address for part in self.awaited)
            if message.text.startswith("Failed to load resource") and answered:
                return
            # So it is with an answer that a page may not read, as the gateway's own to a card.
            blocked = message.text.startswith("Access to fetch at 'https://") and "blocked by CORS policy" in message.text
            if blocked and urlsplit(message.text.split("'")[1]).hostname.endswith(ours[1]):
                return
            if message.type in ("error", "warning"):
                self.complaints.append(f"{page.url} tells {message.text}")

        page.on("request", requested)
        page.on("console", told)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url} throws {error}"))
        return page

    def close(self) -> list[str]:
        """Ends the browser, and gives everything that was wrong with what it showed."""
        self.browser.close()
        return self.complaints

    # ---- What a person does ----

    def go(self, path: str):
        """Opens a page."""
        self.page.goto(f"{self.world.portal}{path}")
        self.page.wait_for_function("document.documentElement.dataset.ready !== undefined")

    def at(self, path: str):
        """Waits until the browser has come to a page."""
        self.page.wait_for_url(lambda url: urlsplit(url).path == path)
        self.page.wait_for_function("document.documentElement.dataset.ready !== undefined")

    def tab_to(self, target: str | Locator) -> Locator:
        """Moves the focus to something with the Tab key alone, and sees to it that the focus is always shown."""
        found = self.page.locator(target) if isinstance(target, str) else target
        found.wait_for()
        for _ in range(100):
            self.page.keyboard.press("Tab")
            there, hidden = found.evaluate(FOCUSED)
            if hidden:
                self.complaints.append(f"{self.page.url} does not show its focus at {hidden}")
            if there:
                return found
        raise AssertionError(f"{self.page.url}: the Tab key does not come to {target}")

    def press(self, target: str | Locator):
        """Presses a button or follows a link by keyboard."""
        self.tab_to(target)
        self.page.keyboard.press("Enter")

    def type(self, field: str, text: str):
        """Types into a field by keyboard, over what is there."""
        self.tab_to(field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def refused_at(self, field: str):
        """Waits for a refusal at a field, which then has the focus."""
        expect(self.page.locator(f"{field}[aria-invalid=true]")).to_be_focused()
        expect(self.page.locator(f"{field}-error")).not_to_be_empty()

    def refused_in(self, part: str):
        """Waits for a refusal at the top of a part of the page; it has the focus."""
        expect(self.page.locator(f"{part} .problem >> visible=true").first).to_be_focused()

    def asks_once(self, path: str | re.Pattern[str], method: str, submit, answer):
        """Does something, be it twice in a hurry: the page asks once, and shows that it waits, until it is answered."""
        held = []
        hold = lambda route: held.append(route) if route.request.method == method else route.fallback()
        self.page.route(path, hold)
        submit()
        until = time.monotonic() + PATIENCE_S
        while not held and time.monotonic() < until:
            self.page.wait_for_timeout(20)
        waits = self.page.locator("[aria-busy=true], [aria-disabled=true], .pending:not(:empty)").filter(visible=True)
        expect(waits.first).to_be_visible()
        assert len(held) == 1, f"{path}: asked {len(held)} times"
        answer(held[0])
        assert len(held) == 1, f"{path}: asked again"
        self.page.unroute(path, hold)

    def sends_once(self, path: str, submit):
        """Does something twice in a hurry, and lets it go on."""

        def go_on(route):
            route.continue_()
            # Whatever comes late is one too many as well.
            self.page.wait_for_timeout(1000)

        self.asks_once(f"**{path}", "POST", submit, go_on)

    # ---- What a person sees ----

    def weight(self) -> int:
        """What the page took from the network, in bytes."""
        return self.page.evaluate(WEIGHT)

    def look(self, name: str):
        """Keeps pictures of what the page shows, and checks it as axe-core does and at the narrowest width."""
        page = self.page
        self.shots.mkdir(parents=True, exist_ok=True)
        only = page.locator("h1").count()
        if only != 1:
            self.complaints.append(f"{name}: {only} first headings")
        # A change of width costs a new layout, and a picture as PNG more than the look at it: so few of both as will do.
        picture = lambda of: page.screenshot(path=self.shots / f"{name}-{of}.jpg", type="jpeg", quality=85, full_page=True)
        self._axe(name, {"type": "tag", "values": AXE_RULES})
        picture("light-desktop")
        page.emulate_media(color_scheme="dark")
        self._axe(f"{name} (dark)", {"type": "rule", "values": ["color-contrast"]})
        picture("dark-desktop")
        page.set_viewport_size(PHONE)
        picture("dark-phone")
        page.emulate_media(color_scheme="light")
        picture("light-phone")
        page.set_viewport_size(NARROWEST)
        self.complaints += [f"{name}: {what}" for what in page.evaluate(TOO_WIDE)]
        page.set_viewport_size(DESKTOP)

    def printed(self, name: str) -> int:
        """Prints the page to a file, keeps it with a picture of it, and counts its sheets."""
        page = self.page
        self.shots.mkdir(parents=True, exist_ok=True)
        sheet = page.pdf(path=self.shots / f"{name}.pdf", format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "12mm"))
        page.emulate_media(media="print")
        page.set_viewport_size(PAPER)
        page.screenshot(path=self.shots / f"{name}-print.png", full_page=True)
        page.set_viewport_size(DESKTOP)
        page.emulate_media(media="null")
        return len(re.findall(rb"/Type\s*/Page\b", sheet))

    def _axe(self, name: str, rules: dict):
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        run = "rules => axe.run(document, { runOnly: rules, resultTypes: ['violations'] }).then(found => found.violations)"
        for violation in self.page.evaluate(run, rules):
            where = "; ".join(" ".join(node["target"]) for node in violation["nodes"][:3])
            self.complaints.append(f"{name}: {violation['id']}: {violation['help']}: {where}")
