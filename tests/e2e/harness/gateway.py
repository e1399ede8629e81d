"""The gateway under test: the real binary as a child process, with a configuration that the test writes.

It listens on a port of the system's choice, which it reports in its log of one JSON object a line.
"""

import json
import os
import subprocess
from pathlib import Path

import psutil

from . import client, schema
from .paths import PORTCULLIS, STATE
from .process import Child, eventually

ADMIN = '[admin]\nlisten = "127.0.0.1:0"\n'
LISTEN_ANYWHERE = '[server]\nlisten = "127.0.0.1:0"\n'


class Gateway:
    """A running gateway on `url`. Without `config` it gets no file, only `arguments` and the environment. `launcher` is a
    command that execs it with the open files `pass_fds`, and `program` another command that is the gateway.
    """

    def __init__(
        self, folder, config=None, arguments=None, launcher=(), pass_fds=(), program=(PORTCULLIS,), **environment
    ):
        command = [*launcher, *program, "serve"]
        self._lines, self._read = [], 0
        if arguments is None:
            arguments = ["--listen", "127.0.0.1:0"] if config is None else ["--config", write(folder, config)]
        if "PORTCULLIS_LOG_FORMAT" not in environment:
            command += ["--log-format", "json"]
        command += arguments
        self.child = Child(command, folder / "gateway.log", env=clean({"STATE_DIRECTORY": str(folder / "state")} | environment), cwd=folder, pass_fds=tuple(pass_fds))
        first = self.child.wait_until(lambda: self.logged(message="listening"), "listening", seconds=150)
        self.url = f"http://{first[0]['address']}"
        # What the gateway accepts, editors must accept, too.
        assert config is None or schema.mistakes(config) == []

    def send(self, target="/", headers=(), method="GET", body=None):
        return client.send(self.url, target, headers, method, body)

    def open(self):
        """A connection to it, with nothing on it."""
        return client.open_tcp(self.url.removeprefix("http://"))

    def addresses(self, count=1, message="listening"):
        """Its listen addresses, in the order of its configuration. Each is a line of the log, and of `count` lines the last may
        come later than the first, which the constructor has waited for."""

        def places():
            lines = self.logged(message=message)
            return [line["address"] for line in lines] if len(lines) >= count else None

        return eventually(places, f"{count} × {message}")

    @property
    def admin_url(self):
        """The address of the admin listener, for a configuration with `ADMIN`."""
        [line] = self.logged(message="admin listening")
        return f"http://{line['address']}"

    def metric(self, name, **labels):
        """The value of a metric, or `None` if it was never counted."""
        answer = client.send(self.admin_url, "/metrics")
        assert answer.status == 200
        for line in answer.body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{key}="{labels[key]}"' in series for key in labels):
                return float(value)
        return None

    def connections(self, port):
        """How many connections it has to a port."""
        peers = (connection.raddr for connection in psutil.Process(self.child.process.pid).net_connections())
        return sum(bool(peer) and peer.port == port for peer in peers)

    def log(self):
        """Every complete line of the log. A line that is not a JSON object is an error."""
        with open(self.child.log, "rb") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        if whole:
            self._read += len(whole) + 1
            self._lines += [json.loads(line) for line in whole.decode(errors="replace").split("\n")]
        return list(self._lines)

    def logged(self, **fields):
        """The log's lines that have these fields."""
        return [line for line in self.log() if fields.items() <= line.items()]

    def stop(self):
        """Stops it by SIGTERM. It must exit in time and without an error."""
        code = self.child.stop()
        assert code == 0, f"exit code {code}:\n{self.child.output()[-4000:]}"


def run(*arguments, folder, config=None, launcher=(), pass_fds=(), program=(PORTCULLIS,), timeout=150, **environment):
    """Runs a command of the gateway until it exits."""
    words = [*launcher, *program, *arguments]
    if config is not None:
        words += ["--config", write(folder, config)]
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=clean({"STATE_DIRECTORY": str(Path(folder) / "state")} | environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        pass_fds=tuple(pass_fds),
    )


def write(folder, config):
    path = Path(folder) / "portcullis.toml"
    path.write_text(config)
    return path


def clean(environment):
    """The tests' environment without variables that configure a gateway, and with a cache of compiled plugins."""
    ours = ("PORTCULLIS_", "DASK_GATEWAY_", "JUPYTERHUB_")
    proxies = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(ours) and name.upper() not in proxies
    }
    return inherited | {"XDG_CACHE_HOME": str(STATE / "cache")} | environment
