"""Who schemathesis calls as: the sample roster's HR head, activated once, signed in anew for each operation."""

import base64
import hashlib
import json
import os
import secrets
import socket
import ssl
import urllib.request

import schemathesis

resolve = socket.getaddrinfo


def resolve_loopback(host, *rest, **named):
    """Browsers know that every name under localhost is loopback (RFC 6761); not every resolver does."""
    return resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **named)


socket.getaddrinfo = resolve_loopback

# What `serve --ready-json` has printed.
with open(os.environ["FIRST_SIGN_IN_READY"]) as ready:
    STAND_IN = json.load(ready)
PORTAL, CARD, CA, CARDS = (STAND_IN[key] for key in ("portal_url", "card_url", "server_ca", "cards_dir"))
NATIONAL_ID = "B210950397"
ACCOUNT = "schema.head"
PASSWORD = "Tortoise-4711-crossing"


def tls(card=None):
    context = ssl.create_default_context(cafile=CA)
    if card:
        context.load_cert_chain(f"{CARDS}/{card}/certificate.pem", f"{CARDS}/{card}/key.pem")
    return context


def call(url, body=None, card=None):
    headers = {"accept": "application/json"}
    data = None
    if body is not None:
        headers["content-type"] = "application/json"
        data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, context=tls(card)) as answer:
        return json.load(answer)


def activate():
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    code = call(f"{CARD}/v1/login/certificate?challenge={challenge}", card="hr-head")["code"]
    first = call(f"{PORTAL}/v1/login/certificate", {"code": code, "verifier": verifier})
    if first["status"] != "identity_required":
        return
    bound = call(
        f"{PORTAL}/v1/login/certificate/identity", {"ticket": first["ticket"], "identifier": NATIONAL_ID}
    )
    call(
        f"{PORTAL}/v1/activation",
        {
            "ticket": bound["ticket"],
            "account": ACCOUNT,
            "email": "head@example.org",
            "password": PASSWORD,
            "password_confirmation": PASSWORD,
        },
    )


activate()


@schemathesis.auth(refresh_interval=None)
class Token:
    def get(self, case, context):
        body = {"identifier": ACCOUNT, "password": PASSWORD, "session": "token"}
        return call(f"{PORTAL}/v1/login/password", body)["token"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
