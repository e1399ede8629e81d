"""The page of certificates: its configuration, and the way of a challenge from port 80 to the ACME client."""

import re
import textwrap

import pytest
from test_tls import Session

from harness.client import send
from harness.gateway import Gateway
from harness.paths import ROOT
from harness.upstream import values

CHALLENGE = "/.well-known/acme-challenge/token-1"


@pytest.fixture
def gateway(tmp_path, authority, upstream):
    """The gateway of the page, but for its ports and the places of its files."""
    page = (ROOT / "docs/tls.md").read_text()
    [text] = [textwrap.dedent(block) for block in re.findall(r"(?ms)^   ```toml\n(.*?)^   ```", page)]
    cert, key = authority.issue("app.example", "app.example")
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("a password that is long enough")
    for old, new in {
        "0.0.0.0:443": "127.0.0.1:0",
        "0.0.0.0:80": "127.0.0.1:0",
        "/etc/letsencrypt/live/app.example/fullchain.pem": cert,
        "/etc/letsencrypt/live/app.example/privkey.pem": key,
        "/etc/portcullis/password": password,
        "http://127.0.0.1:8402": upstream.url,
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, str(new))
    gateway = Gateway(tmp_path, text)
    yield gateway
    gateway.stop()


def test_a_challenge_reaches_the_acme_client(gateway, upstream, authority):
    [plain] = gateway.addresses(message="redirecting to https")
    redirected = send(f"http://{plain}", CHALLENGE, {"Host": "app.example"})
    port = gateway.url.rsplit(":", 1)[1]
    assert (redirected.status, redirected.header("location")) == (308, f"https://app.example:{port}{CHALLENGE}")
    status, _ = Session(gateway, authority, "app.example").get(path=CHALLENGE)
    [seen] = upstream.seen
    assert (status, seen["target"], values(seen, "x-forwarded-user")) == (200, CHALLENGE, [])


def test_all_else_needs_a_user(gateway, upstream, authority):
    for path in ["/", "/.well-known", "/.well-known/acme-challengex"]:
        assert Session(gateway, authority, "app.example").get(path=path)[0] == 401
    assert upstream.seen == []
