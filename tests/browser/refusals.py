"""Every refusal of the API on the page that meets it.

What an operation may refuse with is read from the API's description, and what the page then has to say from the service's own
list of its problems. The answers are put in the browser's way, since some of them no person can bring about by typing.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Callable, NamedTuple

import yaml
from playwright.sync_api import Locator, Route

from seat import DESKTOP, NARROWEST

ROOT = Path(__file__).resolve().parents[2]

# What leads to the sign-in page, which then says why: no refusal that is shown where it was met.
LEADS_AWAY = ("session_required", "step_up_required")

# Whether a refusal is said where the focus is: in the part of the page that has it, or beside the field that has it.
SAID = """title => {
  const node = document.activeElement;
  const beside = node.id ? document.getElementById(`${node.id}-error`) : null;
  return [node, beside].some((place) => place?.checkVisibility() && place !== document.body && place.textContent.includes(title));
}"""

# Whether it is said at all, which is enough where nobody did anything.
SHOWN = "title => [...document.querySelectorAll('.problem')].some((place) => place.checkVisibility() && place.textContent.includes(title))"

TYPED = """() => Object.fromEntries([...document.querySelectorAll("form input, form textarea, form select")]
  .filter((control) => control.id && control.type !== "hidden" && control.type !== "file")
  .map((control) => [control.id, control.type === "checkbox" ? control.checked : control.value]))"""

WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


class Operation(NamedTuple):
    """An operation of the API, and what it may refuse with."""

    method: str
    path: re.Pattern[str]
    fields: tuple[str, ...]
    refusals: tuple[tuple[int, str], ...]


class Refusal(NamedTuple):
    """An answer in the browser's way, and what the page has to say of it."""

    name: str
    title: str
    status: int = 0
    content_type: str = "application/problem+json"
    body: str = ""

    def answer(self, route: Route):
        """Answers a request so. Without a status there is no answer at all."""
        if self.status == 0:
            route.abort("connectionrefused")
        else:
            route.fulfill(status=self.status, content_type=self.content_type, body=self.body)


@cache
def _description() -> dict:
    return yaml.safe_load((ROOT / "infra" / "openapi.yaml").read_text())


def _resolved(node):
    while isinstance(node, dict) and "$ref" in node:
        found = _description()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _codes(schema) -> list[str]:
    schema = _resolved(schema)
    found = list(_resolved(schema.get("properties", {}).get("code", {})).get("enum", []))
    for part in (*schema.get("allOf", []), *schema.get("oneOf", [])):
        # The schema of all problems allows every code; which ones an operation has is said beside it.
        if part != {"$ref": "#/components/schemas/Problem"}:
            found += _codes(part)
    return found


def _refusals(described: dict):
    for status, answer in described["responses"].items():
        content = _resolved(answer).get("content", {})
        if problem := content.get("application/problem+json"):
            yield from ((int(status), code) for code in _codes(problem["schema"]))


def _described():
    for path, methods in _description()["paths"].items():
        yield from ((path, method, what) for method, what in methods.items() if isinstance(what, dict))


@cache
def operation(name: str) -> Operation:
    """The operation of that id."""
    path, method, described = next(found for found in _described() if found[2].get("operationId") == name)
    pattern = "[^/?]+".join(map(re.escape, re.split(r"\{\w+\}", path))) + r"(\?.*)?$"
    content = _resolved(described.get("requestBody", {})).get("content", {})
    schema = _resolved(content.get("application/json", {}).get("schema", {}))
    refusals = dict.fromkeys(_refusals(described))
    return Operation(method.upper(), re.compile(pattern), tuple(schema.get("properties", {})), tuple(refusals))


# By language, the service's own list of its problems: of each code, what happened and what to do.
_problems: dict[str, dict[str, tuple[str, str]]] = {}

LISTED = """() => Object.fromEntries([...document.querySelectorAll("section[id]")]
  .map((section) => [section.id, [section.querySelector("h2").textContent, section.querySelector("p").textContent]]))"""


def _texts_of(seat, code: str) -> tuple[str, str]:
    if seat.language not in _problems:
        page = seat.context.new_page()
        page.goto(f"{seat.world.portal}/problems")
        _problems[seat.language] = page.evaluate(LISTED)
        page.close()
    return _problems[seat.language][code]


def _problem(seat, status: int, code: str, **more) -> Refusal:
    title, detail = _texts_of(seat, code)
    retry = {"retry_after": 60} if status in (429, 503) else {}
    body = {"type": f"/problems#{code}", "title": title, "status": status, "detail": detail, "code": code, "request_id": "JKJaXmPLvHcESHA="}
    return Refusal(" of ".join((code, *more.values())), title, status, body=json.dumps(body | retry | more))


def of_operation(seat, name: str) -> list[Refusal]:
    """Every problem that an operation may answer with, by its code, but for those that lead away."""
    return [_problem(seat, status, code) for status, code in operation(name).refusals if code not in LEADS_AWAY]


def _everything(seat, name: str) -> list[Refusal]:
    """Whatever may come in place of an operation's success."""
    texts = json.loads((ROOT / "functions" / "portal" / "web" / "texts" / f"{seat.language}.json").read_text())
    found = of_operation(seat, name)
    found += [_problem(seat, 400, "request_invalid", field=field) for field in operation(name).fields]
    # What the gateway says by itself, what a broken one says, and nothing at all.
    found.append(Refusal("the gateway's throttle", texts["say.unavailable.title"], 429, "application/json", '{"message":"Too Many Requests"}'))
    found.append(Refusal("a page of a proxy", texts["say.unavailable.title"], 502, "text/html", "<h1>Bad Gateway</h1>"))
    found.append(Refusal("no answer", texts["say.unreachable.title"]))
    return found


def meet(seat, name: str, submit: Locator, before: Callable[[], None] = lambda: None, after: Callable[[Refusal], None] = lambda _: None):
    """Meets every refusal of an operation where somebody asks for it: each is said where the focus is, and takes away nothing that
    was typed. It is asked for by `submit`, for which `before` makes ready; `after` goes back to where it can be asked for again.
    The first time it is pressed twice in a hurry, and asks once."""
    asked = operation(name)
    # Where there is least room for what is said.
    seat.page.set_viewport_size(NARROWEST)
    for turn, refusal in enumerate(_everything(seat, name)):
        before()
        typed = seat.page.evaluate(TYPED)
        press = submit.dblclick if turn == 0 else lambda: submit.press("Enter")
        seat.asks_once(asked.path, asked.method, press, refusal.answer)
        _awaited(seat, f"{name}: {refusal.name}", SAID, refusal)
        assert seat.page.evaluate(TYPED) == typed, f"{name}: {refusal.name}: what was typed is gone"
        assert not seat.page.evaluate(WIDE), f"{name}: {refusal.name}: the page scrolls sideways"
        after(refusal)
    seat.page.set_viewport_size(DESKTOP)


def load(seat, name: str, open_page: Callable[[], None]):
    """Has a page come up while what it shows at first is refused in every way: it says so."""
    asked = operation(name)
    for refusal in _everything(seat, name):
        answer = lambda route: refusal.answer(route) if route.request.method == asked.method else route.fallback()
        seat.page.route(asked.path, answer)
        open_page()
        _awaited(seat, f"{name}: {refusal.name}", SHOWN, refusal)
        seat.page.unroute(asked.path, answer)


def put(seat, name: str, code: str):
    """Has an operation refuse once, with a problem that it may answer with."""
    asked = operation(name)
    [refusal] = [_problem(seat, status, known) for status, known in asked.refusals if known == code]
    seat.page.route(asked.path, lambda route: refusal.answer(route), times=1)


def said(seat, refusal: Refusal):
    """Waits until the page says a refusal, where the focus is."""
    _awaited(seat, refusal.name, SAID, refusal)


def _awaited(seat, what: str, condition: str, refusal: Refusal):
    try:
        seat.page.wait_for_function(condition, arg=refusal.title)
    except Exception as error:
        focused = seat.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        raise AssertionError(f"{what}: “{refusal.title}” is not said; the focus is at {focused}") from error
