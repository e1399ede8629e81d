"""What the benchmarks share: programs pinned to a processor, what they use of it, and wrk's figures."""

import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SERVER, CLIENT = "0", "1"
"""The processors: one for the program that is measured, one for whatever loads and answers it."""


@dataclass
class Server:
    """A program that is measured."""

    name: str
    pid: int
    port: int

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"


def need(*tools):
    """Ends the benchmark when a program is missing."""
    for tool in tools:
        if not program(tool):
            sys.exit(f"{tool} is missing: apt-get install nginx haproxy wrk util-linux")


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def pinned(command, log, processor=SERVER, **options):
    """A program on one processor for as long as the context lasts. Yields its process id."""
    with log.open("wb") as sink:
        command = ["taskset", "-c", processor, *map(str, command)]
        process = subprocess.Popen(command, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, **options)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def portcullis(folder, binary, config, level="warn,portcullis::serve=info", **environment):
    """The gateway with a configuration that listens on port 0."""
    file, log = folder / "portcullis.toml", folder / "portcullis.log"
    file.write_text(config)
    command = [binary, "serve", "--config", file, "--log-format", "json", "--log-level", level]
    with pinned(command, log, env=os.environ | environment) as pid:
        yield Server("portcullis", pid, listening(log))


@contextlib.contextmanager
def nginx(folder, name, http, processor=SERVER, workers=False):
    """nginx with the contents of an `http` block in which `{port}` is its own: one process, or with `workers` one and a
    master that can be told to reload."""
    own, port = folder / name, free_port()
    own.mkdir()
    temporary = " ".join(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (own / "nginx.conf").write_text(
        f"daemon off; master_process {'on' if workers else 'off'}; worker_processes 1; pid nginx.pid;\n"
        "user root; error_log stderr warn; worker_rlimit_nofile 20000;\n"
        "events { worker_connections 12000; }\n"
        f"http {{ access_log off; {temporary}\n{http.replace('{port}', str(port))} }}\n"
    )
    with pinned([program("nginx"), "-p", own, "-c", "nginx.conf"], own / "log", processor) as pid:
        connects(name, port)
        yield Server(name, pid, port)


ENVOY = """
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: bench
                use_remote_address: true
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{{ match: {{ prefix: / }}, {action} }}]
                http_filters:
                  {filter}
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: service
      connect_timeout: 1s
      {protocol}
      load_assignment:
        cluster_name: service
        endpoints:
          - lb_endpoints:
              - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {service} }} }} }}
"""


@contextlib.contextmanager
def envoy(folder, service, action, filter="", protocol=""):
    """Envoy with one worker before one service, which is its cluster `service`. `action`: what it does with a request;
    `filter`: one that comes before that."""
    port = free_port()
    config = folder / f"envoy-{port}.yaml"
    config.write_text(ENVOY.format(port=port, service=service, action=action, filter=filter, protocol=protocol))
    command = [ROOT / "tests/.state/venv/bin/envoy", "-c", config, "--concurrency", "1", "--disable-hot-restart"]
    with pinned([*command, "--log-level", "error"], folder / f"envoy-{port}.log") as pid:
        connects("envoy", port)
        yield Server("envoy", pid, port)


def listening(log):
    """The port that the gateway's log names."""
    for _ in range(600):
        found = re.search(r'"message":"listening","address":"127\.0\.0\.1:(\d+)"', log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.1)
    sys.exit(f"portcullis didn't start:\n{log.read_text()}")


def connects(name, port):
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    sys.exit(f"{name} didn't start")


@dataclass
class Load:
    """What a round of wrk came to: requests per second, microseconds of processor time for each, and milliseconds that
    half of them and all but a hundredth took at most."""

    requests: int
    rate: float
    cost: float
    p50: float
    p99: float


def wrk(server, url, seconds, connections=32, script=None, headers=()):
    """One round. Anything but answers of 2xx ends the benchmark."""
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


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def status_of(port, path="/", headers=()):
    """The status of one request."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        lines = [f"GET {path} HTTP/1.1", "Host: x", *headers, "Connection: close", "", ""]
        client.sendall("\r\n".join(lines).encode())
        return int(client.recv(64).split(b" ")[1])


def spread(values, digits=1):
    """Median, least and most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"
