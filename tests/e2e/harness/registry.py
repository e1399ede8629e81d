"""Debian's `docker-registry`: a registry with TLS by a private authority, and a password. It has no referrers API, so that
signatures are found by their tag."""

import subprocess

import requests

from .peer import Peer

USER, PASSWORD = "robot", "a password: with a colon"


class Registry(Peer):
    """A running registry at `host`, whose content stays in `folder`."""

    NAME, PORTS = "registry", 2

    def __init__(self, folder, authority):
        self.authority = authority
        # By the name, it is found through a proxy alone.
        self.certificate, self.key = authority.issue(f"registry-{folder.name}", host="registry.test")
        passwords = subprocess.run(["htpasswd", "-nbB", USER, PASSWORD], capture_output=True, check=True).stdout
        (folder / "htpasswd").write_bytes(passwords.strip() + b"\n")
        secret = self.secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD + "\n")
        super().__init__(folder)

    def _launch(self, port, debug):
        self.host = f"127.0.0.1:{port}"
        self._url = f"https://{self.host}"
        config = self.folder / f"config-{port}.yml"
        config.write_text(f"""
version: 0.1
log: {{ accesslog: {{ disabled: false }}, level: info }}
storage: {{ filesystem: {{ rootdirectory: {self.folder}/storage }}, delete: {{ enabled: true }} }}
http:
  addr: {self.host}
  debug: {{ addr: 127.0.0.1:{debug} }}
  tls: {{ certificate: {self.certificate}, key: {self.key} }}
auth: {{ htpasswd: {{ realm: registry, path: {self.folder}/htpasswd }} }}
""")
        return ["docker-registry", "serve", config], {}, f"http://127.0.0.1:{debug}/debug/health"

    def section(self, more="", username=USER):
        """What a gateway has to know of it."""
        return section(self.host, self.authority, f'username = "{username}"\npassword = "file:{self.secret}"\n{more}')

    def reference(self, name, version="1.0"):
        return f"oci://{self.host}/{name}:{version}"

    def get(self, path):
        """What it has at a path of its interface, asked by another client."""
        return requests.get(f"{self._url}/v2/{path}", auth=(USER, PASSWORD), verify=self.authority.ca, timeout=20, headers=ACCEPT)


ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


def section(host, authority, more=""):
    """The section of a registry with a certificate of this authority."""
    return f'[registries."{host}"]\nca = "{authority.ca}"\n{more}'
