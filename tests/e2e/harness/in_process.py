"""Servers in Python that ask plugins in their own process, by the authenticators of the package."""

from contextlib import contextmanager

from . import python_package
from .client import send
from .peer import Peer


class InProcess(Peer):
    """A running server. `config` is what an operator writes, the lines about `WasmAuthenticator`."""

    def __init__(self, folder, config):
        folder.mkdir(exist_ok=True)
        self.config = folder / "authenticator.py"
        self.config.write_text(config + f'\nc.WasmAuthenticator.cache_directory = "{python_package.CACHE}"\n')
        super().__init__(folder)

    def send(self, target, headers=(), method="GET"):
        return send(self.url, target, headers, method)

    def log(self):
        return self.child.output()


@contextmanager
def starter(server, folders):
    """A function that starts servers of this class, each in a folder of its own. At the end, their logs are printed and they stop."""
    running = []

    def start(config):
        running.append(server(folders.mktemp(server.NAME) / "server", config))
        return running[-1]

    yield start
    for one in running:
        print(one.log()[-8000:])
        one.stop()
