"""A peer that can't choose its own ports: it is given free ones, and is ready once a URL of its own answers."""

import os

import requests

from .process import Child, with_free_ports


class Peer:
    """A running program. What differs from peer to peer is `_launch`, and how long it may take to end."""

    NAME: str
    """What its log is called."""
    PORTS: int
    """How many ports it is given."""
    ENDS_WITHIN = 20
    """Seconds."""

    def __init__(self, folder):
        self.folder = folder
        self.child = with_free_ports(self.PORTS, self._start)

    def _launch(self, *ports):
        """Notes the URLs that follow from the ports. Returns the command, what its environment has more than the tests',
        and the URL that answers when all is up."""
        raise NotImplementedError

    def _start(self, *ports):
        command, environment, url = self._launch(*ports)
        log = self.folder / f"{self.NAME}-{ports[0]}.log"
        child = Child(command, log, env=os.environ | environment, cwd=self.folder)
        child.wait_until(lambda: _answers(url), f"{url} answers", seconds=60)
        return child

    def stop(self):
        self.child.stop(seconds=self.ENDS_WITHIN)


def _answers(url):
    try:
        return requests.get(url, timeout=2).ok
    except requests.ConnectionError:
        return False
