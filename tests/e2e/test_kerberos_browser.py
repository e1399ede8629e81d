"""A browser with a ticket is logged in without a prompt at servers on its allow list."""

import secrets

import pytest

from harness.chromium import chromium
from harness.config import SESSION, whoami
from harness.kerberos import acceptor, authenticator
from harness.process import eventually


@pytest.fixture
def gateway(serve, keytab):
    return serve(SESSION + whoami("kerberos") + acceptor(keytab) + authenticator(), KEY=secrets.token_hex(32))


def browser(kdc, folder, allowed):
    ticket = {"KRB5CCNAME": f"FILE:{kdc.login('alice')}"}
    return chromium(folder, f"--auth-server-allowlist={allowed}", **ticket)


def negotiations(gateway):
    return [line for line in gateway.logged(message="decision") if "negotiate http" in line["steps"]]


def test_a_browser_is_logged_in_where_the_server_is_listed(kdc, gateway, tmp_path):
    """Its first request for a page only makes it load the Kerberos library."""
    url = gateway.url.replace("127.0.0.1", "localhost") + "/"
    with browser(kdc, tmp_path, "localhost") as page:
        eventually(lambda: "You are alice" in page.visit(url), "alice is logged in")
        for _ in range(3):
            assert "You are alice" in page.visit(url)
    assert negotiations(gateway)
    assert len(gateway.logged(message="decision", path="/", session=True)) >= 3, "the session carries it on"


def test_a_browser_gives_nothing_to_other_servers(kdc, gateway, tmp_path):
    url = gateway.url.replace("127.0.0.1", "localhost") + "/"
    with browser(kdc, tmp_path, "elsewhere.example") as page:
        for _ in range(3):
            assert "Authentication required" in page.visit(url)
    assert negotiations(gateway) == []
