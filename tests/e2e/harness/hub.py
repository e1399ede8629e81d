"""JupyterHub as the tests use it: tokens for users and services, with scopes and without, and their revocation."""

import secrets

import requests

from .paths import PEERS, VENV_BIN
from .peer import Peer

SERVICES = ["dask-gateway", "etl", "stranger", "minter"]


class Hub(Peer):
    """A running hub with its proxy. `service_tokens` has the token of each service by name."""

    NAME = "hub"
    PORTS = 3

    def __init__(self, folder):
        self.service_tokens = {name: secrets.token_hex(16) for name in SERVICES}
        super().__init__(folder)

    def _launch(self, public, api, proxy_api):
        self.api_url = f"http://127.0.0.1:{api}/hub/api"
        self.public_api_url = f"http://127.0.0.1:{public}/hub/api"
        environment = {
            "HUB_PORTS": f"{public} {api} {proxy_api}",
            "HUB_PROXY": str(PEERS / "node_modules" / ".bin" / "configurable-http-proxy"),
            **{f"TOKEN_{name}": token for name, token in self.service_tokens.items()},
        }
        return [VENV_BIN / "jupyterhub", "-f", PEERS / "jupyterhub_config.py"], environment, f"{self.public_api_url}/"

    def mint(self, user, **wish):
        """A new token of `user`: its text and its id. `wish`: `scopes`, `expires_in`."""
        answer = self._as_minter("POST", f"users/{user}/tokens", json=wish)
        return answer["token"], answer["id"]

    def token(self, user, **wish):
        return self.mint(user, **wish)[0]

    def revoke(self, user, token_id):
        self._as_minter("DELETE", f"users/{user}/tokens/{token_id}")

    def whoami(self, token):
        """The hub's own answer to a token: status and body."""
        answer = requests.get(f"{self.api_url}/user", headers={"Authorization": f"token {token}"})
        return answer.status_code, answer.json()

    def _as_minter(self, method, path, **options):
        headers = {"Authorization": f"token {self.service_tokens['minter']}"}
        answer = requests.request(method, f"{self.api_url}/{path}", headers=headers, **options)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None
