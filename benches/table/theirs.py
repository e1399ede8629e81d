"""The other programs' side of each comparison. All check signature, issuer, audience, expiry and start of validity of a
token, and pass the user on."""

import subprocess

from programs import haproxy as haproxy_program
from programs.envoy import DIRECT, FORWARD, envoy
from programs.nginx import nginx
from programs.process import ROOT

from .fronts import envoy_asks_http, nginx_asks
from .side import Running, side
from .tokens import AUDIENCE, ISSUER

JWT_VERIFY = """
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
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str {algorithm} }}
    http-request deny deny_status 401 unless {{ var(txn.iss) -m str {issuer} }}
    http-request deny deny_status 403 unless {{ var(txn.aud) -m str {audience} }}
    http-request deny deny_status 401 unless {{ var(txn.exp) -m found }}
    http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.earliest) -m int lt 0 }}
    http-request deny deny_status 401 if {{ var(txn.nbf),sub(txn.latest) -m int gt 0 }}
    http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,"{folder}/key.pem") 1 }}
    http-request return status 200 content-type text/plain string "ok" hdr x-forwarded-user %[var(txn.sub)]
"""

JWT_AUTHN = """- name: envoy.filters.http.jwt_authn
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      providers:
                        own:
                          issuer: {issuer}
                          audiences: [{audience}]
                          local_jwks: {{ filename: {folder}/jwks.json }}
                          jwt_cache_config: {{ jwt_cache_size: 10000 }}
                          claim_to_headers: [{{ header_name: x-forwarded-user, claim_name: sub }}]
                      rules:
                        - match: {{ prefix: / }}
                          requires: {{ provider_name: own }}"""

WASM = """- name: envoy.filters.http.wasm
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        configuration: {{ "@type": type.googleapis.com/google.protobuf.StringValue, value: {key} }}
                        vm_config: {{ runtime: envoy.wasm.runtime.v8, code: {{ local: {{ filename: {module} }} }} }}"""

API_KEY = "open sesame"
"""The key of the API-key plugins, in Envoy as in Portcullis."""

NGINX_PROXY = """
upstream behind { server 127.0.0.1:%d; keepalive 64; keepalive_requests 1000000000; }
server {
    listen 127.0.0.1:{port};
    keepalive_requests 1000000000;
    location / {
        proxy_pass http://behind;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
    }
}
"""


def haproxy(stage, algorithm):
    """HAProxy, which checks these tokens, and the tokens."""
    tokens = stage.tokens(algorithm)
    rules = JWT_VERIFY.format(algorithm=algorithm, issuer=ISSUER, audience=AUDIENCE, folder=tokens.folder)
    return haproxy_program.haproxy(stage.folder("haproxy"), rules), tokens


def jwt_verify(algorithm):
    @side("HAProxy `jwt_verify`")
    def start(stage):
        program, tokens = haproxy(stage, algorithm)
        with program as server:
            yield Running(server, server.url(), tokens.script, refused=(tokens.forged,))

    return start


def jwt_authn(action):
    @side("Envoy `jwt_authn` with its cache")
    def start(stage):
        tokens = stage.tokens("RS256")
        service = stage.upstream if action is FORWARD else 1
        filter = JWT_AUTHN.format(issuer=ISSUER, audience=AUDIENCE, folder=tokens.folder)
        with envoy(stage.folder("envoy"), action, filter, service) as server:
            yield Running(server, server.url(), tokens.script, refused=(tokens.forged,))

    return start


HAPROXY_RS256 = jwt_verify("RS256")
HAPROXY_ES256 = jwt_verify("ES256")
ENVOY_RS256 = jwt_authn(DIRECT)
ENVOY_RS256_PROXIED = jwt_authn(FORWARD)


@side("HAProxy `return`")
def HAPROXY_RETURN(stage):
    rules = '    http-request return status 200 content-type text/plain string "ok"'
    with haproxy_program.haproxy(stage.folder("haproxy"), rules) as server:
        yield Running(server, server.url())


@side("nginx")
def NGINX(stage):
    with nginx(stage.folder("nginx"), NGINX_PROXY % stage.upstream) as server:
        yield Running(server, server.url())


@side("Envoy")
def ENVOY(stage):
    with envoy(stage.folder("envoy"), FORWARD, service=stage.upstream) as server:
        yield Running(server, server.url())


def asked(name, front):
    """HAProxy as the service that a front asks: its own cost, without the front's."""

    @side(name)
    def start(stage):
        program, tokens = haproxy(stage, "RS256")
        with program as server, front(stage, server.port) as before:
            yield Running(server, before.url(), tokens.script, refused=(tokens.forged,))

    return start


HAPROXY_BEHIND_NGINX = asked("HAProxy as the service", nginx_asks)
HAPROXY_BEHIND_ENVOY = asked("HAProxy as the service, over HTTP", envoy_asks_http)


@side("Envoy's Wasm filter (V8)")
def ENVOY_WASM(stage):
    """The same check of an API key. One instance serves all requests, while Portcullis makes one for each."""
    folder = stage.folder("envoy")
    module = folder / "api_key.wasm"
    text = (ROOT / "benches/table/api_key.wat").read_bytes()
    module.write_bytes(subprocess.run([stage.build.encoder()], input=text, stdout=subprocess.PIPE, check=True).stdout)
    with envoy(folder, filter=WASM.format(key=API_KEY, module=module)) as server:
        headers = (f"X-Api-Key: {API_KEY}",)
        yield Running(server, server.url(), headers=headers, refused=("X-Api-Key: open barley",))
