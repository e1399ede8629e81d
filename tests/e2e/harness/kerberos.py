"""A gateway that takes Kerberos tokens: its configuration, and requests with a token."""

import base64
from pathlib import Path

import psutil

from . import build
from .client import send
from .config import route
from .kdc import REALM

SETTINGS = f'realms = ["{REALM}"]\nstrip_realm = "{REALM}"\n'
HELPER = "portcullis-negotiate"


def acceptor(keytab, helper=None, replay_cache=None, more=""):
    """`[negotiate.http]`: with a replay cache of its own unless it is told where."""
    keytab = Path(keytab)
    return f"""
[negotiate.http]
keytab = "{keytab}"
helper = "{helper or build.negotiate_helper()}"
replay_cache = "{replay_cache or keytab.parent / "replay"}"
{more}
"""


def authenticator(settings=SETTINGS, more=""):
    return f"""
[authenticators.kerberos]
plugin = "kerberos"
{more}
[authenticators.kerberos.grants]
negotiate = "http"
[authenticators.kerberos.settings]
acceptor = "http"
{settings}
"""


def protected(keytab, upstream, **options):
    """Everything behind Kerberos."""
    return acceptor(keytab, **options) + authenticator() + route(upstream, "kerberos")


def negotiate(token):
    return {"Authorization": f"Negotiate {base64.b64encode(token).decode()}"}


def ask(gateway, token, target="/", url=None):
    return send(url or gateway.url, target, negotiate(token))


def reply(answer):
    """The token in the answer, or `None`."""
    tokens = [value for value in answer.all("www-authenticate") if value.startswith("Negotiate ")]
    assert len(tokens) <= 1, tokens
    return base64.b64decode(tokens[0].removeprefix("Negotiate "), validate=True) if tokens else None


def is_refused(answer):
    """Whether this is the one answer to all requests without valid credentials."""
    return (answer.status, answer.all("www-authenticate"), answer.json(), answer.all("set-cookie")) == (
        401,
        ["Negotiate"],
        {"error": "Authentication required"},
        [],
    )


def helpers(gateway):
    """The helper processes of a gateway."""
    children = psutil.Process(gateway.child.process.pid).children(recursive=True)
    children = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in children if child.name().startswith(HELPER[:15])]
