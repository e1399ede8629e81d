"""Tokens for benchmarks, and what checks them: signature, issuer, audience, expiry and start of validity."""

import argparse
import base64
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from measure import ROOT, Server, connects, free_port, pinned, program, status_of

BINARY = ROOT / "target/release/portcullis"
ISSUER, AUDIENCE = "https://issuer.example", "bench"

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 1s
frontend f
    bind 127.0.0.1:{port}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
    http-request set-var(txn.aud) var(txn.bearer),jwt_payload_query('$.aud')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.nbf) var(txn.bearer),jwt_payload_query('$.nbf','int')
    http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
    http-request set-var(txn.earliest) date(-60)
    http-request set-var(txn.latest) date(60)
    http-request deny deny_status 401 unless {{ var(txn.bearer) -m found }}
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.iss) -m str {issuer} }}
    http-request deny deny_status 403 unless {{ var(txn.aud) -m str {audience} }}
    http-request deny deny_status 401 unless {{ var(txn.exp) -m found }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.earliest) -m int lt 0 }}
    http-request deny deny_status 401 if {{ var(txn.nbf),sub(txn.latest) -m int gt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{folder}/key.pem") 1 }}
    http-request return status 200 content-type text/plain string "ok" hdr x-forwarded-user %[var(txn.sub)]
"""

AUTHENTICATOR = """
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "{issuer}", audiences = ["{audience}"], algorithms = ["RS256"], jwks = "file:{folder}/jwks.json" }}]
"""
"""The plugin that does the same, for a configuration of Portcullis."""

WRK = """
local tokens = {}
for line in io.lines("%s") do tokens[#tokens + 1] = line end
local next_token = 0
request = function()
  next_token = next_token %% #tokens + 1
  return wrk.format("GET", "/", { Authorization = "Bearer " .. tokens[next_token] })
end
"""


def parse(about):
    """The arguments of a benchmark whose module says this about itself."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4000, help="distinct tokens (default 4000)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--portcullis", type=Path, default=BINARY)
    return parser.parse_args()


def write_tokens(folder, count):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(pem)
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public)) | {"kid": "k", "alg": "RS256", "use": "sig"}
    (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "nbf": now - 10, "exp": now + 3600}
    tokens = [
        jwt.encode(claims | {"sub": f"user-{n}", "jti": base64.b64encode(os.urandom(12)).decode()}, key, "RS256", {"kid": "k"})
        for n in range(count)
    ]
    (folder / "tokens").write_text("\n".join(tokens) + "\n")
    (folder / "load.lua").write_text(WRK % (folder / "tokens"))
    return jwt.encode(claims | {"sub": "mallory"}, rsa.generate_private_key(65537, 2048), "RS256", {"kid": "k"})


@contextlib.contextmanager
def haproxy(folder):
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, issuer=ISSUER, audience=AUDIENCE, folder=folder))
    with pinned([program("haproxy"), "-f", config], folder / "haproxy.log") as pid:
        connects("haproxy", port)
        yield Server("haproxy", pid, port)


def refuses(name, server, token):
    """A server that lets a forged token in does not do the work."""
    status = status_of(server.port, headers=[f"Authorization: Bearer {token}"])
    if status != 401:
        sys.exit(f"{name} answers a forged token with {status}")
