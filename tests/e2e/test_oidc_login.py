"""People log in at a real OpenID provider (oidc-provider): with PKCE, nonce and `iss`, renewed in silence or by refresh tokens, and
until either side logs them out."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from harness.browser import BEHIND_PROXY, LOGIN, ORIGIN, Browser, user
from harness.chromium import chromium
from harness.config import SESSION, route, whoami
from harness.gateway import ADMIN
from harness.idp import Provider
from harness.oidc_login import Person, back_channel, client, oidc, secret_of, start, start_of
from harness.process import eventually
from harness.upstream import values

START = start_of()
CALLBACK = f"{ORIGIN}{START}/callback"


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """A provider of this module's own, which knows its clients."""
    running = Provider(tmp_path_factory.mktemp("idp"))
    running.logins(client())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gateway(serve_module, provider, shared_upstream):
    return start(serve_module, provider, shared_upstream)


@pytest.fixture
def alice(gateway, provider):
    return Person(gateway, provider)


def test_a_user_of_the_provider_comes_back_to_the_deep_link(alice):
    back = alice.log_in("/a?b=c&d=e")
    assert (back.status, back.header("location")) == (303, f"{ORIGIN}/a?b=c&d=e")
    seen = alice.browser.open("/a").json()
    assert values(seen, "x-forwarded-user") == ["alice"]
    assert values(seen, "x-forwarded-groups") == ["staff,ml"]
    asked = {name: value for name, [value] in parse_qs(urlsplit(alice.asked).query).items()}
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43 and len(asked["nonce"]) >= 22 and asked["redirect_uri"] == CALLBACK
    assert "response_mode" not in asked
    answered = parse_qs(urlsplit(alice.back).query)
    assert answered["iss"] == [alice.provider.issuer]


def test_no_secret_of_a_login_is_in_the_log(serve, provider, upstream):
    """Attack 33, on the level of those who look for mistakes."""
    provider.logins(client(), client("fresh"))
    gateway = start(serve, provider, upstream, "refresh_tokens = true", name="fresh", PORTCULLIS_LOG="debug")
    alice = Person(gateway, provider)
    alice.log_in("/")
    exchanged = provider.exchange()
    secret = {name: exchanged[name] for name in ("code", "code_verifier", "id_token", "access_token", "refresh_token")}
    secret |= {name: value for name, [value] in parse_qs(urlsplit(alice.asked).query).items() if name in ("state", "nonce")}
    secret |= {"client_secret": secret_of("fresh"), "session": alice.browser.session}
    assert len(secret["code_verifier"]) >= 43 and len(secret) == 9 and gateway.logged(level="DEBUG")
    log = gateway.child.output()
    assert [name for name, value in secret.items() if value in log] == []


LIES = {
    "another issuer": ("iss=", "iss=https://evil.example&x=", 401),
    "no issuer, which the metadata promises": ("iss=", "x=", 401),
    "another code": ("code=", "code=x", 401),
    "an error": ("code=", "error=access_denied&x=", 401),
    "a code and another state": ("state=", "state=" + "a" * 22 + "&x=", 400),
}
"""What is put in place of what, and the answer: 400 if it is no attempt of this browser, and 401 if it is one that failed."""


@pytest.mark.parametrize("lie", LIES)
def test_a_callback_that_lies_logs_nobody_in(alice, provider, lie):
    place = alice.browser.open("/").header("location")
    url = alice.browser.open(place).header("location")
    old, new, status = LIES[lie]
    back = provider.authorize(alice.at_provider, url, CALLBACK, "alice").replace(old, new)
    before = provider.hits("/token")
    answer = alice.browser.open(back)
    assert answer.status == status and alice.browser.session is None
    assert provider.hits("/token") == before + (lie == "another code")


def test_a_code_of_another_attempt_is_refused(gateway, provider):
    """The verifier and the nonce belong to the attempt (RFC 9700, section 4.5)."""
    victim, attacker = Person(gateway, provider), Person(gateway, provider, "mallory")
    place = attacker.browser.open("/").header("location")
    theirs = attacker.browser.open(place).header("location")
    code = parse_qs(urlsplit(provider.authorize(attacker.at_provider, theirs, CALLBACK, "mallory")).query)["code"][0]
    own = parse_qs(urlsplit(victim.browser.open(victim.browser.open("/").header("location")).header("location")).query)["state"][0]
    answer = victim.browser.open(f"{START}/callback?code={code}&state={own}&iss={provider.issuer}")
    assert answer.status == 401 and victim.browser.session is None


def test_a_login_takes_as_many_messages_as_the_page_says(serve, provider, upstream):
    """"Sessions" of docs/login.md."""
    places = ["/.well-known/openid-configuration", "/jwks", "/token"]
    asked = lambda: [provider.hits(place) for place in places]  # noqa: E731
    before = asked()
    gateway = start(serve, provider, upstream)
    for expected in [[1, 1, 1], [0, 0, 1]]:
        alice = Person(gateway, provider)
        sent = alice.browser.open("/")
        begun = alice.browser.open(sent.header("location"))
        back = alice.browser.open(provider.authorize(alice.at_provider, begun.header("location"), CALLBACK, "alice"))
        assert (sent.status, begun.status, back.status) == (302, 303, 303)
        assert alice.browser.open("/").status == 200
        assert [now - then for now, then in zip(asked(), before, strict=True)] == expected
        before = asked()


def test_a_session_is_renewed_in_silence(serve, provider, upstream):
    gateway = start(serve, provider, upstream, 'valid_for = "1s"')
    alice = Person(gateway, provider)
    alice.log_in("/")
    before = alice.browser.session

    def due():
        answer = alice.browser.open("/work?x=y")
        return answer if answer.status == 302 else None

    sent = eventually(due, "the session is due")
    assert "silent=1" in sent.header("location")
    back = alice.go_on(sent.header("location"))
    assert "prompt=none" in alice.asked
    assert (back.status, back.header("location")) == (303, f"{ORIGIN}/work?x=y")
    assert alice.browser.session != before


def test_who_has_logged_out_at_the_provider_is_asked_again(serve, provider, upstream):
    gateway = start(serve, provider, upstream, 'valid_for = "1s"')
    alice = Person(gateway, provider)
    alice.log_in("/")
    alice.at_provider.cookies.clear()
    sent = eventually(lambda: (answer := alice.browser.open("/work")).status == 302 and answer, "the session is due")
    asks = alice.go_on(sent.header("location"))
    assert asks.status == 303 and "silent" not in asks.header("location")
    assert alice.go_on(asks.header("location")).status == 303
    assert alice.user() == ["alice"]


def test_a_session_is_renewed_by_a_refresh_token(serve, provider, upstream):
    """Without a browser, and once for all requests: the provider gives a new token each time, and if one is used again, none counts any more."""
    provider.logins(client(), client("fresh"))
    patient = '[authenticators.oidc.limits]\ndeadline = "20s"\n'
    settings = ('valid_for = "1s"', "refresh_tokens = true", 'timeout = "15s"')
    gateway = start(serve, provider, upstream, *settings, name="fresh", more=ADMIN + patient)
    alice = Person(gateway, provider)
    alice.log_in("/")
    for _ in range(2):
        alice.browser.until_due()
        before = provider.hits("/token refresh_token")
        tabs = [alice.browser.copy() for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            with provider.holding("/token"):
                answers = pool.map(lambda tab: user(tab.open("/")), tabs)
                eventually(lambda: gateway.metric("portcullis_connections", listener="server") == 8, "all have asked")
            assert list(answers) == [["alice"]] * 8
        assert provider.hits("/token refresh_token") == before + 1
        assert {tab.session for tab in tabs} != {alice.browser.session}
        alice.browser = tabs[0]


@pytest.mark.parametrize("refresh_tokens", ["true", "false"])
def test_a_change_of_groups_at_the_provider_is_seen_at_the_next_renewal(serve, provider, upstream, refresh_tokens):
    """By a refresh token, and by the browser in silence."""
    provider.logins(client(), client("fresh"))
    provider.groups("carol", "staff", "ml")
    gateway = start(serve, provider, upstream, 'valid_for = "1s"', f"refresh_tokens = {refresh_tokens}", name="fresh")
    carol = Person(gateway, provider, "carol")
    carol.log_in("/")
    provider.groups("carol", "guests")
    carol.browser.until_due()
    answer = carol.browser.open("/")
    if answer.status == 302:
        carol.go_on(answer.header("location"))
        answer = carol.browser.open("/")
    assert (user(answer), values(answer.json(), "x-forwarded-groups")) == (["carol"], ["guests"])
    [renewal] = [line for line in gateway.logged(message="decision") if "session_renewal" in line]
    assert renewal["session_renewal"] == ("renewed" if refresh_tokens == "true" else "silent")


def test_rp_initiated_logout_ends_both_sessions(alice, provider):
    alice.log_in("/")
    answer = alice.browser.post("/.portcullis/logout")
    place = answer.header("refresh").removeprefix("0; url=")
    asked = parse_qs(urlsplit(place).query)
    back = f"{ORIGIN}{START}/signed-out"
    assert asked["post_logout_redirect_uri"] == [back] and asked["client_id"] == ["web"]
    assert provider.log_out(alice.at_provider, place) == back
    assert b"You are signed out" in alice.browser.open(back).body
    assert alice.browser.session is None
    away = alice.browser.open(alice.browser.open("/").header("location")).header("location")
    assert 'name="password"' in alice.at_provider.get(away).text, "the provider asks who it is"


def test_back_channel_logout_ends_the_session_at_once(serve, provider, upstream):
    gateway = start(serve, provider, upstream, name="channel")
    provider.logins(client(), client("channel", **back_channel()), gateway=gateway.url)
    alice, bob = Person(gateway, provider), Person(gateway, provider, "bob")
    alice.log_in("/")
    bob.log_in("/")
    alice.log_out_of_provider()
    eventually(lambda: alice.browser.open("/").status == 302, "the provider has told the gateway")
    assert bob.user() == ["bob"]
    assert gateway.logged(message="login", step="notice", outcome="ended")


def test_pushed_requests_show_nothing_in_the_address(serve, provider, upstream):
    provider.logins(client(), require_pushed=True)
    try:
        gateway = start(serve, provider, upstream)
        alice = Person(gateway, provider)
        assert alice.log_in("/").status == 303
        assert set(parse_qs(urlsplit(alice.asked).query)) == {"client_id", "request_uri"}
        assert alice.user() == ["alice"]
    finally:
        provider.logins(client())


def test_keys_that_change_between_start_and_callback(serve, provider, upstream):
    alice = Person(start(serve, provider, upstream), provider)
    place = alice.browser.open("/").header("location")
    url = alice.browser.open(place).header("location")
    provider.rotate("RS256-2", drop=["RS256-1"])
    back = provider.authorize(alice.at_provider, url, CALLBACK, "alice")
    assert alice.browser.open(back).status == 303
    assert alice.user() == ["alice"]


def test_a_key_says_who_the_gateway_is(serve, provider, upstream, tmp_path):
    """`private_key_jwt`: the plugin signs with a key that it never sees, and the provider knows no secret."""
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "client.pem"
    file.touch(mode=0o600)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    signing = client("signing", token_endpoint_auth_method="private_key_jwt", jwks={"keys": [public | {"kid": "one"}]})
    provider.logins(client(), {name: value for name, value in signing.items() if name != "client_secret"})
    settings = ('signing_key = "client"', 'signing_algorithm = "ES256"', 'signing_key_id = "one"')
    config = oidc(provider, *settings, name="signing").replace('client_secret = "env:SECRET"\n', "")
    config += f'signing = {{ client = "file:{file}" }}\n'
    gateway = serve(SESSION + LOGIN + config + route(upstream, "oidc"), server=BEHIND_PROXY, KEY=secrets.token_hex(32))
    alice = Person(gateway, provider)
    assert alice.log_in("/").status == 303
    assert alice.user() == ["alice"]


def test_a_wrong_secret_is_the_operators_mistake(serve, provider, upstream):
    config = SESSION + LOGIN + oidc(provider) + route(upstream, "oidc")
    gateway = serve(config, server=BEHIND_PROXY, KEY=secrets.token_hex(32), SECRET="wrong")
    alice = Person(gateway, provider)
    assert alice.log_in("/").status == 503
    assert "invalid_client" in gateway.logged(message="a login could not answer")[-1]["why"]


def test_a_provider_that_is_down_is_told(serve, tmp_path, upstream):
    gone = Provider(tmp_path)
    gateway = start(serve, gone, upstream)
    gone.stop()
    browser = Browser(gateway)
    answer = browser.open(browser.open("/").header("location"))
    assert answer.status == 503 and b"just now" in answer.body and browser.flows == []
    [warning] = gateway.logged(level="WARN", message="a login could not answer", request_id=answer.header("x-request-id"))
    assert (warning["login"], warning["step"]) == ("oidc", "begin")
    assert warning["why"] == f"can't decide: {gone.issuer}/.well-known/openid-configuration: the server can't be reached: it refuses the connection"


def test_chromium_logs_in_in_two_tabs_works_on_and_logs_out(serve, provider, authority, tmp_path):
    cert, key = authority.issue("gateway.example")
    config = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n' + SESSION + LOGIN + oidc(provider, 'valid_for = "2s"') + whoami("oidc")
    gateway = serve(config, KEY=secrets.token_hex(32), SECRET=secret_of("web"))
    options = [f"--host-resolver-rules=MAP gateway.example {gateway.url.removeprefix('http://')}", "--ignore-certificate-errors"]
    with chromium(tmp_path, *options) as page, page.tab() as other:
        form = "document.querySelector('input[name=login]') != null"
        page.go(f"{ORIGIN}/deep?link=1")
        page.until(form)
        other.go(f"{ORIGIN}/second")
        other.until(form)
        page.run("document.querySelector('input[name=login]').value = 'alice'")
        page.run("document.querySelector('input[name=password]').value = 'x'")
        page.run("document.querySelector('form').submit()")
        page.until("document.querySelector('input[name=prompt][value=consent]') != null")
        page.run("document.querySelector('form').submit()")
        assert "You are alice" in page.until("location.host == 'gateway.example' && document.body.innerText")
        assert page.run("location.pathname + location.search") == "/deep?link=1"
        # The form of the other tab is old; its user just opens the page again.
        other.go(f"{ORIGIN}/second")
        assert "You are alice" in other.until("location.pathname == '/second' && document.body.innerText")
        # The session is due while the user works, and nothing is asked.
        begun = len(gateway.logged(message="login", step="begin"))

        def works_on():
            page.go(f"{ORIGIN}/work?on={len(gateway.logged(message='login'))}")
            assert "You are alice" in page.until("location.pathname == '/work' && document.body.innerText")
            return len(gateway.logged(message="login", step="begin")) > begun

        eventually(works_on, "the browser goes to the provider and back")
        page.run("history.back()")
        assert "You are alice" in page.until("location.host == 'gateway.example' && document.body.innerText")
        page.go(f"{ORIGIN}/.portcullis/logout")
        page.until("location.pathname == '/.portcullis/logout' && document.querySelector('button') != null")
        page.run("document.querySelector('button').click()")
        page.until("location.href.startsWith('%s')" % provider.issuer)
        page.until("document.querySelector('button[name=logout]') != null")
        page.run("document.querySelector('button[name=logout]').click()")
        assert "You are signed out" in page.until(f"location.pathname == '{START}/signed-out' && document.body.innerText")
        assert gateway.logged(message="login", outcome="logged_out")
