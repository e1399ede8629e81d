"""HAProxy with one thread."""

import contextlib

from .process import Server, connects, free_port, pinned, program

CONFIG = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout client 600s
    timeout server 10s
    timeout connect 1s
frontend f
    bind 127.0.0.1:{port}
{rules}
"""


@contextlib.contextmanager
def haproxy(folder, rules):
    """HAProxy with a frontend of these rules."""
    port = free_port()
    config, log = folder / "haproxy.cfg", folder / "haproxy.log"
    config.write_text(CONFIG.format(port=port, rules=rules))
    with pinned([program("haproxy"), "-f", config], log) as pid:
        connects("haproxy", port, log)
        yield Server("haproxy", pid, port)
