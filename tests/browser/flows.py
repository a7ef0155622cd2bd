"""The pages in Chromium: what civil servants, HR and the helpdesk do, and everything that they are shown on the way.

    python tests/browser/flows.py --stand-in target/debug/first-sign-in --output target/run/pages --workers 2

Pictures of every page and state, in light and dark, of a desktop and a phone, are in the output folder for a person to look
at. A flow fails when it does not come to its end, and when a page on its way had an error, a warning or a violation of its
policy on the console, asked another host for anything, broke a rule of axe-core, or was too wide for a narrow screen.
"""

import re
import sys
import time
import unittest
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import expect, sync_playwright

import refusals
from people import HEAD, HELPDESK, LI, LIAO, NOBODY, OTHER_HEAD, QIAN, STAFF, WANG, WANG_WU, WU, ZHANG, ZHAO, ZHOU, Person
from seat import Seat
from stand_in import LANGUAGES, StandIn, run


# What somebody who has never been here may have to wait for, in bytes.
FIRST_VIEW = 60_000

PUBLIC = ("/", "/activated", "/help/card", "/help/guides", "/help/way-1", "/help/way-2", "/help/way-3", "/problems", "/nothing")


def activate(seat: Seat, person: Person):
    """Brings somebody with a card through their first sign-in, and in."""
    seat.go("/")
    seat.page.click("#card button")
    seat.at("/identity")
    seat.page.fill("#identifier", person.national_id)
    seat.page.keyboard.press("Enter")
    seat.at("/activation")
    for name in ("account", "email", "password"):
        seat.page.fill(f"#{name}", getattr(person, name))
    seat.page.fill("#password_confirmation", person.password)
    seat.page.keyboard.press("Enter")
    seat.at("/activated")
    by_card(seat)


def by_card(seat: Seat):
    """Signs in with a card that is bound."""
    seat.go("/")
    seat.page.click("#card button")
    seat.at("/home")
    seat.page.wait_for_selector("#session:not([hidden])")


def choose_account(seat: Seat, person: Person, language: str):
    """The activation page, wrongly in every way and then rightly."""
    page = seat.page
    seat.look("activation")
    seat.press("#activation button[type=submit]")
    expect(page.locator("#activation > .problem")).to_be_focused()
    seat.look("activation-missing")
    seat.type("#account", "x")
    seat.type("#email", person.email)
    state = lambda rule: page.locator(f"[data-rule={rule}]").get_attribute("data-state")
    seat.type("#password", "short%")
    assert (state("too_short"), state("forbidden_character")) == ("broken", "wrong")
    seat.look("activation-typing")
    seat.type("#password", person.password)
    assert {state(rule) for rule in ("too_short", "too_few_classes", "forbidden_character", "contains_account")} == {"kept"}
    expect(page.locator("#rules-told")).not_to_be_empty()
    seat.type("#password_confirmation", person.password)
    page.keyboard.press("Enter")
    seat.refused_at("#account")
    seat.look("activation-account-refused")
    seat.type("#account", person.account)
    seat.type("#password_confirmation", f"{person.password}!")
    page.keyboard.press("Enter")
    seat.refused_at("#password_confirmation")
    seat.look("activation-mismatch")
    assert page.input_value("#account") == person.account and page.input_value("#password") == person.password
    seat.type("#password", "Password-1234")
    seat.type("#password_confirmation", "Password-1234")
    page.keyboard.press("Enter")
    seat.refused_at("#password")
    seat.look("activation-common")
    seat.type("#password", person.password)
    seat.type("#password_confirmation", person.password)
    submit = seat.tab_to("#activation button[type=submit]")
    seat.sends_once("/v1/activation", lambda: submit.dblclick())
    seat.at("/activated")
    seat.look("activated")


def sign_in_by_account(seat: Seat, identifier: str, password: str):
    """Signs in on the page that is shown."""
    seat.type("#identifier", identifier)
    seat.type("#password", password)
    seat.page.keyboard.press("Enter")


class Flow(unittest.TestCase):
    """A flow in each language. Those of a worker share a stand-in; nobody is in two."""

    world: StandIn
    output: Path
    place: Path
    playwright = None
    seats = 0

    @contextmanager
    def seat(self, *cards: str, language: str, picks: str | None = None):
        """A seat, and when its person leaves, nothing was wrong."""
        Flow.seats += 1
        folder = self.place / "seats" / str(Flow.seats)
        seat = Seat(self.playwright, self.world, folder, self.output / "pictures", cards, language, picks)
        try:
            yield seat
        except BaseException:
            seat.page.screenshot(path=self.place / f"failed-{Flow.seats}.png", full_page=True)
            print(f"{self.place}/failed-{Flow.seats}.png: {seat.page.url}", *seat.complaints, sep="\n  ")
            raise
        finally:
            complaints = seat.close()
        self.assertEqual(complaints, [], "\n".join(complaints))

    def in_each_language(self, flow, *people: Person):
        """Runs a flow with a person for each language."""
        for language, person in zip(LANGUAGES, people, strict=True):
            with self.subTest(language):
                flow(language, person)

    def test_what_everybody_may_read(self):
        for language in LANGUAGES:
            with self.subTest(language), self.seat(language=language) as seat:
                seat.awaited.append("/nothing")
                seat.go("/")
                # No page is that light: it would mean that nothing was counted.
                self.assertIn(seat.weight(), range(5_000, FIRST_VIEW))
                for path in PUBLIC:
                    seat.go(path)
                    self.assertEqual(seat.page.get_attribute("html", "lang"), language)
                    seat.look(path.strip("/").replace("/", "-") or "sign-in")
                signed_in = ("/home", "/account", "/account/email", "/account/sessions", "/hr", "/authorizations", "/audit")
                for path in ("/card", "/identity", "/activation", *signed_in):
                    seat.page.goto(f"{self.world.portal}{path}")
                    seat.at("/")
                    expect(seat.page.locator("#notice")).to_be_visible()
                seat.look("sign-in-first")
                other = "en" if language == "zh-TW" else "zh-TW"
                seat.press(f"header a[hreflang={other}]")
                expect(seat.page.locator("html")).to_have_attribute("lang", other)

    def test_how_to_begin_with_the_stand_in(self):
        with self.seat(language="zh-TW") as seat:
            seat.page.goto(f"{self.world.portal}/try")
            self.assertEqual(seat.page.locator("a[href^='/try/cards/']").count(), len(list(self.world.cards.glob("*/card.p12"))))
            with seat.page.expect_download() as download:
                seat.press("a[href='/try/cards/hr-head.p12']")
            self.assertEqual(download.value.path().read_bytes(), (self.world.cards / "hr-head" / "card.p12").read_bytes())
            seat.look("try")

    def test_first_sign_in_by_card_with_the_keyboard_alone(self):
        self.in_each_language(self.first_sign_in_by_card, WANG, LI)

    def first_sign_in_by_card(self, language: str, person: Person):
        with self.seat(person.card, language=language) as seat:
            page = seat.page
            seat.go("/")
            seat.press("#card button")
            seat.at("/identity")
            seat.look("identity")
            seat.type("#identifier", NOBODY)
            seat.press("#identity button[type=submit]")
            seat.refused_in("#refused")
            seat.look("identity-refused")
            seat.press("#back")
            expect(page.locator("#identifier")).to_be_focused()
            self.assertEqual(page.input_value("#identifier"), NOBODY)
            seat.type("#identifier", person.national_id)
            seat.press("#identity button[type=submit]")
            seat.at("/activation")
            for name in ("account", "email", "password"):
                page.fill(f"#{name}", getattr(person, name))
            page.fill("#password_confirmation", person.password)
            refusals.meet(seat, "activate", page.locator("#activation button[type=submit]"))
            page.reload()
            choose_account(seat, person, language)
            seat.press("main a.button")
            seat.at("/")
            seat.press("#card button")
            seat.at("/home")
            expect(page.locator("#activated")).to_be_visible()
            seat.look("home-after-activation")
            seat.press("#session-bar a[href='/account']")
            seat.at("/account")
            expect(page.locator("#name")).to_have_text(person.name)
            seat.look("account")
            refusals.load(seat, "whoAmI", page.reload)
            page.reload()
            refusals.meet(seat, "signOut", page.locator("#sign-out"))
            self.change_password(seat, person)
            self.change_email(seat, person, language)
            self.end_other_sessions(seat, person, language)
            seat.press("#sign-out")
            seat.at("/")
            expect(page.locator("#notice")).to_be_visible()
            seat.look("signed-out")
            sign_in_by_account(seat, person.account, "wrong")
            seat.refused_in("#account")
            seat.look("sign-in-refused")
            self.assertEqual(page.input_value("#identifier"), person.account)
            sign_in_by_account(seat, person.account, f"{person.password}2")
            seat.at("/home")
            self.unbind(seat)

    def change_password(self, seat: Seat, person: Person):
        seat.press("main a[href='/account/password']")
        seat.at("/account/password")
        expect(seat.page.locator("#session")).to_be_visible()
        seat.look("password")
        seat.type("#current_password", "wrong")
        seat.type("#password", f"{person.password}2")
        seat.type("#password_confirmation", f"{person.password}2")
        seat.page.keyboard.press("Enter")
        seat.refused_at("#current_password")
        seat.look("password-refused")
        refusals.meet(seat, "changePassword", seat.page.locator("#password-change button[type=submit]"))
        seat.type("#current_password", person.password)
        seat.page.keyboard.press("Enter")
        expect(seat.page.locator("#changed")).to_be_focused()
        seat.look("password-changed")

    def change_email(self, seat: Seat, person: Person, language: str):
        page, new = seat.page, f"new.{person.email}"
        seat.press("#changed a.button")
        seat.at("/account")
        seat.press("main a[href='/account/email']")
        seat.at("/account/email")
        expect(page.locator("#ask")).to_be_visible()
        seat.look("email")
        seat.type("#email", "no address")
        page.keyboard.press("Enter")
        seat.refused_at("#email")
        seat.look("email-refused")
        seat.type("#email", new)
        seat.type("#current_password", "wrong")
        page.keyboard.press("Enter")
        seat.refused_at("#current_password")
        self.assertEqual(page.input_value("#email"), new)
        seat.type("#current_password", f"{person.password}2")
        refusals.meet(seat, "askEmail", page.locator("#ask button[type=submit]"))
        seat.press("#ask button[type=submit]")
        expect(page.locator("#code")).to_be_focused()
        expect(page.locator("#mail")).to_have_attribute("data-mail", "delivered")
        seat.look("email-code")
        seat.type("#code", "1234")
        page.keyboard.press("Enter")
        seat.refused_at("#code")
        seat.type("#code", "0000 0000")
        page.keyboard.press("Enter")
        seat.refused_at("#code")
        seat.look("email-code-refused")
        refusals.meet(seat, "confirmEmail", page.locator("#confirm button[type=submit]"))
        refusals.load(seat, "email", page.reload)
        # Whoever comes back to the page finds the code asked for; another address can be chosen all the same.
        page.reload()
        expect(page.locator("#confirm")).to_be_visible()
        seat.press("#again")
        expect(page.locator("#email")).to_be_focused()
        page.reload()
        seat.type("#code", self.world.in_mail(new, r"(?m)^\d{4} \d{4}(?=\r?$)"))
        submit = seat.tab_to("#confirm button[type=submit]")
        seat.sends_once("/v1/account/email/confirmation", lambda: submit.dblclick())
        expect(page.locator("#changed")).to_be_focused()
        expect(page.locator("#address")).to_contain_text("n***@")
        seat.look("email-changed")
        self.world.in_mail(person.email, "您的電子郵件已變更")
        # A mailbox that takes no mail is told while the page waits.
        page.reload()
        seat.type("#email", "bounce@simulator.amazonses.com")
        seat.type("#current_password", f"{person.password}2")
        page.keyboard.press("Enter")
        expect(page.locator("#unsent")).to_be_visible()
        seat.look("email-bounced")

    def end_other_sessions(self, seat: Seat, person: Person, language: str):
        with self.seat(person.card, language=language) as elsewhere:
            by_card(elsewhere)
            elsewhere.go("/account/password")
            expect(elsewhere.page.locator("#session")).to_be_visible()
            seat.go("/account/sessions")
            seat.page.wait_for_selector("#sessions li >> nth=1")
            seat.page.wait_for_selector("#activity li")
            seat.look("sessions")
            # Two wrong current passwords and a wrong code; nothing else was refused.
            expect(seat.page.locator("#activity .bad")).to_have_count(3)
            refusals.meet(seat, "endOtherSession", seat.page.locator("#sessions li [data-end] >> visible=true"))
            seat.type("#current_password", person.password)
            refusals.meet(seat, "endAllOtherSessions", seat.page.locator("#end-others button[type=submit]"))
            for loaded in ("sessions", "activity"):
                refusals.load(seat, loaded, seat.page.reload)
            seat.page.reload()
            seat.press("#sessions li [data-end] >> visible=true")
            expect(seat.page.locator("#ended")).to_be_focused()
            expect(seat.page.locator("#sessions li")).to_have_count(1)
            for field in ("current_password", "password", "password_confirmation"):
                elsewhere.type(f"#{field}", person.password)
            elsewhere.page.keyboard.press("Enter")
            elsewhere.at("/")
            expect(elsewhere.page.locator("#notice")).to_be_visible()
            elsewhere.look("sign-in-session-ended")

    def unbind(self, seat: Seat):
        seat.go("/account/cards")
        seat.page.wait_for_selector("#cards li")
        seat.look("cards")
        unbind = lambda: seat.page.locator("#cards li button").first.press("Enter")
        refusals.meet(seat, "unbindCard", seat.page.locator("#unbind button[value=confirmed]"), before=unbind)
        refusals.load(seat, "cards", seat.page.reload)
        seat.page.reload()
        seat.press("#cards li button")
        expect(seat.page.locator("#unbind")).to_be_visible()
        seat.look("cards-unbind")
        seat.page.keyboard.press("Escape")
        seat.press("#cards li button")
        seat.press("#unbind button[value=confirmed]")
        expect(seat.page.locator("#unbound")).to_be_focused()
        seat.look("cards-unbound")

    def test_first_sign_in_with_a_mailed_password(self):
        with self.seat(HEAD.card, language="zh-TW") as hr:
            activate(hr, HEAD)
            hr.look("home-hr")
            self.in_each_language(lambda language, person: self.by_mail(hr, language, person), ZHOU, WU)
            self.follow_authorizations(hr, ZHOU)
            self.answer_a_duty(hr)
            self.read_the_trail(hr)
            self.by_file(hr, ZHAO)
        with self.seat(HEAD.card, language="en") as hr:
            by_card(hr)
            hr.look("home-hr")
            self.search(hr, STAFF.national_id)
            hr.look("hr-found")
            self.follow_authorizations(hr, STAFF)
            self.answer_a_duty(hr)
            self.read_the_trail(hr)
            self.by_file(hr, QIAN)

    def search(self, hr: Seat, national_id: str):
        hr.go("/hr")
        hr.page.wait_for_selector("#desk:not([hidden])")
        hr.type("#national_id", national_id)
        hr.page.keyboard.press("Enter")
        expect(hr.page.locator("#employee")).to_be_focused()

    def by_mail(self, hr: Seat, language: str, person: Person):
        page = hr.page
        hr.go("/hr")
        page.wait_for_selector("#desk:not([hidden])")
        hr.look("hr")
        hr.type("#national_id", "A12345")
        page.keyboard.press("Enter")
        hr.refused_at("#national_id")
        hr.look("hr-id-refused")
        hr.type("#national_id", NOBODY)
        page.keyboard.press("Enter")
        hr.refused_in("#search")
        hr.look("hr-not-found")
        refusals.meet(hr, "searchEmployee", page.locator("#search button[type=submit]"))
        refusals.load(hr, "listResets", page.reload)
        self.search(hr, person.national_id)
        hr.look("hr-found")
        hr.type("#email", "no address")
        page.keyboard.press("Enter")
        hr.press("#confirm button[value=confirmed]")
        hr.refused_at("#email")
        hr.type("#email", person.email)
        ask = lambda: page.locator("#reset button[type=submit]").press("Enter")
        refusals.meet(hr, "resetPassword", page.locator("#confirm button[value=confirmed]"), before=ask)
        self.search(hr, person.national_id)
        hr.type("#email", person.email)
        page.keyboard.press("Enter")
        expect(page.locator("#confirm")).to_be_visible()
        hr.look("hr-confirm")
        confirm = hr.tab_to("#confirm button[value=confirmed]")
        hr.sends_once("/v1/hr/employees/password-reset", lambda: confirm.dblclick())
        expect(page.locator("#done")).to_be_focused()
        expect(page.locator("#resets li [data-mail]").first).to_have_attribute("data-mail", "delivered")
        hr.look("hr-delivered")
        with self.seat(language=language) as seat:
            seat.go("/")
            sign_in_by_account(seat, person.national_id, self.world.initial_password(person.email))
            seat.at("/activation")
            choose_account(seat, person, language)
            seat.press("main a.button")
            seat.at("/")
            sign_in_by_account(seat, person.account, person.password)
            seat.at("/home")
            expect(seat.page.locator("#activated")).to_be_visible()

    def test_mails_that_come_back(self):
        for language, card, person in (("zh-TW", "agency-a02", WANG_WU), ("en", "agency-a04", LIAO)):
            with self.subTest(language), self.seat(card, language=language) as hr:
                by_card(hr)
                self.mails_come_back(hr, person, f"+{person.account}@simulator.amazonses.com")

    def reset_to(self, hr: Seat, email: str):
        hr.type("#email", email)
        hr.page.keyboard.press("Enter")
        hr.press("#confirm button[value=confirmed]")

    def mails_come_back(self, hr: Seat, person: Person, simulator: str):
        page = hr.page
        mail = page.locator("#resets li [data-mail]").first
        self.search(hr, person.national_id)
        self.reset_to(hr, f"bounce{simulator}")
        expect(page.locator("#done")).to_be_focused()
        expect(mail).to_have_attribute("data-mail", "bounced")
        hr.look("hr-bounced")
        # From there to the same person again, without typing who it is.
        hr.press("#resets li [data-correct] >> visible=true")
        expect(page.locator("#employee")).to_be_focused()
        # Whoever comes back later knows the reset by its name alone, and is asked whose it was.
        page.reload()
        hr.press("#recent-resets li [data-correct] >> visible=true")
        expect(page.locator("#national_id")).to_be_focused()
        expect(page.locator("#whose")).to_contain_text(person.name)
        hr.look("hr-whose")
        page.keyboard.type(person.national_id)
        page.keyboard.press("Enter")
        expect(page.locator("#employee")).to_be_focused()
        self.reset_to(hr, f"bounce{simulator}")
        hr.refused_at("#email")
        expect(page.locator("#email-confirmed")).to_be_visible()
        hr.look("hr-undeliverable")
        hr.tab_to("#email-confirmed")
        page.keyboard.press("Space")
        hr.press("#reset button[type=submit]")
        hr.press("#confirm button[value=confirmed]")
        expect(page.locator("#done")).to_be_focused()
        expect(mail).to_have_attribute("data-mail", "bounced")
        self.search(hr, person.national_id)
        self.reset_to(hr, f"transient{simulator}")
        expect(page.locator("#done")).to_be_focused()
        again = page.locator("#resets li").first.locator("[data-again]")
        expect(again).to_be_visible()
        hr.look("hr-mailbox-full")
        refusals.meet(hr, "resendPassword", again)
        hr.press(again)
        expect(again).to_be_hidden()
        expect(again).to_be_visible()
        self.search(hr, person.national_id)
        self.reset_to(hr, person.email)
        expect(page.locator("#done")).to_be_focused()
        expect(mail).to_have_attribute("data-mail", "delivered")
        hr.look("hr-corrected")
        # Of each person's resets only the last one asks for anything.
        page.reload()
        of_person = page.locator("#recent-resets li").filter(has_text=person.name)
        expect(of_person).to_have_count(4)
        expect(of_person.locator("[data-correct] >> visible=true")).to_have_count(0)

    def test_guides_fit_on_a_page_each(self):
        for language in LANGUAGES:
            with self.subTest(language), self.seat(language=language) as seat:
                for way in ("way-1", "way-2", "way-3"):
                    seat.go(f"/help/{way}")
                    self.assertEqual(seat.printed(way), 1, f"{way} in {language} takes more than a page")

    def by_file(self, hr: Seat, person: Person):
        page = hr.page
        hr.go("/hr")
        page.wait_for_selector("#recent-resets li")
        hr.look("hr-recent")
        hr.press("#by-file a")
        hr.at("/hr/bulk")
        page.wait_for_selector("#desk:not([hidden])")
        hr.look("bulk")
        hr.press("#upload button[type=submit]")
        hr.refused_at("#file")
        hr.look("bulk-no-file")
        upload = lambda text: page.set_input_files("#file", {"name": "new.csv", "mimeType": "text/csv", "buffer": text.encode()})
        upload("name,email\n")
        hr.press("#upload button[type=submit]")
        hr.refused_in("#upload")
        hr.look("bulk-file-refused")
        upload("national_id,email\n")
        refusals.meet(hr, "uploadBulkReset", page.locator("#upload button[type=submit]"))
        rows = f"{person.national_id},{person.email}\n{ZHOU.national_id},{ZHOU.email}\n{NOBODY},x@example.gov.tw\n"
        # Rows that cannot be shown are told where they would be: the form is out of sight by then.
        upload(f"national_id,email\n{rows}")
        refusals.put(hr, "bulkResetRows", "unavailable")
        hr.press("#upload button[type=submit]")
        expect(page.locator("#bulk-problem")).to_be_focused()
        hr.press("#another")
        upload(f"national_id,email\n{rows}")
        hr.press("#upload button[type=submit]")
        expect(page.locator("#bulk")).to_be_focused()
        expect(page.locator("#row-list li")).to_have_count(3)
        hr.look("bulk-preview")
        ask = lambda: page.locator("#confirm").press("Enter")
        refusals.meet(hr, "confirmBulkReset", page.locator("#confirmation button[value=confirmed]"), before=ask)
        refusals.meet(hr, "cancelBulkReset", page.locator("#cancel"))
        for loaded in ("bulkReset", "bulkResetRows"):
            refusals.load(hr, loaded, page.reload)
        page.reload()
        hr.press("#confirm")
        expect(page.locator("#confirmation")).to_be_visible()
        hr.look("bulk-confirm")
        confirm = hr.tab_to("#confirmation button[value=confirmed]")
        hr.sends_once("/confirm", lambda: confirm.dblclick())
        expect(page.locator("#bulk-progress")).to_have_attribute("value", "1", timeout=20_000)
        expect(page.locator("#row-list [data-mail]")).to_have_attribute("data-mail", "delivered", timeout=100_000)
        hr.look("bulk-done")
        page.reload()
        expect(page.locator("#row-list li")).to_have_count(3)
        hr.tab_to("#only-refused")
        page.keyboard.press("Space")
        expect(page.locator("#row-list li")).to_have_count(2)
        result = page.locator("#result").evaluate("node => fetch(node.href).then(answer => answer.text())")
        self.assertIn("line,national_id,email,status", result)

    def follow_authorizations(self, hr: Seat, person: Person):
        page = hr.page
        hr.go("/authorizations")
        page.wait_for_selector("#here li, #here .none:visible")
        hr.look("authorizations")
        hr.press("#grant button[type=submit]")
        hr.refused_at("#national_id")
        hr.type("#national_id", person.national_id)
        page.keyboard.press("Enter")
        page.wait_for_selector("#done:focus, #grant .problem:focus")
        hr.look("authorizations-asked")
        hr.type("#national_id", STAFF.national_id)
        hr.type("#agency", "A03")
        page.keyboard.press("Enter")
        page.wait_for_selector("#done:focus, #grant .problem:focus")
        hr.look("authorizations-duty")
        hr.type("#national_id", person.national_id)
        refusals.meet(hr, "grantAuthorization", page.locator("#grant button[type=submit]"))
        yes, step = page.locator("#confirm button[value=confirmed]"), page.locator("#here li [data-steps] button").first
        refusals.meet(hr, "revokeAuthorization", yes, before=lambda: step.press("Enter"))
        withdraw = page.locator("#elsewhere li [data-steps] button").first
        refusals.meet(hr, "withdrawConcurrentDuty", yes, before=lambda: withdraw.press("Enter"))
        refusals.load(hr, "listAuthorizations", page.reload)
        page.reload()
        hr.press(page.locator("#here li [data-steps] button").first)
        expect(page.locator("#confirm")).to_be_visible()
        hr.look("authorizations-confirm")
        hr.press("#confirm button[value=confirmed]")
        expect(page.locator("#done")).to_be_focused()
        hr.press("#show-history")
        page.wait_for_selector("#history li, #history .none:visible")
        hr.look("authorizations-history")

    def answer_a_duty(self, hr: Seat):
        """Has another agency's HR head answer whom this one wants to act there: at first they end what there was, and refuse; then
        they accept."""
        accepts = hr.language == "en"
        if not accepts:
            self.world.issue(OTHER_HEAD)
        with self.seat(OTHER_HEAD.card, language=hr.language) as other:
            page = other.page
            yes = page.locator("#confirm button[value=confirmed]")
            by_card(other) if accepts else activate(other, OTHER_HEAD)
            other.go("/authorizations")
            if not accepts:
                other.press(page.locator("#here li").filter(has_text=STAFF.name).locator("[data-steps] button"))
                other.press(yes)
                expect(page.locator("#done")).to_be_focused()
            hr.go("/authorizations")
            hr.type("#national_id", STAFF.national_id)
            hr.type("#agency", "A04")
            hr.page.keyboard.press("Enter")
            expect(hr.page.locator("#done")).to_be_focused()
            page.reload()
            asked = page.locator("#waiting li").filter(has_text=STAFF.name)
            accept, refuse = (asked.locator("[data-steps] button").nth(place) for place in (0, 1))
            expect(refuse).to_be_visible()
            expect(page.locator("#here li").first).to_be_visible()
            here = page.locator("#here li").filter(has_text=STAFF.name)
            expect(here).to_have_count(0)
            other.look("authorizations-waiting")
            refusals.meet(other, "acceptConcurrentDuty", yes, before=lambda: accept.press("Enter"))
            refusals.meet(other, "refuseConcurrentDuty", yes, before=lambda: refuse.press("Enter"))
            other.press(accept if accepts else refuse)
            other.look("authorizations-answer")
            other.press(yes)
            expect(page.locator("#done")).to_be_focused()
            expect(asked).to_have_count(0)
            expect(here).to_have_count(1 if accepts else 0)

    def read_the_trail(self, hr: Seat):
        page = hr.page
        hr.go("/audit")
        page.wait_for_selector("#desk:not([hidden])")
        hr.look("audit")
        hr.press("#query button[type=submit]")
        expect(page.locator("#trail")).to_be_focused()
        expect(page.locator("#trail li").first).to_be_visible()
        hr.look("audit-agency")
        hr.type("#national_id", NOBODY)
        page.keyboard.press("Enter")
        hr.refused_in("#query")
        hr.type("#national_id", ZHOU.national_id)
        page.select_option("#action", "password_reset")
        hr.press("#query button[type=submit]")
        expect(page.locator("#trail-title")).to_contain_text("周")
        hr.look("audit-person")
        refusals.meet(hr, "readAudit", page.locator("#query button[type=submit]"))
        page.fill("#from", "2001-01-01")
        page.fill("#to", "2001-01-02")
        hr.press("#query button[type=submit]")
        expect(page.locator("#trail .none")).to_be_visible()
        hr.look("audit-nothing")

    def test_the_helpdesk_says_why(self):
        with self.seat(ZHANG.card, language="zh-TW") as somebody:
            activate(somebody, ZHANG)
        for language, enter in (("en", activate), ("zh-TW", lambda desk, _: by_card(desk))):
            with self.subTest(language), self.seat(HELPDESK.card, language=language) as desk:
                enter(desk, HELPDESK)
                self.say_why(desk, lost=language == "zh-TW")

    def say_why(self, desk: Seat, lost: bool):
        page = desk.page
        self.search(desk, ZHANG.national_id)
        page.wait_for_selector("#cards li")
        desk.look("helpdesk-found")
        desk.type("#email", ZHANG.email)
        page.keyboard.press("Enter")
        desk.refused_at("#reason")
        desk.look("helpdesk-no-reason")
        desk.press("#cards li button")
        expect(page.locator("#unbind")).to_be_visible()
        desk.look("helpdesk-unbind")
        desk.press("#unbind button[type=submit]")
        desk.refused_at("#unbind-reason")
        if not lost:
            page.keyboard.press("Escape")
            expect(page.locator("#unbind")).to_be_hidden()
            refusals.load(desk, "employeeCards", lambda: self.search(desk, ZHANG.national_id))
            return
        desk.type("#unbind-reason", "本人來電並核對身分，卡片遺失")
        refusals.meet(desk, "unbindEmployeeCard", page.locator("#unbind button[type=submit]"))
        desk.press("#unbind button[type=submit]")
        expect(page.locator("#unbound")).to_be_focused()
        desk.look("helpdesk-unbound")

    def test_an_agency_by_its_certificate(self):
        for language, card in zip(LANGUAGES, ("agency-a02", "agency-a04"), strict=True):
            with self.subTest(language), self.seat(card, language=language) as agency:
                by_card(agency)
                expect(agency.page.locator("#session-account")).to_be_hidden()
                agency.look("home-agency")
                agency.press("main a[href='/hr']")
                agency.at("/hr")
                agency.page.wait_for_selector("#desk:not([hidden])")
                agency.look("hr-agency")
                self.be_sent_to_the_card_first(agency)
                self.be_sent_to_sign_out(agency)

    def be_sent_to_the_card_first(self, agency: Seat):
        """As an operator has it who wants a recent sign-in by card for a reset."""
        page = agency.page
        self.search(agency, LIAO.national_id if agency.language == "en" else ZHANG.national_id)
        refusals.put(agency, "resetPassword", "step_up_required")
        self.reset_to(agency, "somebody@example.gov.tw")
        agency.at("/")
        expect(page.locator("#notice")).to_be_visible()
        expect(page.locator("#by-account-part")).to_be_hidden()
        agency.look("sign-in-card-first")
        agency.press("#card button")
        agency.at("/hr")
        expect(page.locator("#desk")).to_be_visible()

    def test_an_application_has_its_person_sign_in(self):
        for language, card in zip(LANGUAGES, ("agency-a02", "agency-a04"), strict=True):
            with self.subTest(language), self.seat(card, language=language) as agency:
                self.be_sent_to_sign_in(agency)

    def be_sent_to_sign_in(self, seat: Seat):
        page = seat.page
        application = "http://127.0.0.1:9/callback"
        # Nobody listens there: what the application would show is of no interest here.
        seat.awaited.append(application)
        page.route(f"{application}*", lambda route: route.fulfill(content_type="text/html", body="<title>application</title>"))
        asked = {
            "response_type": "code",
            "client_id": "example-portal",
            "redirect_uri": application,
            "scope": "openid profile",
            "state": "of-this-browser",
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        }
        address = f"{self.world.portal}/authorize?{urlencode(asked)}"
        back_with = lambda what: page.wait_for_url(re.compile(re.escape(application) + rf"\?(.*&)?{what}"))
        page.goto(address)
        seat.at("/")
        expect(page.locator("#notice")).to_be_visible()
        seat.look("sign-in-for-application")
        seat.press("#card button")
        back_with("code=")

        def ask(_=None):
            page.goto(address)
            seat.at("/continue")
            expect(page.locator("#ask")).to_be_focused()

        ask()
        seat.look("continue")
        refusals.meet(seat, "answerAuthorization", page.locator("#allow"), after=ask)
        seat.press("#allow")
        back_with("code=")
        ask()
        seat.press("#deny")
        back_with("error=access_denied")
        ask()
        seat.press("#other")
        seat.at("/")
        seat.press("#cancel")
        back_with("error=access_denied")
        page.goto(address.replace("example-portal", "nobody"))
        seat.at("/continue")
        expect(page.locator("#problem")).to_be_focused()
        seat.look("continue-refused")

    def be_sent_to_sign_out(self, seat: Seat):
        """As an application does that wants its person signed out of everything, and does not say which one it is."""
        seat.page.goto(f"{self.world.portal}/logout")
        seat.at("/sign-out")
        expect(seat.page.locator("#ask")).to_be_focused()
        seat.look("sign-out")
        ask = lambda _=None: (seat.page.goto(f"{self.world.portal}/logout"), expect(seat.page.locator("#ask")).to_be_focused())
        refusals.meet(seat, "answerLogout", seat.page.locator("#yes"), after=ask)
        yes = seat.tab_to("#yes")
        seat.sends_once("/v1/logout", lambda: yes.dblclick())
        expect(seat.page.locator("#out")).to_be_focused()
        seat.look("sign-out-done")
        seat.page.goto(f"{self.world.portal}/home")
        seat.at("/")

    def test_refused_cards_are_told_apart(self):
        for language in LANGUAGES:
            self.card_is_told_apart(language, "refused", self.world.issue_by_sha1(f"sha1-{language}"))
            # Chromium offers none whose time is over, and none that is not for signatures.
            self.card_is_told_apart(language, "no-card", "expired", "encryption")
            with self.subTest(language), self.seat(language=language) as seat:
                # What the function refuses it tells the page, which goes on with it.
                seat.go("/card#problem=certificate_revoked")
                expect(seat.page.locator("#problem")).to_be_focused()
                seat.look("card-revoked")
        for language, card, national_id in (("zh-TW", "departed", "M111900781"), ("en", "unknown", NOBODY)):
            with self.subTest(card), self.seat(card, language=language) as seat:
                self.card_is_refused_in_every_way(seat)
                seat.go("/")
                seat.press("#card button")
                seat.at("/identity")
                self.identity_is_refused_in_every_way(seat, national_id)
                seat.type("#identifier", national_id)
                seat.page.keyboard.press("Enter")
                seat.refused_in("#refused")
                seat.look(f"card-{card}")

    def card_is_told_apart(self, language: str, obstacle: str, *cards: str):
        """What keeps a card out is told on the page where it was asked for, with what to do about it."""
        with self.subTest(obstacle), self.seat(*cards, language=language) as seat:
            seat.go("/")
            for _ in range(2):
                seat.press("#card button")
                expect(seat.page.locator("#card-failed")).to_be_focused()
                opened = seat.page.locator("#card-failed details[open]")
                expect(opened).to_have_count(1)
                self.assertEqual(opened.get_attribute("data-case"), obstacle)
            seat.look(f"card-{obstacle}-{cards[0].split('-')[0] if cards else 'none'}")

    def test_a_card_host_that_does_not_answer(self):
        with self.seat(language="en") as seat:
            page, host = seat.page, re.compile(re.escape(urlsplit(self.world.card).netloc))
            for came, obstacle in ((False, "unreachable"), (True, "pin")):

                def end(route):
                    # As a window does in which to enter a PIN.
                    if came:
                        page.evaluate("dispatchEvent(new Event('blur'))")
                    page.wait_for_timeout(2_000 if came else 10_500)
                    route.abort("timedout")

                page.route(host, end)
                seat.go("/")
                seat.press("#card button")
                expect(page.locator("#card-failed")).to_be_focused()
                self.assertEqual(page.locator("#card-failed details[open]").get_attribute("data-case"), obstacle)
                seat.look(f"card-{obstacle}")
                page.unroute(host, end)

    def card_is_refused_in_every_way(self, seat: Seat):
        for refusal in refusals.of_operation(seat, "showCard"):
            # Another page first: within one, a new fragment is no new page.
            seat.go("/")
            seat.go(f"/card#problem={refusal.name}")
            refusals.said(seat, refusal)

        def by_card():
            seat.go("/")
            seat.page.click("#card button")

        refusals.load(seat, "exchangeCode", by_card)

    def identity_is_refused_in_every_way(self, seat: Seat, national_id: str):
        seat.page.fill("#identifier", national_id)

        def again(_):
            if seat.page.locator("#back").is_visible():
                seat.page.click("#back")
            elif seat.page.locator("#again").is_visible():
                seat.page.click("#again")
                seat.at("/")
                seat.page.click("#card button")
                seat.at("/identity")
                seat.page.fill("#identifier", national_id)

        refusals.meet(seat, "bindCard", seat.page.locator("#identity button[type=submit]"), after=again)

    def test_no_card_and_no_network(self):
        for language in LANGUAGES:
            with self.subTest(language), self.seat(language=language) as seat:
                page = seat.page
                seat.go("/")
                seat.press("#card button")
                expect(page.locator("#card-failed")).to_be_focused()
                self.assertTrue(page.locator("[data-case=no-card]").evaluate("node => node.open"))
                seat.look("card-none")
                seat.type("#identifier", "wang.xiaoming")
                seat.type("#password", "whatever it was")
                # The last of them is no answer at all.
                refusals.meet(seat, "signInWithPassword", page.locator("#account button[type=submit]"))
                seat.look("no-network")

    def test_another_card_without_closing_the_browser(self):
        with self.seat("unknown", STAFF.card, picks="無此人", language="zh-TW") as seat:
            seat.go("/")
            seat.press("#card button")
            seat.at("/identity")
            seat.type("#identifier", STAFF.national_id)
            seat.page.keyboard.press("Enter")
            seat.refused_in("#refused")
            # The browser takes some seconds to notice its policy, which is this person's hand; on a busy machine, more. It may
            # miss a change, and then hears of the next.
            for _ in range(6):
                seat.pick(STAFF.name)
                time.sleep(10)
                seat.press("#back")
                seat.press("#identity a[href='/']")
                seat.at("/")
                seat.press("#card button")
                seat.at("/identity")
                seat.type("#identifier", STAFF.national_id)
                seat.page.keyboard.press("Enter")
                seat.page.wait_for_selector("#refused .problem:focus, #activation")
                if seat.page.url.endswith("/activation"):
                    break
            seat.at("/activation")
        self.assertFalse(self.world.shares_connections())

    def test_a_session_about_to_end(self):
        with self.seat("agency-a04", language="en") as seat:
            page = seat.page
            page.clock.install()
            by_card(seat)
            page.clock.fast_forward("13:30")
            expect(page.locator("dialog[role=alertdialog]")).to_be_visible()
            seat.look("session-ends")
            page.keyboard.press("Enter")
            expect(page.locator("dialog[role=alertdialog]")).to_be_hidden()


def main() -> int:
    """Runs the flows."""
    with sync_playwright() as Flow.playwright:
        return run(Flow, first="test_first_sign_in_with_a_mailed_password")


if __name__ == "__main__":
    sys.exit(main())
