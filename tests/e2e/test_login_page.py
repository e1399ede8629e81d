"""The walk of `docs/login.md`: a client at the provider with the addresses of its table, and its configuration. Nothing of either is
replaced but addresses, the port and the files of the certificate."""

import re
import ssl
import textwrap

import pytest

from harness import client
from harness.browser import Browser, user
from harness.gateway import Gateway, run
from harness.idp import Provider
from harness.oidc_login import Person, secret_of
from harness.page import replaced
from harness.paths import ROOT

PAGE = (ROOT / "docs" / "login.md").read_text()
[CONFIG] = [textwrap.dedent(block) for block in re.findall(r"(?ms)^   ```toml\n(.*?)^   ```", PAGE)]
AT_PROVIDER = dict(re.findall(r"(?m)^   \| (\w[^|]+) \| `(https://[^`]+)` \|$", PAGE))


class Tls:
    """The way to a gateway that ends TLS itself."""

    def __init__(self, gateway, ca):
        self.url = gateway.url.replace("http:", "https:")
        self.context = ssl.create_default_context(cafile=ca)

    def send(self, target, headers, method, body):
        return client.send(self.url, target, headers, method, body, self.context)


@pytest.fixture(scope="module")
def provider(tmp_path_factory, authority):
    running = Provider(tmp_path_factory.mktemp("idp"), ca=authority.ca)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def configured(tmp_path_factory, provider, authority, shared_upstream):
    """The configuration in a folder of its own, with the secret where the page puts it."""
    folder = tmp_path_factory.mktemp("page")
    cert, key = authority.issue("app.example")
    secret = folder / "secrets" / "keycloak"
    secret.parent.mkdir()
    secret.touch(mode=0o600)
    secret.write_text(secret_of("gateway") + "\n")
    addresses = {
        "0.0.0.0:443": "127.0.0.1:0",
        "tls/fullchain.pem": cert,
        "tls/privkey.pem": key,
        "https://id.example.org/realms/science/protocol/openid-connect": provider.issuer,
        "https://id.example.org/realms/science": provider.issuer,
        "https://id.example.org": provider.issuer,
        "http://127.0.0.1:8001": shared_upstream.url,
    }
    return folder, replaced(CONFIG, addresses)


def test_the_configuration_passes_the_check_of_the_page(configured):
    folder, text = configured
    checked = run("check", folder=folder, config=text)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr


@pytest.fixture(scope="module")
def gateway(configured, provider):
    folder, text = configured
    running = Gateway(folder, text)
    registered = {
        "client_id": "gateway",
        "client_secret": secret_of("gateway"),
        "redirect_uris": [AT_PROVIDER["Valid redirect URIs"]],
        "post_logout_redirect_uris": [AT_PROVIDER["Valid post logout redirect URIs"]],
        "backchannel_logout_uri": AT_PROVIDER["Backchannel logout URL"],
    }
    provider.logins(registered, gateway=running.url.replace("http:", "https:"))
    yield running
    print(running.child.output()[-8000:])
    running.stop()


@pytest.fixture
def alice(gateway, provider, authority):
    browser = Browser(Tls(gateway, authority.ca), host="app.example")
    return Person(gateway, provider, login="keycloak", browser=browser)


def test_people_log_in_and_out(alice, provider):
    assert alice.log_in("/deep?link=1").header("location") == "https://app.example/deep?link=1"
    assert user(alice.browser.open("/deep?link=1")) == ["alice"]
    place = alice.browser.post("/.portcullis/logout").header("refresh").removeprefix("0; url=")
    landed = provider.log_out(alice.at_provider, place)
    assert landed == AT_PROVIDER["Valid post logout redirect URIs"]
    assert b"You are signed out" in alice.browser.open(landed).body
    assert alice.browser.open("/").status == 302


def test_a_logout_at_the_provider_ends_the_session(alice, gateway):
    alice.log_in()
    assert user(alice.browser.open("/")) == ["alice"]
    alice.log_out_of_provider()
    assert alice.browser.open("/").status == 302
    assert gateway.logged(message="login", step="notice", outcome="ended")
