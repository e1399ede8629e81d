"""wrk, which sends requests and tells how long their answers took."""

import re
import subprocess
import sys
from dataclasses import dataclass

from .process import CLIENT, processor_seconds

CONNECTIONS = 32


@dataclass
class Load:
    """What a round of wrk came to: requests, how many in a second, microseconds of processor time for each, and milliseconds
    that half of them and all but a hundredth took at most."""

    requests: int
    rate: float
    cost: float
    p50: float
    p99: float


def wrk(server, url, seconds, connections=CONNECTIONS, script=None, headers=()):
    """One round, with the cost of `server`. Anything but answers of 2xx ends the benchmark."""
    command = ["taskset", "-c", CLIENT, "wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s"]
    command += ["-s", str(script)] if script else []
    command += [word for header in headers for word in ("-H", header)]
    before = processor_seconds(server.pid)
    output = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    used = processor_seconds(server.pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{server.name}: {output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    times = {rank: milliseconds(value) for rank, value in re.findall(r"(50|99)%\s+([\d.]+\w+)", output)}
    return Load(requests, rate, used / requests * 1e6, times["50"], times["99"])


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]
