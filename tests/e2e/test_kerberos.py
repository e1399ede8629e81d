"""Kerberos: real tickets of a real KDC, in the tokens of real clients."""

import base64
import secrets
import subprocess

import gssapi
import pytest
import requests
from requests_gssapi import HTTPSPNEGOAuth

from harness.config import SESSION, route
from harness.gateway import run
from harness.kdc import ENCTYPES, KRB5, MUTUAL, OTHER_REALM, REALM, SPNEGO
from harness.kerberos import SETTINGS, acceptor, ask, authenticator, is_refused, negotiate, protected, reply
from harness.upstream import values


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, keytab):
    return serve_module(SESSION + protected(keytab, shared_upstream), KEY=secrets.token_hex(32))


def user(answer):
    assert answer.status == 200, (answer.status, answer.body)
    return values(answer.json(), "x-forwarded-user")


@pytest.mark.parametrize("mech", [SPNEGO, KRB5], ids=["spnego", "krb5"])
def test_a_token_identifies_the_user_and_the_reply_authenticates_the_gateway(kdc, gateway, mech):
    client = kdc.initiator(mech=mech)
    answer = ask(gateway, client.step())
    assert user(answer) == ["alice"]
    client.step(reply(answer))
    assert client.complete and client.actual_flags & MUTUAL


def test_a_client_without_mutual_authentication_gets_no_reply(kdc, gateway):
    answer = ask(gateway, kdc.token(mech=KRB5, flags=gssapi.RequirementFlag.integrity))
    assert user(answer) == ["alice"]
    assert answer.all("www-authenticate") == []


@pytest.mark.parametrize("status", [200, 204, 302, 401, 403, 404, 500, 503])
def test_the_reply_is_sent_with_any_response_of_the_upstream(kdc, gateway, status):
    client = kdc.initiator(mech=KRB5)
    answer = ask(gateway, client.step(), f"/status/{status}")
    assert answer.status == status
    client.step(reply(answer))
    assert client.complete


def test_the_reply_is_sent_when_the_upstream_is_unreachable(kdc, serve, keytab, unreachable):
    gateway = serve(protected(keytab, unreachable()))
    client = kdc.initiator()
    answer = ask(gateway, client.step())
    assert answer.status == 502
    client.step(reply(answer))
    assert client.complete


@pytest.mark.parametrize("enctype", ENCTYPES)
def test_every_encryption_type_of_today_will_do(kdc, serve, upstream, tmp_path, enctype):
    host = f"type{enctype}.localhost"
    kdc.add_service(f"HTTP/{host}", enctype)
    keytab = kdc.keytab(tmp_path / "keytab", f"HTTP/{host}")
    client = kdc.initiator(service=f"HTTP@{host}")
    answer = ask(serve(protected(keytab, upstream)), client.step())
    assert user(answer) == ["alice"]
    client.step(reply(answer))
    assert client.complete


def test_a_session_carries_the_user_on(kdc, gateway):
    answer = ask(gateway, kdc.token())
    [(name, value)] = answer.set_cookies().items()
    [cookie] = answer.all("set-cookie")
    lifetime = int(next(part.split("=")[1] for part in cookie.split("; ") if part.startswith("Max-Age=")))
    assert 9 * 3600 < lifetime <= 10 * 3600, "as long as the ticket, which is for ten hours"
    later = gateway.send("/", {"Cookie": f"{name}={value}"})
    assert user(later) == ["alice"]
    assert later.all("www-authenticate") == []


def test_a_session_ends_with_a_shorter_ticket(kdc, gateway):
    cache = kdc.login("alice", "-l", "10m", fresh=True)
    [cookie] = ask(gateway, kdc.token(cache=cache)).all("set-cookie")
    lifetime = int(next(part.split("=")[1] for part in cookie.split("; ") if part.startswith("Max-Age=")))
    assert 500 < lifetime <= 600


def test_without_credentials_the_scheme_is_named(gateway):
    answer = gateway.send("/")
    assert is_refused(answer)


def test_principals_are_mapped_to_users(kdc, serve, upstream, keytab):
    settings = f"""
realms = ["{REALM}"]
strip_realm = "{REALM}"
users = {{ "alice@{OTHER_REALM}" = "alice-from-elsewhere" }}
rules = [{{ principal = '([a-z]+)/admin@{REALM}', user = "$1-admin" }}]
groups = {{ staff = ["alice", "alice-admin"] }}
admins = ["alice-admin"]
"""
    more = '[routes.identity]\nadmin = "X-Admin"\nattributes = { kerberos = { principal = "X-Principal" } }'
    mapped = serve(acceptor(keytab) + authenticator(settings) + route(upstream, "kerberos", more=more))
    plain = serve(protected(keytab, upstream))
    elsewhere = kdc.login("alice", realm=OTHER_REALM)
    for cache, who, groups, admin, unmapped in [
        (kdc.login("alice"), "alice", ["staff"], "false", True),
        (kdc.login("bob"), "bob", [""], "false", True),
        (kdc.login("alice/admin"), "alice-admin", ["staff"], "true", False),
        (elsewhere, "alice-from-elsewhere", [""], "false", False),
    ]:
        seen = ask(mapped, kdc.token(cache=cache)).json()
        assert values(seen, "x-forwarded-user") == [who]
        assert values(seen, "x-admin") == [admin]
        assert (values(seen, "x-forwarded-groups") or [""]) == groups
        assert "@" in values(seen, "x-principal")[0]
        answer = ask(plain, kdc.token(cache=cache))
        assert user(answer) == [who] if unmapped else is_refused(answer), who


def test_a_service_principal_must_be_mapped_explicitly(kdc, serve, upstream, keytab, tmp_path):
    own = kdc.keytab(tmp_path / "own.keytab", "HTTP/other.localhost")
    cache = kdc.login("HTTP/other.localhost", "-k", "-t", own)
    assert is_refused(ask(serve(protected(keytab, upstream)), kdc.token(cache=cache)))
    settings = SETTINGS + f'users = {{ "HTTP/other.localhost@{REALM}" = "the-other" }}\n'
    named = serve(acceptor(keytab) + authenticator(settings) + route(upstream, "kerberos"))
    assert user(ask(named, kdc.token(cache=cache))) == ["the-other"]


# Clients


def test_curl_negotiates(kdc, gateway):
    url = gateway.url.replace("127.0.0.1", "localhost")
    for command, user_sent in [
        (["curl", "--negotiate", "-u", ":", "-sS", "-D", "-", url], "alice"),
        (["curl", "-sS", "-D", "-", url], None),
    ]:
        environment = kdc.environment | {"KRB5CCNAME": f"FILE:{kdc.login('alice')}", "PATH": "/usr/bin"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        assert (f'"x-forwarded-user", "{user_sent}"' in done.stdout) == (user_sent is not None), done.stdout
        assert ("HTTP/1.1 401" in done.stdout) == (user_sent is None)


def test_requests_negotiates_once(kdc, gateway, upstream):
    """With mutual authentication required: the library checks the reply, on an error, too."""
    url = gateway.url.replace("127.0.0.1", "localhost")
    credentials = gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{kdc.login('alice')}"})
    with requests.Session() as session:
        session.trust_env = False
        auth = HTTPSPNEGOAuth(creds=credentials, mutual_authentication="REQUIRED")
        assert values(session.get(url, auth=auth).json(), "x-forwarded-user") == ["alice"]
        assert session.get(f"{url}/status/404", auth=auth).text == "the upstream's own words"
        session.auth = None
        answer = session.get(url)
        assert values(answer.json(), "x-forwarded-user") == ["alice"], "by the session cookie"
        assert answer.history == []


# Operators


def test_explain_shows_what_was_asked_and_no_token(kdc, keytab, tmp_path, upstream):
    header = "Authorization: " + negotiate(kdc.token())["Authorization"]
    config = protected(keytab, upstream, replay_cache=tmp_path / "replay")
    done = run("explain", "GET", "http://localhost/", "-H", header, folder=tmp_path, config=config)
    assert done.returncode == 0, done.stderr
    assert "asked negotiate http: accepted" in done.stdout, done.stdout
    assert 'grants user "alice"' in done.stdout
    assert base64.b64encode(kdc.token())[:40].decode() not in done.stdout + done.stderr
    again = run("explain", "GET", "http://localhost/", "-H", header, folder=tmp_path, config=config)
    assert "asked negotiate http: rejected" in again.stdout, again.stdout


def test_the_audit_line_shows_that_it_was_asked(kdc, gateway):
    ask(gateway, kdc.token(), "/audited")
    [line] = gateway.logged(message="decision", path="/audited")
    assert "negotiate http" in line["steps"], line
