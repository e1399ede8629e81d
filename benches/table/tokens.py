"""Signed tokens: files with the keys, with as many tokens as a load needs, and the scripts by which wrk sends them."""

import json
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER, AUDIENCE = "https://issuer.example", "bench"

KEYS = {
    "RS256": (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), jwt.algorithms.RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), jwt.algorithms.ECAlgorithm),
}

SCRIPT = """
local requests, last = {}, 0
init = function()
  for token in io.lines("%s") do
    if #requests == %d then break end
    requests[#requests + 1] = wrk.format("GET", "/", { Authorization = "Bearer " .. token })
  end
end
request = function()
  last = last %% #requests + 1
  return requests[last]
end
"""


class Tokens:
    """`count` tokens of distinct users in a folder, which also gets `key.pem` and `jwks.json`. `script` sends one after the
    other, again and again; `forged` is the header with a token that someone else has signed."""

    def __init__(self, folder, algorithm, count):
        generate, format = KEYS[algorithm]
        key, self.folder, self.algorithm, self.count = generate(), folder, algorithm, count
        public = key.public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (folder / "key.pem").write_bytes(pem)
        jwk = json.loads(format.to_jwk(public)) | {"kid": "k", "alg": algorithm, "use": "sig"}
        (folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "nbf": now - 10, "exp": now + 7200}

        def sign(user, key):
            return jwt.encode(claims | {"sub": user, "jti": f"{user}-{now}"}, key, algorithm, {"kid": "k"})

        (folder / "tokens").write_text("".join(sign(f"user-{n}", key) + "\n" for n in range(count)))
        self.forged = f"Authorization: Bearer {sign('mallory', generate())}"
        self.script = self.script_of(count)

    def script_of(self, count):
        """A script that sends only the first tokens, one after the other."""
        script = self.folder / f"load-{count}.lua"
        script.write_text(SCRIPT % (self.folder / "tokens", count))
        return script
