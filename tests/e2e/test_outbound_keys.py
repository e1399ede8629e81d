"""Keys with a long `max-age` are refreshed all the same when an unknown key is used."""

import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from harness.client import bearer
from harness.config import route
from harness.process import eventually

ISSUER = "https://id.example"


class Signer:
    """A key with its public part as JSON."""

    def __init__(self, kid):
        self._kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwk = public | {"kid": kid, "use": "sig", "alg": "ES256"}

    def token(self):
        claims = {"iss": ISSUER, "aud": "gateway", "sub": "alice", "exp": int(time.time()) + 300}
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self._kid})


def test_a_new_key_is_learnt_though_the_old_ones_may_be_stored(serve, upstream, fetch_servers):
    provider, old, new = fetch_servers(), Signer("old"), Signer("new")
    keys = f"{provider.url}/keys?Cache-Control=public,max-age%3D3600,stale-if-error%3D3600"
    gateway = serve(
        f"""
[authenticators.tokens]
plugin = "jwt"
http_refresh_floor = "1s"
[authenticators.tokens.settings]
min_refresh_interval = "1s"
issuers = [{{ issuer = "{ISSUER}", audiences = ["gateway"], jwks_url = "{keys}" }}]
[authenticators.tokens.grants]
http = ["{provider.url}"]
"""
        + route(upstream, "tokens")
    )
    provider.answers["/keys"] = json.dumps({"keys": [old.jwk]}).encode()
    began = time.monotonic()
    assert gateway.send("/", bearer(old.token())).status == 200
    assert gateway.send("/", bearer(new.token())).status == 401
    provider.answers["/keys"] = json.dumps({"keys": [new.jwk]}).encode()
    eventually(lambda: gateway.send("/", bearer(new.token())).status == 200, "the new key is known")
    assert gateway.send("/", bearer(old.token())).status == 401
    assert len(provider.seen) <= 1 + time.monotonic() - began, "once in a floor, however often it is asked for"
