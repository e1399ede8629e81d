"""What one request with an RS256 token costs Portcullis and HAProxy, in microseconds of processor time.

Both check signature, issuer, audience, expiry and start of validity, then answer 200 themselves. They run by turns, pinned
to one processor, while wrk sends many distinct tokens from another. Run it by `benches/haproxy`.
"""

import argparse
import base64
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from measure import ROOT, Server, connects, free_port, need, pinned, portcullis, spread, status_of, wrk

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
    http-request set-header x-user %[var(txn.sub)]
    http-request return status 200 content-type text/plain string "ok"
"""

PORTCULLIS = """
[server]
listen = "127.0.0.1:0"

[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "{issuer}", audiences = ["{audience}"], algorithms = ["RS256"], jwks = "file:{folder}/jwks.json" }}]

[[routes]]
path = "/"
authenticators = ["tokens"]
upstream = "portcullis:whoami"
"""

WRK = """
local tokens = {}
for line in io.lines("%s") do tokens[#tokens + 1] = line end
local next_token = 0
request = function()
  next_token = next_token %% #tokens + 1
  return wrk.format("GET", "/", { Authorization = "Bearer " .. tokens[next_token] })
end
"""


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = Path(folder)
        bad = write_tokens(folder, arguments.tokens)
        config = PORTCULLIS.format(issuer=ISSUER, audience=AUDIENCE, folder=folder)
        servers = {
            "portcullis": stack.enter_context(portcullis(folder, arguments.portcullis, config)),
            "haproxy": stack.enter_context(haproxy(folder)),
        }
        for server in servers.values():
            refuses(server, bad)
        rounds = {name: [] for name in servers}
        for turn in range(arguments.rounds + 1):
            for name, server in servers.items():
                measured = wrk(server, server.url(), arguments.seconds, script=folder / "load.lua")
                if turn > 0:  # the first turn warms up
                    rounds[name].append(measured)
        report(rounds)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4000, help="distinct tokens (default 4000)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--portcullis", type=Path, default=ROOT / "target/release/portcullis")
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
    with pinned(["haproxy", "-f", config], folder / "haproxy.log") as pid:
        connects("haproxy", port)
        yield Server("haproxy", pid, port)


def refuses(server, token):
    """A server that lets a forged token in does not do the work."""
    status = status_of(server.port, headers=[f"Authorization: Bearer {token}"])
    if status != 401:
        sys.exit(f"{server.name} answers a forged token with {status}")


def report(rounds):
    print(f"{'':12}{'requests/s':>12}{'CPU µs/request (median, min … max)':>40}")
    for name, measured in rounds.items():
        rates, costs = [load.rate for load in measured], [load.cost for load in measured]
        print(f"{name:12}{statistics.median(rates):12.0f}{spread(costs):>40}")
    ratios = [ours.cost / theirs.cost for ours, theirs in zip(*rounds.values(), strict=True)]
    print(f"CPU of portcullis / CPU of haproxy, round by round: {spread(ratios, 2)}")


if __name__ == "__main__":
    need("haproxy", "wrk", "taskset")
    main()
