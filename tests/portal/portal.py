"""An HR portal on another origin, as an example of a client: it signs HR staff in by OpenID Connect, searches, resets
passwords and reads what became of the mails. It uses Authlib, and knows first-sign-in by its documents alone:
/.well-known/openid-configuration and /openapi.yaml.

    cargo run                                                        # in one terminal
    python tests/portal/portal.py https://portal.localhost:8443 --ca .local/pki/server/ca.pem --port 5000

and open http://127.0.0.1:5000. The libraries are those of tests/requirements.txt.

What a client has to do, and where it is done here:

- send the browser to the authorization endpoint with state, nonce and PKCE (`login`: Authlib makes all three);
- check state and `iss` of the answer, exchange the code, verify the ID token by the published keys, its issuer, audience,
  nonce and time (`callback`: Authlib, but for `iss`);
- keep the access token on the server, and call the API with it (`Session.call`);
- sign the person out: give the access token back (RFC 7009), and send the browser to the end session endpoint with the ID
  token and a state of its own (`logout`, `signed_out`);
- when it has ended, ask for another one: silently first (`prompt=none`), because the person may still be signed in
  (`ended`); and when the API wants a recent sign-in by card, ask for that, as the answer says (`challenge`).

It answers in JSON, so that it is short. A portal for people would have pages.
"""

import argparse
import os
import re
import secrets
import socket

import requests
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, jsonify, make_response, redirect, request, session, url_for

CLIENT_ID = "example-portal"
SCOPE = "openid profile hr.search hr.reset"

# Names under .localhost are this computer (RFC 6761), which not every resolver knows.
_resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: _resolve(
    "127.0.0.1" if isinstance(host, str) and host.endswith(".localhost") else host, *rest, **more
)


class Session:
    """Somebody's session at this portal. The browser has a random name for it, and never sees a token."""

    def __init__(self, issuer, tokens):
        self.issuer = issuer
        self.access_token = tokens["access_token"]
        self.id_token = tokens["id_token"]
        self.user = tokens["userinfo"]

    def call(self, method, path, **arguments):
        """Calls the API for whoever is signed in."""
        headers = {"Authorization": f"Bearer {self.access_token}", "Accept-Language": "en", **arguments.pop("headers", {})}
        return requests.request(method, self.issuer + path, headers=headers, timeout=35, **arguments)


def challenge(answer):
    """What the API asks for beyond the token (RFC 9470): parameters of the next authorization request, if any."""
    header = answer.headers.get("WWW-Authenticate", "")
    if answer.status_code != 401 or 'error="insufficient_user_authentication"' not in header:
        return None
    acr_values = re.search(r'acr_values="([^"]*)"', header)
    max_age = re.search(r"max_age=(\d+)", header)
    return {"acr_values": acr_values.group(1), "max_age": max_age.group(1)}


def portal(issuer):
    """The portal, as a client of the server of that origin."""
    app = Flask(__name__)
    app.secret_key = secrets.token_bytes(32)
    server = OAuth(app).register(
        "server",
        client_id=CLIENT_ID,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256", "token_endpoint_auth_method": "none"},
    )
    sessions = {}

    def login(**wishes):
        """To the server, with what this sign-in has to be like."""
        return server.authorize_redirect(url_for("callback", _external=True), **wishes)

    def ended(answer):
        """What to do about an answer that is no success: sign in again, as it says, or show it."""
        wishes = challenge(answer)
        if wishes is not None:
            return make_response(jsonify(status="sign_in", login=url_for("start", **wishes)), 401)
        if answer.status_code == 401:
            return make_response(jsonify(status="sign_in", login=url_for("start", prompt="none")), 401)
        return make_response(answer.json(), answer.status_code)

    def signed_in():
        return sessions.get(session.get("name"))

    def act(method, path, **arguments):
        """A call of the API for whoever is signed in."""
        here = signed_in()
        if here is None:
            return make_response(jsonify(status="sign_in", login=url_for("start")), 401)
        answer = here.call(method, path, **arguments)
        return make_response(answer.json(), answer.status_code) if answer.ok else ended(answer)

    @app.get("/")
    def home():
        here = signed_in()
        return jsonify(here.user) if here else redirect(url_for("start"))

    @app.get("/login")
    def start():
        wishes = {name: request.args[name] for name in ("prompt", "acr_values", "max_age") if name in request.args}
        return login(**wishes)

    @app.get("/callback")
    def callback():
        # Who answers (RFC 9207); Authlib has compared nothing but state.
        if request.args.get("iss") != server.load_server_metadata()["issuer"]:
            return make_response(jsonify(error="another issuer"), 400)
        try:
            tokens = server.authorize_access_token()
        except OAuthError as refusal:
            if refusal.error in ("login_required", "consent_required"):
                return login()
            return make_response(jsonify(error=refusal.error, error_description=refusal.description), 403)
        tokens["userinfo"] = {**tokens["userinfo"], **server.userinfo(token=tokens)}
        # A new name at each sign-in: one that somebody planted before is worth nothing.
        sessions.pop(session.get("name"), None)
        session["name"] = secrets.token_urlsafe(32)
        sessions[session["name"]] = Session(issuer, tokens)
        return redirect(url_for("home"))

    @app.post("/search")
    def search():
        return act("POST", "/v1/hr/employees/search", json={"national_id": request.form["national_id"]})

    @app.post("/reset")
    def reset():
        # The same key again, when no answer came: nobody is reset twice.
        headers = {"Idempotency-Key": request.form.get("key") or secrets.token_urlsafe(16)}
        body = {"national_id": request.form["national_id"], "email": request.form["email"]}
        return act("POST", "/v1/hr/employees/password-reset", json=body, headers=headers)

    @app.get("/resets/<reset_id>")
    def mail(reset_id):
        return act("GET", f"/v1/hr/password-resets/{reset_id}")

    @app.post("/logout")
    def logout():
        """Out of this portal, or with `everywhere` out of the server and all of its clients."""
        here = sessions.pop(session.pop("name", None), None)
        if here is None:
            return jsonify(status="signed_out")
        if "everywhere" not in request.form:
            client = OAuth2Session(CLIENT_ID, revocation_endpoint_auth_method="none")
            revocation = server.load_server_metadata()["revocation_endpoint"]
            client.revoke_token(revocation, token=here.access_token, token_type_hint="access_token").raise_for_status()
            return jsonify(status="signed_out")
        # The browser comes back to `signed_out`, which is registered, with this state.
        session["leaving"] = secrets.token_urlsafe(16)
        wish = {
            "id_token_hint": here.id_token,
            "post_logout_redirect_uri": url_for("signed_out", _external=True),
            "state": session["leaving"],
        }
        return redirect(add_params_to_uri(server.load_server_metadata()["end_session_endpoint"], list(wish.items())))

    @app.get("/signed-out")
    def signed_out():
        expected = session.pop("leaving", None)
        if expected is None or request.args.get("state") != expected:
            return make_response(jsonify(error="another state"), 400)
        return jsonify(status="signed_out")

    return app


def main():
    arguments = argparse.ArgumentParser(description="An HR portal on another origin.")
    arguments.add_argument("issuer", help="such as https://portal.localhost:8443")
    arguments.add_argument("--ca", required=True, help="the CA of the server's certificate, PEM")
    arguments.add_argument("--port", type=int, default=5000)
    given = arguments.parse_args()
    os.environ["REQUESTS_CA_BUNDLE"] = given.ca
    portal(given.issuer).run(host="127.0.0.1", port=given.port)


if __name__ == "__main__":
    main()
