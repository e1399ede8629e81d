"""Reloads of a running gateway: a test puts another configuration in place, and asks as `portcullis reload` does.

The gateway follows its files, too, so it may have taken up a change before it is asked. Hence what a reload has
changed is read from the log, which says so whoever asked.
"""

import os
import re
import signal

from .client import send
from .gateway import ADMIN, run
from .process import eventually

LISTEN = '"127.0.0.1:0"'
RELOAD = {"X-Portcullis-Reload": "1"}
"""The header without which a request for a reload is refused."""

CHANGE = re.compile(r"[+~-][a-z]")
DONE = "the configuration was reloaded"
FAILED = "the configuration can't be reloaded, so the previous one is still in use"


def text(config="", server="", listen=LISTEN, admin=ADMIN):
    """The configuration that `start` writes."""
    return f"[server]\nlisten = {listen}\n{server}{admin}{config}"


def start(serve, config="", server="", listen=LISTEN, **options):
    """A gateway whose reloads can be asked for."""
    return serve(ADMIN + config, server, listen, **options)


def folder(gateway):
    return gateway.child.log.parent


def put(path, content, mode=0o644):
    """Replaces a file at once, as a careful editor does."""
    beside = path.with_name(f"{path.name}.new~")
    beside.write_text(content)
    beside.chmod(mode)
    os.replace(beside, path)


def put_secret(path, content):
    put(path, content, 0o600)
    return path


def configure(gateway, *config, **more):
    """Puts another configuration in place, and doesn't ask for the reload."""
    put(folder(gateway) / "portcullis.toml", text(*config, **more))


def ask(gateway):
    """Asks for a reload, and returns the answer when it has ended."""
    return send(gateway.admin_url, "/reload", RELOAD, "POST", b"")


def command(gateway, file="portcullis.toml"):
    """Runs `portcullis reload` beside a gateway that has its admin listener on a Unix socket."""
    return run("reload", "--config", file, folder=folder(gateway))


def reload(gateway, *config, **more):
    """Reloads, with another configuration if one is given, and returns what has changed."""
    before = len(written(gateway))
    if config or more:
        configure(gateway, *config, **more)
    answer = ask(gateway)
    assert answer.status == 200, answer.body.decode()
    return changes(written(gateway)[before:])


def refused(gateway, *config, **more):
    """Reloads what can't be used, and returns what is said of it."""
    if config or more:
        configure(gateway, *config, **more)
    answer = ask(gateway)
    assert answer.status == 422, answer.body.decode()
    said, _, last = answer.body.decode().rstrip("\n").rpartition("\n")
    assert last == "the previous configuration is still in use"
    return said


def changes(lines):
    """The changes that lines of the log tell of."""
    return [line["message"] for line in lines if CHANGE.match(line["message"])]


def written(gateway):
    """The log with every line up to now. Lines are written in order, and this signal makes one."""
    message = "a signal is ignored: SIGHUP reloads the configuration"
    known = len(gateway.logged(message=message))
    gateway.child.process.send_signal(signal.SIGUSR1)
    eventually(lambda: len(gateway.logged(message=message)) > known, "the log is written")
    return gateway.log()


def hang_up(gateway):
    gateway.child.process.send_signal(signal.SIGHUP)


def reloads(gateway, outcome):
    """How many reloads have ended in this way."""
    return gateway.metric("portcullis_reloads_total", outcome=outcome) or 0
