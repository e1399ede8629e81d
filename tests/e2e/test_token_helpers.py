"""The helper modules of all languages decide about tokens as the built-in `jwt` does: one table for all.

The table is `tests/data/tokens.toml`. The components are those of `examples/`.
"""

import json
import re
import time
import tomllib
from functools import cache
from urllib.parse import quote

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness import build
from harness.gateway import run
from harness.paths import TESTS
from harness.tokens import encode, hmac_with

ISSUER, AUDIENCE = "https://issuer.test", "https://api.test"
TABLE = tomllib.loads((TESTS / "data/tokens.toml").read_text())["cases"]


@cache
def keys():
    """The private keys by their ids. `rsa-256` and `rsa-enc` are the same as `rsa`."""
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "rsa": own,
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ed": ed25519.Ed25519PrivateKey.generate(),
        "stranger": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }


@cache
def public(kid):
    kinds = {"ec": jwt.algorithms.ECAlgorithm, "ed": jwt.algorithms.OKPAlgorithm}
    return json.loads(kinds.get(kid, jwt.algorithms.RSAAlgorithm).to_jwk(keys()[kid].public_key()))


PUBLISHED = b"a secret of thirty-two bytes....".ljust(32)


@cache
def key_set():
    return json.dumps(
        {
            "keys": [
                *({**public(kid), "kid": kid} for kid in ("rsa", "ec", "ed")),
                {**public("rsa"), "kid": "rsa-256", "alg": "RS256"},
                {**public("rsa"), "kid": "rsa-enc", "use": "enc"},
                {"kty": "oct", "kid": "oct", "k": encode(PUBLISHED)},
            ]
        }
    )


def signature(message, how, header):
    algorithm = header.get("alg")
    if how in ("none", "zeros", "der"):
        return {"none": b"", "zeros": b"\0" * 64, "der": b"0\6\2\1\1\2\1\1"}[how]
    if how.startswith("hmac-"):
        pem = keys()["rsa"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        secrets = {
            "pem": pem,
            "jwk": json.dumps(public("rsa")).encode(),
            "modulus": public("rsa")["n"].encode(),
            "nothing": b"",
            "published": PUBLISHED,
        }
        return hmac_with(secrets[how.removeprefix("hmac-")])(message)
    # A header that names no algorithm is signed all the same, so that nothing else is wrong.
    by_key = {"ec": "ES256", "ed": "EdDSA"}
    known = {"RS256", "RS512", "PS256", "ES256"}
    algorithm = algorithm if isinstance(algorithm, str) and algorithm in known else by_key.get(how, "RS256")
    return jwt.get_algorithm_by_name(algorithm).sign(message, keys()[how])


def member(value):
    """A value of the table as JSON has it."""
    if isinstance(value, dict) and set(value) == {"now"}:
        return int(time.time()) + value["now"]
    return {"LONG": "x" * 20_000, "LONG257": "a" * 257}.get(value, value) if isinstance(value, str) else value


def written(changes, standard):
    whole = standard | {name: member(value) for name, value in changes.items()}
    return json.dumps({name: value for name, value in whole.items() if value != "absent"})


def filled(text):
    text = text.replace("ISS", ISSUER).replace("AUD", AUDIENCE).replace("BRACKETS", "[{" * 200)
    text = re.sub(r"DEEP(\d+)", lambda found: "[" * int(found[1]) + "]" * int(found[1]), text)
    text = re.sub(r"DIGITS(\d+)", lambda found: "9" * int(found[1]), text)
    return text.encode().replace(b"NOT_UTF8", b"\xff\xfe")


def token(case):
    now = int(time.time())
    header = case.get("header_json") or written(case.get("header", {}), {"alg": "RS256", "kid": "rsa"})
    standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300}
    claims = case.get("claims_json") or written(case.get("claims", {}), standard)
    payload = case.get("payload") or encode(filled(claims))
    message = f"{encode(filled(header))}.{payload}"
    try:
        read = json.loads(header)
    except ValueError:
        read = {}
    read = read if isinstance(read, dict) else {}
    kid = read.get("kid")
    how = case.get("sign") or (kid if isinstance(kid, str) and kid in keys() else "rsa")
    return f"{message}.{encode(signature(message.encode(), how, read))}"


def key_text(text):
    numbers = public("ec")
    longer = {name: encode(b"\0" + jwt.utils.base64url_decode(numbers[name])) for name in ("x", "y")}
    for name, value in {
        "RSA_N": public("rsa")["n"],
        "RSA}": f'"n": "{public("rsa")["n"]}", "e": "AQAB"}}',
        "EC_ZERO": f'"x": "{longer["x"]}", "y": "{longer["y"]}"',
        "MANY": ", ".join(["{}"] * 1000),
        "LARGE": "x" * 1024 * 1024,
    }.items():
        text = text.replace(name, value)
    return text.encode()


def expected(case, plugin):
    expect = dict(case["expect"])
    if plugin == "jwt" and "expect_of_rust" in case:
        return case["expect_of_rust"]
    if "error" in case:
        expect["challenge"] = f'Bearer realm="portcullis", error="{case["error"]}"'
        if "told" in case:
            expect["challenge"] += f', error_description="{case["told"]}"'
    return expect


def toml(value):
    """A value as TOML has it, which for these is JSON with other tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def cases_file(plugin, settings, server, cases):
    text = f'{settings}\n[grants]\nheaders = ["authorization"]\nhttp = ["{server}"]\n[limits]\nmemory = "128MiB"\n'
    for case in cases:
        values = [value.replace("TOKEN", token(case)) for value in case.get("authorization", ["Bearer TOKEN"])]
        headers = {"Authorization": values} if values else {}
        text += f"[[cases]]\nname = {toml(case['name'])}\n"
        text += f"request.headers = {toml(headers)}\nexpect = {toml(expected(case, plugin))}\n"
    return text


def of_builtin(url):
    return f"""[settings]
issuers = [{{ issuer = "{ISSUER}", audiences = ["{AUDIENCE}"], jwks_url = "{url}" }}]
groups_claim = "groups"
attributes = {{ email = "email" }}
"""


def of_example(url):
    return f"""[settings]
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
jwks_url = "{url}"
groups_claim = "groups"
"""


PLUGINS = {
    "rust": lambda: ("jwt", of_builtin),
    "python": lambda: (build.language_example("python", "jwt"), of_example),
    "javascript": lambda: (build.language_example("javascript", "jwt"), of_example),
    "go": lambda: (build.language_example("go", "jwt"), of_example),
    "c": lambda: (build.language_example("c", "jwt"), of_example),
}


@cache
def compiled(plugin):
    """Compiles a plugin before its tokens are made, so that they don't grow old meanwhile."""
    return run("plugin", "inspect", plugin, "--memory", "128MiB", folder=TESTS).returncode == 0


@pytest.fixture(params=PLUGINS)
def decide(request, tmp_path, fetch_servers):
    """Runs cases against a plugin, and returns what is printed."""
    plugin, settings = PLUGINS[request.param]()
    server = fetch_servers()
    assert compiled(plugin)

    def run_cases(cases, key_set, path="/jwks"):
        server.answers["/jwks"] = key_set
        text = cases_file(plugin, settings(f"{server.url}{path}"), server.url, cases)
        (tmp_path / "cases.toml").write_text(text)
        return run("plugin", "test", plugin, "cases.toml", folder=tmp_path)

    return run_cases


def test_tokens(decide):
    cases = [case for case in TABLE if "keys" not in case]
    done = decide(cases, key_set().encode())
    failed = [line for line in done.stdout.splitlines() if not line.startswith("ok ")]
    assert failed == [f"{len(cases)} passed"], done.stderr + "\n".join(failed)


@pytest.mark.parametrize("case", [case for case in TABLE if "keys" in case], ids=lambda case: case["name"].replace(" ", "-"))
def test_keys(decide, case):
    done = decide([case], key_text(case["keys"]))
    assert done.stdout.endswith("1 passed\n"), done.stdout + done.stderr


REFUSALS = {
    "another issuer": ({"claims": {"iss": f"{ISSUER}/"}}, f'is "{ISSUER}/", and must be "{ISSUER}"'),
    "another audience": ({"claims": {"aud": ["other"]}}, f'the claim aud of the token is ["other"], and must name "{AUDIENCE}"'),
    "another type": ({"header": {"typ": "logout+jwt"}}, 'the type of the token (typ) is "logout+jwt", and must be'),
    "another algorithm": ({"header": {"alg": "PS256", "kid": "rsa-256"}}, "is signed with PS256, but the key that it names is for RS256"),
    "another key": ({"header": {"kid": "other"}}, 'has the id "other"; '),
    "expired": ({"claims": {"exp": {"now": -600}}}, "the token has expired: its exp was 60"),
    "not yet": ({"claims": {"nbf": {"now": 600}}}, "the token is not valid yet: its nbf is in "),
}
"""What is wrong with a token, and a part of what the operator is told."""


@pytest.mark.parametrize("case", REFUSALS)
def test_what_was_found_and_what_was_expected_is_told(decide, case):
    """Row B7 of the field reports."""
    parts, expected = REFUSALS[case]
    done = decide([{"name": case, "expect": {"status": 200}} | parts], key_set().encode())
    assert expected in done.stdout.replace("one of ", ""), done.stdout


def test_keys_in_a_coding_that_was_not_asked_for_are_named(decide):
    """Row B3 of the field reports."""
    done = decide([{"name": "a good token", "expect": {"status": 200}}], key_set().encode(), "/jwks?Content-Encoding=gzip")
    assert 'it has the content coding "gzip", which wasn\'t asked for' in done.stdout, done.stdout


@pytest.mark.parametrize("same, status", [(True, 200), (False, 503)])
def test_keys_that_have_moved_are_taken_from_the_same_server_alone(decide, fetch_servers, same, status):
    other = fetch_servers()
    other.answers["/jwks"] = key_set().encode()
    location = "/jwks" if same else f"{other.url}/jwks"
    case = {"name": "a good token", "expect": {"status": status}}
    done = decide([case], key_set().encode(), f"/moved?status=302&Location={quote(location)}")
    assert done.stdout.endswith("1 passed\n"), done.stdout + done.stderr
    assert other.seen == []
