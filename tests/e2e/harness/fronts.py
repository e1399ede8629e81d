"""The front proxies that ask the gateway, each with the file of the documentation.

Only the ports in it are replaced: those of the documentation are fixed, and those of a test are the system's choice.
"""

import http.client
import os
import re
import shutil
import socket
from pathlib import Path

from . import build, http2, traefik
from .client import Answer, begin
from .config import drop
from .gateway import Gateway
from .paths import ROOT, VENV_BIN
from .process import Child, with_free_ports

ENVOYS = ["envoy-http", "envoy-grpc"]
PROGRAMS = ["nginx", "caddy", "haproxy", *ENVOYS]
NAMES = [*PROGRAMS, "traefik"]

FILES = ROOT / "docs" / "fronts"

PAGES, UPSTREAM, FORWARD_AUTH, EXT_AUTHZ, HTTP1, HTTP2 = 8000, 8001, 8002, 8003, 8080, 8081
"""The ports of the documentation."""

CLIENT = "127.0.0.2"
"""The address of clients, which differs from that of the front proxy, a trusted one."""

ROUTES = """
[[routes]]
path = "/open"
public = true

[[routes]]
path = "/"
hosts = ["open.example"]
public = true

[[routes]]
path = "/maybe"
authenticators = ["people"]
optional = true

[[routes]]
path = "/kept"
authenticators = ["people"]
forward_authorization = true
cookies = "drop"

[[routes]]
path = "/scripted"
authenticators = ["scripted"]

[[routes]]
path = "/both"
authenticators = ["people", "scripted"]

[[routes]]
path = "/judged"
authenticators = ["people"]
authorizers = ["judge"]
"""
"""What the tests have below the documentation's route, which protects all the rest."""

NGINX_AROUND = """
daemon off; master_process off; pid nginx.pid; error_log stderr info;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include {file};
}}
"""


def routes(folder, scripted):
    """The routes of the tests, and the authenticator `scripted` and the authorizer `judge` that some of them use."""
    plugins = folder / "plugins"
    plugins.mkdir()
    drop(plugins, "judge", build.guest_component("judge"), '[grants]\nheaders = ["x-judge"]\n[limits]\ndeadline = "2s"\n')
    return ROUTES + drop(plugins, "scripted", scripted, '[limits]\ndeadline = "2s"\n')


class FrontGateway(Gateway):
    """The gateway with `docs/fronts/portcullis.toml`, and with more below it."""

    def __init__(self, folder, more="", token=None, **environment):
        text = replace((FILES / "portcullis.toml").read_text(), {PAGES: 0, FORWARD_AUTH: 0, EXT_AUTHZ: 0})
        self.token = token
        if token:
            text = text.replace('trusted_proxies = ["127.0.0.1"]', "")
            environment["DASK_GATEWAY_PROXY_TOKEN"] = token
        super().__init__(folder, text + more, **environment)
        self.forward_auth = self._port("listening for forward-auth")
        self.ext_authz = self._port("listening for ext_authz")
        self.pages = int(self.url.rsplit(":", 1)[1])

    def _port(self, message):
        [line] = self.logged(message=message)
        return int(line["address"].rsplit(":", 1)[1])


class Front:
    """A running proxy between clients and an upstream that asks a gateway about each request."""

    def __init__(self, name, folder, gateway, upstream, token=None, change=lambda text: text):
        self.name = name
        self.change = change
        self.folder = folder
        self.ports = {
            PAGES: gateway.pages,
            UPSTREAM: int(upstream.url.rsplit(":", 1)[1]),
            FORWARD_AUTH: gateway.forward_auth,
            EXT_AUTHZ: gateway.ext_authz,
        }
        self.token = token
        with_free_ports(2, self._start)

    def _start(self, *own):
        self.http1, self.http2 = own
        self.ports |= {HTTP1: self.http1, HTTP2: self.http2}
        if self.name != "nginx":
            # The others tell HTTP/2 by its first bytes.
            self.http2 = self.http1
        self.child = getattr(self, f"_{self.name.replace('-', '_')}")()
        self.child.wait_until(lambda: all(map(listens, {self.http1, self.http2})), f"{self.name} listens")

    def _nginx(self):
        file = self._write("nginx/portcullis.conf")
        around = self._keep("nginx.conf", NGINX_AROUND.format(file=file))
        return self._run(program("nginx"), "-p", self.folder, "-c", around)

    def _caddy(self):
        file = self._write("caddy/Caddyfile")
        own = {"HOME": str(self.folder), "CADDY_ADMIN": f"unix/{self.folder}/caddy.sock"}
        return self._run(VENV_BIN / "caddy", "run", "--adapter", "caddyfile", "--config", file, environment=own)

    def _haproxy(self):
        self._write("haproxy/portcullis.lua")
        return self._run(program("haproxy"), "-db", "-f", self._write("haproxy/haproxy.cfg"))

    def _envoy_http(self):
        return self._envoy("envoy/http.yaml")

    def _envoy_grpc(self):
        return self._envoy("envoy/grpc.yaml")

    def _envoy(self, name):
        options = ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]
        return self._run(VENV_BIN / "envoy", "-c", self._write(name), *options)

    def _traefik(self):
        return traefik.Replay(self._write("traefik/dynamic.yaml"), self.http1, self.folder / "traefik.log")

    def _run(self, *command, environment=None):
        environment = os.environ | (environment or {})
        return Child(command, self.folder / f"{self.name}.log", cwd=self.folder, env=environment)

    def _write(self, name):
        """The documentation's file, with this test's ports, and with the token where it says how to send one."""
        text = replace(self.change((FILES / name).read_text()), self.ports)
        if self.token:
            text = re.sub(r"(?m)^(\s*)# (.*TOKEN.*)$", lambda line: line[1] + line[2], text)
            text = re.sub(r"\bTOKEN\b", self.token, text)
        return self._keep(Path(name).name, text)

    def _keep(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def send(self, target="/", headers=(), method="GET", body=None, version=1, host="app.example"):
        """One request from a client on a connection of its own."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if version == 2:
            return http2.send(self.http2, target, headers, method, body or b"", host, (CLIENT, 0))
        if body is not None:
            headers.append(("Content-Length", str(len(body))))
        connection = http.client.HTTPConnection("127.0.0.1", self.http1, 30, (CLIENT, 0))
        try:
            begin(connection, method, target, [("Host", host), *headers])
            if body:
                connection.send(body)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def stop(self):
        self.child.stop()


def subrequest(uri, method="GET"):
    """The headers by which Caddy, HAProxy and Traefik describe a client's request to the gateway."""
    return {
        "X-Forwarded-Method": method,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "app.example",
        "X-Forwarded-Uri": uri,
        "X-Forwarded-For": "192.0.2.1",
    }


def replace(text, ports):
    """Puts other ports in the place of the documentation's."""
    return re.sub(r"\b80\d\d\b", lambda found: str(ports.get(int(found[0]), found[0])), text)


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False
