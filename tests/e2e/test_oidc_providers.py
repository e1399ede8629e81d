"""Two OpenID providers side by side, each with a login of its own: on one route, for users who choose, and who have the same names."""

import secrets

import pytest

from harness.browser import BEHIND_PROXY, LOGIN, ORIGIN
from harness.config import SESSION, route
from harness.idp import Provider
from harness.oidc_login import Person, back_channel, client, oidc, secret_of, start_of
from harness.process import eventually

LOGINS = ["science", "industry"]
CHOICE = f"{ORIGIN}/.portcullis/login?to=%2Fdeep%3Fx%3Dy"


@pytest.fixture(scope="module")
def providers(tmp_path_factory):
    running = {login: Provider(tmp_path_factory.mktemp(login)) for login in LOGINS}
    yield running
    for provider in running.values():
        provider.stop()


@pytest.fixture(scope="module")
def gateway(serve_module, providers, shared_upstream):
    logins = "".join(oidc(provider, f'user_prefix = "{login}-"', login=login) for login, provider in providers.items())
    config = SESSION + LOGIN + logins + route(shared_upstream, *LOGINS)
    running = serve_module(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET=secret_of("web"))
    for login, provider in providers.items():
        provider.logins(client(login=login, **back_channel(login, session=False)), gateway=running.url)
    return running


@pytest.fixture
def alices(gateway, providers):
    """A user of each provider. Both are alice there."""
    return {login: Person(gateway, provider, login=login) for login, provider in providers.items()}


def choose(browser, login):
    """Opens a page, and follows the link of a login on the page to which the browser is sent."""
    sent = browser.open("/deep?x=y")
    assert (sent.status, sent.header("location")) == (302, CHOICE)
    link = f"{start_of(login)}?to=%2Fdeep%3Fx%3Dy"
    assert f'<a href="{link}">{login}</a>' in browser.open(CHOICE).body.decode()
    return link


def test_people_choose_where_they_log_in(alices):
    for login, alice in alices.items():
        back = alice.go_on(choose(alice.browser, login))
        assert (back.status, back.header("location")) == (303, f"{ORIGIN}/deep?x=y")
        assert alice.user() == [f"{login}-alice"]


def test_a_logout_at_one_provider_ends_no_session_of_the_other(gateway, alices):
    """Though both providers name the same subject, and their notices nothing else."""
    for login, alice in alices.items():
        alice.go_on(choose(alice.browser, login))
    alices["science"].log_out_of_provider()
    [notice] = eventually(lambda: gateway.logged(message="login", step="notice"), "the provider has told the gateway")
    assert (notice["login"], notice["outcome"], notice["why"]) == ("science", "ended", "sub:alice")
    assert alices["science"].browser.open("/").status == 302
    assert alices["industry"].user() == ["industry-alice"]


def test_an_answer_of_one_provider_is_none_of_the_other(gateway, providers, alices):
    """A mix-up (RFC 9700, section 4.4): no code goes to a provider that hasn't given it."""
    victim = alices["science"]
    victim.leave(choose(victim.browser, "science"))
    before = {login: provider.hits("/token") for login, provider in providers.items()}
    elsewhere = victim.back.replace(start_of("science"), start_of("industry"))
    assert victim.browser.open(elsewhere).status == 400
    wrong = victim.back.replace("iss=", f"iss={providers['industry'].issuer}&x=")
    assert victim.browser.open(wrong).status == 401
    assert victim.browser.session is None
    assert {login: provider.hits("/token") for login, provider in providers.items()} == before
