"""What an upstream can verify of a user: the signed assertion with its public keys, and headers made of templates."""

import json

import jwt
import pytest

from harness import client
from harness.client import ALICE, basic
from harness.config import PEOPLE, SESSION, route, tokens, whoami
from harness.fronts import subrequest
from harness.gateway import run
from harness.upstream import values

AUDIENCE = "https://app.example"
ASSERTION = f'[routes.identity]\nassertion = {{ audience = "{AUDIENCE}" }}\n'
HEADER = "x-portcullis-assertion"
KEY = "00112233" * 8
OTHER = "44556677" * 8


def asserting(upstream, more=""):
    return PEOPLE + route(upstream, "people", more=ASSERTION) + route(upstream, "people", path="/plain") + more


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(asserting(shared_upstream, whoami(path="/page")))


def keys(gateway):
    answer = gateway.send("/.portcullis/jwks.json")
    assert (answer.status, answer.header("content-type")) == (200, "application/jwk-set+json")
    return answer.json()["keys"]


def verified(assertion, keys, audience=AUDIENCE, issuer="portcullis"):
    """The claims, as an upstream reads them. Its library raises what is wrong."""
    kid = jwt.get_unverified_header(assertion)["kid"]
    [key] = [jwt.PyJWK(key) for key in keys if key["kid"] == kid]
    required = {"require": ["iss", "aud", "sub", "iat", "exp"]}
    return jwt.decode(assertion, key, ["ES256"], audience=audience, issuer=issuer, options=required)


def asserted(gateway, upstream, headers=ALICE, target="/"):
    """The assertions that the upstream gets with a request."""
    upstream.forget()
    assert gateway.send(target, headers).status == 200
    [seen] = upstream.seen
    return values(seen, HEADER)


def test_an_upstream_verifies_who_the_user_is(gateway, upstream):
    [assertion] = asserted(gateway, upstream)
    claims = verified(assertion, keys(gateway))
    assert claims["exp"] - claims["iat"] == 60
    facts = {name: claims[name] for name in ("sub", "groups", "admin", "authenticator")}
    assert facts == {"sub": "alice", "groups": [], "admin": False, "authenticator": "people"}
    with pytest.raises(jwt.InvalidAudienceError):
        verified(assertion, keys(gateway), audience="https://other.example")
    head, claims, signature = assertion.split(".")
    [other] = asserted(gateway, upstream, basic("bob"))
    with pytest.raises(jwt.InvalidSignatureError):
        verified(".".join([head, other.split(".")[1], signature]), keys(gateway))


@pytest.mark.parametrize("target", ["/", "/plain"])
@pytest.mark.parametrize("spelling", ["X-Portcullis-Assertion", "x_portcullis_assertion"])
def test_a_client_cannot_bring_an_assertion(gateway, upstream, target, spelling):
    [own] = asserted(gateway, upstream)
    upstream.forget()
    assert gateway.send(target, ALICE | {spelling: own}).status == 200
    [seen] = upstream.seen
    arrived = values(seen, "X-Portcullis-Assertion") + values(seen, "x_portcullis_assertion")
    assert len(arrived) == (1 if target == "/" else 0), "only what the gateway itself says"


def test_the_keys_are_public_and_may_be_kept(gateway):
    answer = gateway.send("/.portcullis/jwks.json")
    assert answer.header("cache-control") == "public, max-age=3600"
    assert answer.header("access-control-allow-origin") == "*"
    listed = answer.json()["keys"]
    assert len({key["kid"] for key in listed}) == 3, "those of the last, this and the next day"
    assert all(set(key) == {"alg", "crv", "kid", "kty", "use", "x", "y"} for key in listed), "nothing private"
    assert gateway.send("/.portcullis/jwks.json", method="HEAD").body == b""
    assert gateway.send("/.portcullis/jwks.json", method="POST").status == 405


def test_a_key_of_the_sessions_is_replaced_in_one_gateway_after_the_other(serve, upstream):
    def started(*names):
        listed = ", ".join(f'"env:{name}"' for name in names)
        return serve(f"[session]\nkeys = [{listed}]\n" + asserting(upstream), OLD=KEY, NEW=OTHER)

    old, both, new = started("OLD"), started("OLD", "NEW"), started("NEW", "OLD")
    for signer, verifier in [(old, both), (both, old), (both, new), (new, both)]:
        [assertion] = asserted(signer, upstream)
        assert verified(assertion, keys(verifier))["sub"] == "alice"
    [assertion] = asserted(new, upstream)
    assert jwt.get_unverified_header(assertion)["kid"] not in {key["kid"] for key in keys(old)}


def test_a_restart_keeps_the_keys_that_nobody_has_configured(serve, upstream, tmp_path):
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}
    first = serve(asserting(upstream), **state)
    known = keys(first)
    first.stop()
    assert keys(serve(asserting(upstream), **state)) == known


def test_the_issuer_and_the_times_are_configured(serve, upstream):
    section = '[assertion]\nissuer = "https://gate.example"\nlifetime = "5m"\nrotation = "1h"\n'
    gateway = serve(section + asserting(upstream))
    [assertion] = asserted(gateway, upstream)
    claims = verified(assertion, keys(gateway), issuer="https://gate.example")
    assert claims["exp"] - claims["iat"] == 300


def test_an_assertion_has_what_the_headers_of_the_route_carry(serve, upstream, provider):
    more = f"""[routes.identity]
groups_filter = ["staff", "dask-*"]
attributes = {{ email = "X-Email" }}
assertion = {{ audience = "{AUDIENCE}", header = "X-Who" }}
headers = {{ "X-Remote" = "{{user:url}}/{{groups}}", "X-None" = "{{attributes.nothing}}", "X-Fixed" = "{{{{a}}}}" }}
"""
    config = tokens(provider).replace("[authenticators.tokens.settings]", '[authenticators.tokens.settings]\ngroups_claim = "groups"')
    config = config.replace('groups_claim = "groups"', 'groups_claim = "groups"\nattributes = { email = "email" }')
    gateway = serve(config + route(upstream, "tokens", more=more))
    token = provider.sign(provider.claims(sub="m üller", groups=["staff", "dask-x", "other"], email="m@example.org"))
    assert gateway.send("/", client.bearer(token)).status == 200
    [seen] = upstream.seen
    [assertion] = values(seen, "x-who")
    claims = verified(assertion, keys(gateway))
    assert (claims["sub"], claims["groups"]) == ("m üller", ["staff", "dask-x"])
    assert claims["attributes"] == {"email": "m@example.org"}
    assert values(seen, "x-remote") == ["m%20%C3%BCller/staff,dask-x"]
    assert values(seen, "x-fixed") == ["{a}"]
    assert values(seen, "x-none") == []


def test_a_program_of_a_user_gets_no_assertion_of_another(serve, upstream):
    more = 'authorize_with = "GET /status/{1}"\n' + ASSERTION
    gateway = serve(PEOPLE + route(upstream, "people", path="/owned", more=more))
    assert gateway.send("/owned/200/page", ALICE).status == 200
    asked, forwarded = upstream.seen
    assert (asked["target"], len(values(asked, HEADER))) == ("/status/200", 1)
    assert values(forwarded, HEADER) == []


def test_a_front_sets_the_assertion(serve, upstream):
    gateway = serve("[forward_auth]\n" + asserting(upstream), server='trusted_proxies = ["127.0.0.1"]\n')
    answer = gateway.send("/.portcullis/auth/traefik", ALICE | subrequest("/"))
    assert answer.status == 200
    assert verified(answer.header(HEADER), keys(gateway))["sub"] == "alice"
    assert answer.header("x-forwarded-user") == "alice"


def test_explain_shows_no_assertion_that_counts(tmp_path, upstream):
    done = run("explain", "GET", "http://x/", "-H", f"Authorization: {ALICE['Authorization']}", folder=tmp_path, config=asserting(upstream))
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if HEADER in line.lower()]
    assert "eyJ" not in line


def test_without_assertions_there_are_no_keys(serve, upstream):
    gateway = serve(SESSION + PEOPLE + route(upstream, "people"), KEY=KEY)
    assert gateway.send("/.portcullis/jwks.json").status == 404


MISTAKES = {
    "assertion = {}": "routes[0].identity.assertion: the key \"audience\" is missing",
    'assertion = { audience = "a b" }': "routes[0].identity.assertion.audience: \"a b\" is not a name or a URL",
    'assertion = { audience = "a", header = "Cookie" }': "routes[0].identity.assertion.header: cookie has another meaning",
    'assertion = { audience = "a", header = "X-Forwarded-User" }': "the header x-forwarded-user is used twice",
    'headers = { "X-A" = "{name}" }': "routes[0].identity.headers.X-A: {name} is unknown",
    'headers = { "X-A" = "{user" }': "routes[0].identity.headers.X-A: a { has no }",
    'headers = { "Host" = "{user}" }': "routes[0].identity.headers.Host: host has another meaning",
    'headers = { "X-Forwarded-User" = "{user}" }': "the header x-forwarded-user is used twice",
    'headers = { "X-A" = "{authorizers.a.b}" }': "identity.headers.x-a: the route has no authorizer a",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_check_finds_mistakes(tmp_path, upstream, line):
    config = PEOPLE + route(upstream, "people", more=f"[routes.identity]\n{line}\n")
    done = run("check", folder=tmp_path, config=config)
    assert done.returncode == 1
    assert MISTAKES[line] in done.stdout + done.stderr


def test_a_public_route_has_nobody_to_assert(tmp_path, upstream):
    config = route(upstream, more="public = true\n" + ASSERTION)
    done = run("check", folder=tmp_path, config=config)
    assert "identity.assertion needs a user, and a public route has none" in done.stdout + done.stderr


def test_the_log_has_no_assertion(gateway, upstream):
    [assertion] = asserted(gateway, upstream)
    assert assertion not in json.dumps(gateway.log())
