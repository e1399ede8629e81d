"""The gateway under measurement."""

import contextlib
import os
import re
import sys
import time

from .process import ROOT, Server, pinned

RELEASE = ROOT / "target/release/portcullis"
CACHE = ROOT / "tests/.state/cache"
"""Where it keeps compiled plugins, so that only the first start compiles them."""

QUIET = "warn,portcullis_gateway::serve=info,portcullis::plugin::snapshot=info"
"""The level of a log without the audit line, and with the lines that the benchmarks wait for."""
AUDIT = "info"


WHOAMI = "portcullis:whoami"


def authenticator(name, plugin, more=""):
    """A section of the configuration. `more` are lines of it."""
    return f'[authenticators.{name}]\nplugin = "{plugin}"\n{more}'


def route(upstream=WHOAMI, *authenticators, path="/"):
    """A route, which is public unless authenticators are given."""
    asked = f"authenticators = {list(authenticators)}" if authenticators else "public = true"
    return f'[[routes]]\npath = "{path}"\n{asked}\n' + (f'upstream = "{upstream}"\n' if upstream else "")


@contextlib.contextmanager
def portcullis(folder, binary, config, level=QUIET, **environment):
    """The gateway with a configuration that listens on port 0. Its log isn't in the folder of the configuration, in which the
    gateway would be told of every line as of a change."""
    file, log = folder / "config/portcullis.toml", folder / "portcullis.log"
    file.parent.mkdir()
    file.write_text(config)
    command = [binary, "serve", "--config", file, "--log-format", "json", "--log-level", level]
    environment = os.environ | {"XDG_CACHE_HOME": str(CACHE)} | environment
    with pinned(command, log, env=environment) as pid:
        yield Server("portcullis", pid, listening(log))


def listening(log, message="listening", interval=0.05):
    """The port that the log names for one of its listeners."""
    pattern = rf'"message":"{message}","address":"127\.0\.0\.1:(\d+)"'
    return int(logged(log, pattern, 1, 180, "portcullis didn't start", interval)[0])


def copied(log, count=1):
    """Waits until the plugins of `count` authenticators have been copied, or can't be: what a request costs changes then."""
    pattern = r'"message":"(each call [^"]+)"'
    return logged(log, pattern, count, 180, "no copy of the plugin was made")


def logged(log, pattern, count, seconds, failure, interval=0.05):
    """The groups of a pattern, once the log has it `count` times."""
    deadline = time.monotonic() + seconds
    while len(found := re.findall(pattern, log.read_text(errors="replace"))) < count:
        if time.monotonic() > deadline:
            sys.exit(f"{failure}:\n{log.read_text()[-4000:]}")
        time.sleep(interval)
    return found
