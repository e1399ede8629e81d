"""What the benchmarks share: tokens, servers that are pinned to the first processor, and wrk on the second.

Every server checks the same things of a token: signature, issuer, audience, expiry and start of validity.
"""

import argparse
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "target/release/portcullis"
ISSUER, AUDIENCE = "https://issuer.example", "bench"
TICK = os.sysconf("SC_CLK_TCK")

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


def needs(*tools):
    """Ends with a word on what to install, unless all programs are there."""
    for tool in tools:
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: apt-get install nginx haproxy wrk util-linux")


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
def portcullis(folder, binary, config):
    """Portcullis with a configuration; yields its process and the ports of its listeners by what the log says of each."""
    file = folder / "portcullis.toml"
    file.write_text(config.format(issuer=ISSUER, audience=AUDIENCE, folder=folder))
    log = folder / "portcullis.log"
    command = [str(binary), "serve", "--config", str(file), "--log-format", "json", "--log-level", "warn,portcullis::serve=info"]
    with pinned(command, log.open("wb+")) as pid:
        yield pid, listening(log)


@contextlib.contextmanager
def haproxy(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, issuer=ISSUER, audience=AUDIENCE, folder=folder))
    with pinned(["haproxy", "-f", str(config)], (folder / "haproxy.log").open("wb")) as pid:
        connects(port)
        yield pid, port


@contextlib.contextmanager
def pinned(command, log):
    process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def listening(log):
    for _ in range(300):
        found = dict(re.findall(r'"message":"(listening[^"]*)","address":"127\.0\.0\.1:(\d+)"', log.read_text()))
        if "listening" in found:
            return {message: int(port) for message, port in found.items()}
        time.sleep(0.1)
    sys.exit(f"portcullis didn't start:\n{log.read_text()}")


def connects(port):
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    sys.exit("haproxy didn't start")


def refuses(name, port, token):
    """A server that lets a forged token in does not do the work."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
        status = client.recv(64).split(b" ")[1]
    if status != b"401":
        sys.exit(f"{name} answers a forged token with {status.decode()}")


def load(folder, port, seconds):
    """Requests per second, and how many there were."""
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(folder / "load.lua"), f"http://127.0.0.1:{port}/"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(output)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]), int(re.search(r"(\d+) requests in", output)[1])


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK
