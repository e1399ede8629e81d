"""Logins at the OpenID provider of the tests: its clients, the built-in `oidc` that uses them, and people who log in."""

import secrets

import requests

from .browser import BEHIND_PROXY, LOGIN, ORIGIN, Browser
from .config import SESSION, route
from .upstream import values


def start_of(login="oidc"):
    """The path of the page where a login begins."""
    return f"/.portcullis/login/{login}"


def secret_of(client):
    return f"secret-of-{client}-that-is-long-enough"


def client(name="web", login="oidc", origin=ORIGIN, **more):
    """The gateway as a client of a provider."""
    return {
        "client_id": name,
        "client_secret": secret_of(name),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": [f"{origin}{start_of(login)}/callback"],
        "post_logout_redirect_uris": [f"{origin}{start_of(login)}/signed-out"],
        **more,
    }


def back_channel(login="oidc", session=True):
    """What a client has to be told of logouts at the provider: of a session there, or of all of a subject."""
    return {"backchannel_logout_uri": f"http://gateway.example{start_of(login)}/notice", "backchannel_logout_session_required": session}


def oidc(provider, *settings, name="web", login="oidc"):
    """The built-in `oidc` with a client of the provider."""
    lines = "".join(f"{line}\n" for line in settings)
    return f"""
[authenticators.{login}]
plugin = "oidc"
login = true
[authenticators.{login}.settings]
issuer = "{provider.issuer}"
client_id = "{name}"
client_secret = "env:SECRET"
scope = "openid gateway profile"
user_claim = "preferred_username"
groups_claim = "groups"
{lines}
[authenticators.{login}.grants]
http = ["{provider.issuer}"]
login = ["{provider.issuer}"]
"""


def start(serve, provider, upstream, *settings, name="web", more="", **environment):
    """A gateway with one such login."""
    config = SESSION + LOGIN + oidc(provider, *settings, name=name) + more + route(upstream, "oidc")
    return serve(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET=secret_of(name), **environment)


class Person:
    """Somebody with a browser, at the provider and at the gateway."""

    def __init__(self, gateway, provider, name="alice", login="oidc", browser=None):
        self.provider, self.name = provider, name
        self.at_provider, self.browser = requests.Session(), browser or Browser(gateway)
        self.callback = f"{self.browser.scheme}://{self.browser.host}{start_of(login)}/callback"

    def log_in(self, target="/"):
        sent = self.browser.open(target)
        assert sent.status == 302, (sent.status, sent.body)
        return self.go_on(sent.header("location"))

    def go_on(self, place):
        """From the start of a login through the provider, and back."""
        self.leave(place)
        return self.browser.open(self.back)

    def leave(self, place):
        """From the start of a login through the provider, to where it sends the browser back to."""
        self.asked = self.browser.open(place).header("location")
        self.back = self.provider.authorize(self.at_provider, self.asked, self.callback, self.name)
        assert isinstance(self.back, str), self.back.text

    def log_out_of_provider(self):
        """Without a word to the gateway."""
        self.provider.log_out(self.at_provider, f"{self.provider.issuer}/session/end")

    def user(self):
        answer = self.browser.open("/")
        assert answer.status == 200, (answer.status, answer.headers)
        return values(answer.json(), "x-forwarded-user")
