"""How many instructions a request costs the gateway. Unlike its time they hardly depend on the machine, so a change that makes
the way of every request longer is noticed here. `benches/run` measures the time, of a release build beside other programs.
"""

import contextlib
import http.client
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from harness import raw_plugins
from harness.config import whoami
from harness.process import eventually

BOUNDS = {"/public": 275_000, "/reused": 430_000, "/fresh": 515_000}
"""The most instructions of one request, in a build for development without optimisation: what it costs, and a tenth more. Two runs
differ by less than a hundredth."""

WARM_UP, REQUESTS = 50, 200

VALID_FOR_AN_HOUR = r'(data (i32.const 288) "\01\00\00\00\10\0e\00\00")'
"""The field `valid-for` of the grant."""


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    return tmp_path_factory.mktemp("instructions") / "counts"


@pytest.fixture(scope="module")
def gateway(serve_module, counts):
    """A gateway under Valgrind. Its plugin is the smallest, because Valgrind makes the compiler fifty times as slow."""
    plugin = raw_plugins.component(module=VALID_FOR_AN_HOUR)

    def authenticator(name, more=""):
        return f'[authenticators.{name}]\nplugin = "{plugin}"\n{more}'

    return serve_module(
        authenticator("fresh", 'limits.reuse_decisions = "0s"\n')
        + authenticator("reused")
        + whoami(path="/public")
        + whoami("fresh", path="/fresh")
        + whoami("reused", path="/reused"),
        launcher=["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={counts}"],
    )


def threads(pid):
    """The names of a process's threads."""
    names = []
    for file in Path(f"/proc/{pid}/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # it has ended
            names.append(file.read_text())
    return names


@pytest.mark.parametrize("path", BOUNDS)
def test_a_request_costs_no_more_instructions_than_its_bound(gateway, counts, path):
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)

    def ask(times):
        for _ in range(times):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()

    def control(command):
        pid = str(gateway.child.process.pid)
        subprocess.run(["callgrind_control", command, pid], check=True, capture_output=True, timeout=60)

    ask(WARM_UP)
    eventually(lambda: "warm-up\n" not in threads(gateway.child.process.pid), "the start's own work is done", seconds=120)
    control("--zero")
    ask(REQUESTS)
    control("--dump")
    newest = max(counts.parent.glob("counts*"), key=lambda file: file.stat().st_mtime_ns)
    [total] = re.findall(r"^totals: (\d+)", newest.read_text(), re.M)
    cost = int(total) // REQUESTS
    assert BOUNDS[path] // 2 < cost <= BOUNDS[path], f"{path} costs {cost:,} instructions"
