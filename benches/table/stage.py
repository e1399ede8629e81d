"""What the programs of a run share: a temporary folder, tokens, an upstream. Each is made when it is first needed."""

import contextlib
import functools
import os
import secrets
import sys
import tempfile
from pathlib import Path

from programs.nginx import nginx
from programs.process import CLIENT, ROOT

from .tokens import Tokens

UPSTREAM = 'server { listen 127.0.0.1:{port}; keepalive_requests 1000000000; return 200 "ok"; }'


class Stage:
    """The surroundings of one run of the benchmark. A context manager, which removes them."""

    def __init__(self, portcullis, tokens):
        self.portcullis, self.count = portcullis, tokens
        self._exit = contextlib.ExitStack()

    def __enter__(self):
        self._root = Path(self._exit.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *error):
        self._exit.close()

    def folder(self, name):
        """A new folder of its own."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._root))

    def tokens(self, algorithm, count=None):
        """Tokens that every side with the same arguments shares; without a count, as many as the run was told."""
        return self._tokens(algorithm, count or self.count)

    @functools.cache
    def _tokens(self, algorithm, count):
        return Tokens(self.folder(algorithm), algorithm, count)

    @functools.cached_property
    def upstream(self):
        """The port of an nginx beside the load generator, which answers every request."""
        return self._exit.enter_context(nginx(self.folder("upstream"), UPSTREAM, processor=CLIENT)).port

    @functools.cached_property
    def session_key(self):
        return secrets.token_hex(32)

    @functools.cached_property
    def build(self):
        """What builds the plugins of the tests. The Rust plugins need cargo, the others what `benches/run` installs."""
        sys.path.insert(0, str(ROOT / "tests/e2e"))
        os.environ.setdefault("PORTCULLIS_BIN", str(self.portcullis))
        from harness import build

        return build
