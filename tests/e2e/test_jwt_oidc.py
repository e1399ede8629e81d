"""Tokens of a real OpenID provider: every algorithm, key rotation, outages, and tokens that must be refused.

Refusals follow RFC 6750: 401 with a `Bearer` challenge, which has an error code only where a token was sent.
"""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.client import basic, bearer
from harness.config import route
from harness.idp import ALGORITHMS, Provider
from harness.process import eventually
from harness.tokens import forge, hmac_with, with_claims, with_signature
from harness.upstream import values

IDENTITY = '[routes.identity]\nattributes = { email = "X-Mail" }'


def config(upstream, issuer, audience, settings=""):
    return f"""
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
groups_claim = "groups"
attributes = {{ email = "email" }}
{settings}
[[authenticators.tokens.settings.issuers]]
issuer = "{issuer}"
audiences = ["{audience}"]
discovery = true
[authenticators.tokens.grants]
http = ["{issuer}"]
""" + route(upstream, "tokens", more=IDENTITY)


def gateway_for(serve, upstream, provider, settings=""):
    return serve(config(upstream, provider.issuer, provider.audience, settings))


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, provider):
    return gateway_for(serve_module, shared_upstream, provider)


def user(gateway, token):
    return values(gateway.send("/", bearer(token)).json(), "x-forwarded-user")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_service_comes_in_with_a_token_of_every_algorithm(gateway, provider, algorithm):
    assert user(gateway, provider.service_token(algorithm)) == [algorithm]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_user_token_gives_name_groups_and_mail(gateway, provider, algorithm):
    seen = gateway.send("/", bearer(provider.user_token("alice", algorithm))).json()
    assert values(seen, "x-forwarded-user") == ["alice"]
    assert values(seen, "x-forwarded-groups") == ["staff,ml"]
    assert values(seen, "x-mail") == ["alice@example.test"]


def test_no_group_passes_for_two(gateway, provider):
    """Groups are joined by commas, so a comma in a group's name is encoded."""
    seen = gateway.send("/", bearer(provider.sign(provider.claims(groups=["staff,admins", "ml"])))).json()
    [groups] = values(seen, "x-forwarded-groups")
    assert groups.split(",") == ["staff%2Cadmins", "ml"]


def test_a_header_for_a_missing_claim_is_never_taken_from_the_client(gateway, provider):
    seen = gateway.send("/", bearer(provider.service_token()) | {"X-Mail": "mallory"}).json()
    assert "mallory" not in str(seen)


def test_the_token_stays_at_the_gateway(gateway, provider):
    token = provider.user_token("alice")
    assert token not in gateway.send("/", bearer(token)).body.decode()
    assert token not in gateway.child.output()


# Refused tokens


def challenge(answer):
    """The one challenge of a refusal, and the refusal's form."""
    assert answer.status == 401
    assert list(answer.json()) == ["error"]
    [value] = answer.all("www-authenticate")
    return value


@pytest.mark.parametrize("headers", [{}, basic("alice"), {"Authorization": ""}])
def test_without_a_token_the_challenge_has_no_error(gateway, upstream, headers):
    value = challenge(gateway.send("/", headers))
    assert value.startswith("Bearer")
    assert "error" not in value
    assert upstream.seen == []


CLAIMS = {
    "another audience": {"aud": "https://other.test"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://other.test"},
    "the issuer with a slash": {"iss": "{issuer}/"},
    "no issuer": {"iss": None},
    "expired": {"exp": 1},
    "no expiry": {"exp": None},
    "an expiry in words": {"exp": "99999999999"},
    "an expiry in a list": {"exp": [99999999999]},
    "a negative expiry": {"exp": -1},
    "not yet": {"nbf": 99999999999},
    "not yet, in words": {"nbf": "99999999999"},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": {"name": "alice"}},
    "a line break in the subject": {"sub": "alice\r\nX-Evil: 1"},
    "a subject of 257 bytes": {"sub": "a" * 257},
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_that_do_not_hold(gateway, provider, upstream, case):
    """Signed by the provider itself, so that nothing but the claim is wrong."""
    changes = {
        name: value.replace("{issuer}", provider.issuer) if isinstance(value, str) else value
        for name, value in CLAIMS[case].items()
    }
    token = provider.sign(provider.claims(**changes))
    assert 'error="invalid_token"' in challenge(gateway.send("/", bearer(token)))
    assert upstream.seen == []


def test_an_expiry_may_have_a_fraction(gateway, provider):
    good = provider.claims()
    assert user(gateway, provider.sign(good | {"exp": good["exp"] + 0.5})) == ["alice"]


def hostile(provider, elsewhere):
    """Tokens whose claims are good, and whose signature or header is not."""
    claims = provider.claims()
    good = provider.sign(claims)
    head = {"alg": "RS256", "kid": "RS256-1", "typ": "at+jwt"}
    hs256 = head | {"alg": "HS256"}
    public = provider.public_key("RS256-1")
    key = jwt.PyJWK(public).key
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own_jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))

    def signed_by_us(**header):
        return jwt.encode(claims, own, algorithm="RS256", headers=head | header)

    def spki(encoding):
        return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    return {
        "no algorithm": forge(head | {"alg": "none"}, claims),
        "no algorithm, in capitals": forge(head | {"alg": "None"}, claims),
        "no algorithm and a signature": forge(head | {"alg": "none"}, claims, lambda _: b"x" * 256),
        "HMAC with the public key as PEM": forge(hs256, claims, hmac_with(spki(Encoding.PEM))),
        "HMAC with the public key as DER": forge(hs256, claims, hmac_with(spki(Encoding.DER))),
        "HMAC with the public key as JWK": forge(hs256, claims, hmac_with(json.dumps(public).encode())),
        "HMAC with the modulus": forge(hs256, claims, hmac_with(public["n"].encode())),
        "HMAC with nothing": forge(hs256, claims, hmac_with(b"")),
        "the RSA key for ECDSA": with_signature(forge(head | {"alg": "ES256"}, claims), b"\1" * 64),
        "the other key's id": with_signature(forge(head | {"kid": "ES256-1"}, claims), b"\1" * 256),
        "no signature": with_signature(good, b""),
        "a cut signature": good[:-8],
        "a changed claim": with_claims(good, claims | {"sub": "root"}),
        "a key of our own under their id": signed_by_us(),
        "a key of our own in the header": signed_by_us(jwk=own_jwk),
        "a key of our own at an address": signed_by_us(jku=f"{elsewhere}/jwks", x5u=f"{elsewhere}/x5u"),
        "a certificate of our own": signed_by_us(x5c=["MIIB"]),
        "an unknown key": signed_by_us(kid="nobody's"),
        "a path for a key": signed_by_us(kid="../../../../dev/null"),
        "a long key id": signed_by_us(kid="k" * 3000),
        "a critical extension": provider.sign(claims, crit=["exp"], exp=1),
        "an unencoded payload": forge(head | {"b64": False, "crit": ["b64"]}, claims, lambda _: b"x" * 256),
        "ECDSA with zeros": forge(head | {"alg": "ES256", "kid": "ES256-1"}, claims, lambda _: b"\0" * 64),
        "ECDSA with a DER signature": forge(
            head | {"alg": "ES256", "kid": "ES256-1"}, claims, lambda _: b"0\6\2\1\1\2\1\1"
        ),
        "ECDSA with a short signature": forge(head | {"alg": "ES256", "kid": "ES256-1"}, claims, lambda _: b"\1" * 63),
        "EdDSA with zeros": forge(head | {"alg": "EdDSA", "kid": "EdDSA-1"}, claims, lambda _: b"\0" * 64),
    }


def test_signatures_and_headers_that_do_not_hold(gateway, provider, upstream):
    tokens = hostile(provider, upstream.url)
    before = provider.hits("/jwks")
    for case, token in tokens.items():
        assert 'error="invalid_' in challenge(gateway.send("/", bearer(token))), case
    assert upstream.seen == [], "neither let in nor asked for a key"
    assert provider.hits("/jwks") - before <= 1


GARBAGE = [
    "garbage",
    "a.b.c",
    "..",
    ".",
    "a.b.c.d.e",
    "e30.e30.",
    "e30.e30.e30",
    "\xff",
    "a b",
    "x" * 20_000,
    "{}",
    "=.=.=",
]


@pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_is_a_401(gateway, upstream, token):
    assert challenge(gateway.send("/", bearer(token))).startswith("Bearer")
    assert upstream.seen == []


def test_two_tokens_are_refused(gateway, provider):
    header = ("Authorization", f"Bearer {provider.user_token('alice')}")
    assert gateway.send("/", [header, header]).status == 401


def test_a_rule_that_a_known_user_breaks_is_a_403(serve, upstream, provider):
    gateway = gateway_for(serve, upstream, provider, 'scopes = ["admin"]')
    answer = gateway.send("/", bearer(provider.user_token("alice")))
    assert answer.status == 403
    assert upstream.seen == []


# Key rotation and outages


def test_a_new_key_is_learnt_while_running(serve, upstream, own_provider):
    gateway = gateway_for(serve, upstream, own_provider, 'min_refresh_interval = "1s"')
    old = own_provider.user_token("carol")
    assert user(gateway, own_provider.user_token("alice")) == ["alice"]
    own_provider.rotate("RS256-2", drop=["RS256-1"])
    new = own_provider.user_token("bob")
    eventually(lambda: gateway.send("/", bearer(new)).status == 200, "the new key is known")
    assert user(gateway, new) == ["bob"]
    assert own_provider.hits("/jwks") == 2
    assert gateway.send("/", bearer(old)).status == 401, "the old key was taken back"


def test_a_flood_of_unknown_keys_is_one_question_to_the_provider(serve, upstream, own_provider):
    gateway = gateway_for(serve, upstream, own_provider)
    assert user(gateway, own_provider.user_token("alice")) == ["alice"]
    for _ in range(50):
        token = forge({"alg": "RS256", "kid": secrets.token_hex(8)}, own_provider.claims(), lambda _: b"x" * 256)
        assert gateway.send("/", bearer(token)).status == 401
    assert own_provider.hits("/jwks") == 1
    assert user(gateway, own_provider.user_token("alice")) == ["alice"]


def test_many_clients_at_once_are_one_question_to_the_provider(serve, upstream, own_provider):
    gateway = gateway_for(serve, upstream, own_provider)
    token = own_provider.user_token("alice")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: gateway.send("/", bearer(token)).status, range(20)))
    assert answers == [200] * 20
    assert own_provider.hits("/jwks") == 1


def test_known_keys_outlast_the_provider(serve, upstream, own_provider):
    gateway = gateway_for(serve, upstream, own_provider)
    tokens = [own_provider.user_token(name) for name in ("alice", "bob")]
    assert user(gateway, tokens[0]) == ["alice"]
    own_provider.stop()
    assert user(gateway, tokens[0]) == ["alice"]
    assert user(gateway, tokens[1]) == ["bob"]


def test_without_a_key_and_a_provider_it_is_a_503(serve, upstream, provider, unreachable):
    issuer = unreachable().url
    gateway = serve(config(upstream, issuer, provider.audience))
    answer = gateway.send("/", bearer(provider.sign(provider.claims(iss=issuer))))
    assert answer.status == 503
    assert upstream.seen == []


def test_a_provider_that_comes_back_is_asked_again(serve, upstream, own_provider, tmp_path):
    gateway = gateway_for(serve, upstream, own_provider, 'min_refresh_interval = "1s"')
    port, audience = own_provider.port, own_provider.audience
    token = own_provider.user_token("alice")
    own_provider.stop()
    assert gateway.send("/", bearer(token)).status == 503
    (tmp_path / "again").mkdir()
    again = Provider(tmp_path / "again", port)
    assert again.audience == audience
    token = again.user_token("alice")
    eventually(lambda: gateway.send("/", bearer(token)).status == 200, "the provider is asked again")
    again.stop()
