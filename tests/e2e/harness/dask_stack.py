"""dask-gateway behind Portcullis as the documentation has it: both with the very files of `docs/dask-gateway`.

Only what can't be the same in a test is replaced: ports, where the hub and the identity provider are, and how long an answer of the
hub is reused.
"""

import secrets
import ssl

import aiohttp.connector
from dask_gateway import Gateway as Client

from . import client
from .certificates import Authority
from .gateway import Gateway
from .page import replaced
from .paths import PEERS, ROOT, VENV_BIN
from .peer import Peer
from .process import with_free_ports

FILES = ROOT / "docs" / "dask-gateway"


class DaskStack:
    """Both programs. Clients know `url` and nothing else."""

    def __init__(self, folder, hub, provider):
        self.folder = folder
        self.authority = Authority(folder)
        self.secret, self.team = secrets.token_hex(32), secrets.token_hex(16)
        self.proxy_token = secrets.token_hex(32)
        for name, content in [("dask-gateway", self.secret), ("team", self.team), ("hub", hub.service_tokens["dask-gateway"])]:
            path = folder / "secrets" / name
            path.parent.mkdir(exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(content + "\n")
        self.context = ssl.create_default_context(cafile=self.authority.ca)
        # What SSL_CERT_FILE does for a program of its own: here aiohttp has read that long ago.
        aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(self.authority.ca)
        self._hub, self._provider = hub, provider
        with_free_ports(2, self._start)

    def _start(self, api, proxy):
        cert, key = self.authority.issue("server")
        text = replaced(
            (FILES / "portcullis.toml").read_text(),
            {
                '"0.0.0.0:443"': '"127.0.0.1:0"',
                '"tls/fullchain.pem"': f'"{cert}"',
                '"tls/privkey.pem"': f'"{key}"',
                "127.0.0.1:8786": f"127.0.0.1:{proxy}",
                'service_name = "dask-gateway"': 'service_name = "dask-gateway"\ncache = "2s"',
                "http://127.0.0.1:8081": self._hub.api_url.removesuffix("/hub/api"),
                "https://idp.example": self._provider.issuer,
                'audiences = ["https://gateway.example"]': f'audiences = ["{self._provider.audience}"]',
                "https://hub.example/hub": self._hub.public_api_url.removesuffix("/api"),
            },
        )
        self.gateway = Gateway(self.folder, text, XDG_STATE_HOME=str(self.folder / "state"))
        self.address = self.gateway.url.removeprefix("http://")
        self.url = f"https://{self.address}"
        try:
            self.server = Server(self, api, proxy)
        except AssertionError:
            self.gateway.stop()
            raise

    def stop(self):
        self.server.stop()
        self.gateway.stop()

    def client(self, auth):
        """dask's client, told the address alone."""
        return Client(self.url, auth=auth)

    def send(self, target, headers=(), method="GET", body=None):
        return client.send(self.url, target, headers, method, body, self.context)


class Server(Peer):
    """dask-gateway-server with its own proxy, which only Portcullis talks to."""

    NAME = "dask"
    ENDS_WITHIN = 30

    def __init__(self, whole, api, proxy):
        self.folder = whole.folder
        self.whole, self.ports = whole, (api, proxy)
        self.child = self._start(api, proxy)

    def _launch(self, api, proxy):
        whole = self.whole
        text = replaced(
            (FILES / "dask_gateway_config.py").read_text(),
            {
                "127.0.0.1:8001": f"127.0.0.1:{api}",
                "127.0.0.1:8786": f"127.0.0.1:{proxy}",
                "https://gateway.example": whole.url,
            },
        )
        (self.folder / "dask_gateway_config.py").write_text(text)
        self.url = f"http://127.0.0.1:{proxy}"
        environment = {
            "DASK_COMMAND": str(VENV_BIN / "dask"),
            "DASK_CA": str(whole.authority.ca),
            "DASK_GATEWAY_PROXY_TOKEN": whole.proxy_token,
        }
        command = [VENV_BIN / "dask-gateway-server", "-f", PEERS / "dask_whole_config.py"]
        return command, environment, f"{self.url}/api/health"
