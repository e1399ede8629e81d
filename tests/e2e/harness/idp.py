"""The OpenID provider as the tests use it: tokens by its real grants, key rotation, and claims signed on demand."""

import json
import os
import re
import secrets
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from hashlib import sha256
from urllib.parse import urlsplit

import requests

from .paths import PEERS
from .process import Child

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


class Provider:
    def __init__(self, folder, port=0, ca=None):
        """`ca`: a file with the certificate authority of a gateway that it sends notices to."""
        trusted = {"NODE_EXTRA_CA_CERTS": str(ca)} if ca else {}
        self.child = Child(["node", PEERS / "idp.mjs", str(port)], folder / "idp.log", env=os.environ | trusted)
        found = self.child.wait_until(lambda: re.search(r'\{"issuer".*\}\n', self.child.output()), "listening")
        self.issuer, self.audience, self.opaque_audience = json.loads(found.group()).values()
        self.port = urlsplit(self.issuer).port

    def service_token(self, algorithm="RS256"):
        """A token of the client that signs with `algorithm`, by the client-credentials grant."""
        return self._token(algorithm, grant_type="client_credentials", resource=self.audience, scope="gateway")

    def user_token(self, user, algorithm="RS256", resource=None):
        """A token of a user who logged in at the provider's pages: the authorization code grant with PKCE."""
        resource = resource or self.audience
        verifier = secrets.token_urlsafe(32)
        callback = f"{self.issuer}/_test/callback"
        with requests.Session() as browser:
            page = browser.get(
                f"{self.issuer}/auth",
                params={
                    "client_id": algorithm,
                    "response_type": "code",
                    "redirect_uri": callback,
                    "scope": "openid gateway",
                    "resource": resource,
                    "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("="),
                    "code_challenge_method": "S256",
                },
            )
            while not page.url.startswith(callback):
                page = browser.post(*_filled_form(page, user))
        code = page.json()["code"]
        return self._token(
            algorithm, grant_type="authorization_code", code=code, redirect_uri=callback, code_verifier=verifier
        )

    def claims(self, **changes):
        """The claims of a good token of alice, with changes; a change to `None` leaves the claim out."""
        now = int(time.time())
        good = {"iss": self.issuer, "aud": self.audience, "sub": "alice", "iat": now, "exp": now + 300}
        return {name: value for name, value in (good | changes).items() if value is not None}

    def sign(self, claims, kid="RS256-1", **header):
        """Claims of the test's choice under one of the provider's own keys."""
        return self._control("sign", kid=kid, claims=claims, header=header)["token"]

    def rotate(self, kid, algorithm="RS256", drop=()):
        """Puts a new signing key first."""
        self._control("rotate", kid=kid, alg=algorithm, drop=list(drop))

    def logins(self, *clients, require_pushed=False, gateway=""):
        """The clients through which people log in at gateways. Notices, whatever the host in their address, go to `gateway`."""
        self._control("logins", clients=clients, require_pushed=require_pushed, gateway=gateway)

    def delete(self, user):
        self._control("delete", user=user)

    def groups(self, user, *groups):
        """Puts a user into these groups, and no others."""
        self._control("groups", user=user, groups=groups)

    def authorize(self, browser, url, callback, user):
        """Goes through the provider's pages in a session of `requests`, as far as the redirect to the callback."""
        answer = browser.get(url, allow_redirects=False)
        while True:
            if not answer.is_redirect:
                if 'name="prompt"' not in answer.text:
                    return answer
                place, form = _filled_form(answer, user)
                answer = browser.post(place, form, allow_redirects=False)
                continue
            place = requests.compat.urljoin(answer.url, answer.headers["location"])
            if place.startswith(callback):
                return place
            answer = browser.get(place, allow_redirects=False)

    def log_out(self, browser, url):
        """Opens the page that ends the session of a browser at the provider, agrees, and returns where the browser is sent then."""
        page = browser.get(url)
        [xsrf] = re.findall(r'name="xsrf" value="([^"]+)"', page.text)
        form = {"xsrf": xsrf, "logout": "yes"}
        done = browser.post(f"{self.issuer}/session/end/confirm", form, allow_redirects=False)
        assert done.is_redirect, done.text
        return requests.compat.urljoin(done.url, done.headers["location"])

    @contextmanager
    def holding(self, path):
        """Lets requests for `path` wait as long as this lasts."""
        self._control("hold", path=path)
        try:
            yield
        finally:
            self._control("release")

    def hits(self, path):
        """How often the provider was asked for `path`, or for a kind of grant: `/token refresh_token`."""
        return requests.get(f"{self.issuer}/_test/hits").json().get(path, 0)

    def exchange(self):
        """The parameters of the last request for tokens, and what the provider has answered."""
        return requests.get(f"{self.issuer}/_test/exchange").json()

    def public_key(self, kid):
        keys = requests.get(f"{self.issuer}/jwks").json()["keys"]
        return next(key for key in keys if key["kid"] == kid)

    def stop(self):
        self.child.kill()

    def _token(self, client, **grant):
        answer = requests.post(f"{self.issuer}/token", auth=(client, f"secret-of-{client}"), data=grant)
        assert answer.ok, answer.text
        return answer.json()["access_token"]

    def _control(self, action, **body):
        answer = requests.post(f"{self.issuer}/_test/{action}", json=body)
        assert answer.ok, answer.text
        return answer.json()


def _filled_form(page, user):
    """Where the login or consent form of `page` goes, and what a user types into it."""
    assert page.ok, page.text
    prompt = re.search(r'name="prompt" value="(\w+)"', page.text).group(1)
    return re.search(r'action="([^"]+)"', page.text).group(1), {"prompt": prompt, "login": user, "password": "any"}
