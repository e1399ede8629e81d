"""Debian's `redis-server`: alone, with a password or an ACL or TLS, far away, with a replica and a Sentinel, or as a cluster."""

import contextlib
import signal
import socket
import subprocess
import threading
import time

from .process import Child, eventually, free_ports, with_free_ports
from .sockets import SocketServer


class Redis:
    """A running server on `port`, which keeps nothing on its disk. It can be started again at its port, and is empty then."""

    def __init__(self, folder, *options, port=None, tls=None, password=None):
        self.folder, self.options, self.tls, self.password = folder, options, tls, password
        folder.mkdir(exist_ok=True)
        self.port = port
        if port is None:
            with_free_ports(1, self._begin)
        else:
            self.start()

    def _begin(self, port):
        self.port = port
        self.start()

    def start(self):
        plain, secret = (0, self.port) if self.tls else (self.port, 0)
        words = ["--port", plain, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.folder, "--protected-mode", "no"]
        if self.tls:
            authority, certificate, key = self.tls
            words += ["--tls-port", secret, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority, "--tls-auth-clients", "no"]
        if self.password:
            words += ["--requirepass", self.password]
        self.child = Child(["redis-server", *words, *self.options], self.folder / "redis.log")
        self.child.wait_until(lambda: "Ready to accept connections" in self.child.output() and self._answers(), "Redis listens")

    def _answers(self):
        return self.say("PING", check=False) in ("PONG", "NOAUTH Authentication required.")

    @property
    def url(self):
        return f"redis{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def say(self, *words, check=True):
        """What it answers to a command."""
        secure = ["--tls", "--cacert", self.tls[0]] if self.tls else []
        login = ["-a", self.password, "--no-auth-warning"] if self.password else []
        command = ["redis-cli", "-p", self.port, *secure, *login, *words]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def count(self, command):
        """How often a command was called."""
        for line in self.say("INFO", "commandstats").splitlines():
            if line.startswith(f"cmdstat_{command}:"):
                return int(line.split("calls=")[1].split(",")[0])
        return 0

    def everything(self):
        """All that it has, as one text of bytes."""
        found = b""
        for name in self.say("KEYS", "*").splitlines():
            done = subprocess.run(["redis-cli", "-p", str(self.port), "--no-raw", "DUMP", name], capture_output=True, timeout=20)
            found += name.encode() + done.stdout
        return found

    @contextlib.contextmanager
    def load(self):
        """Fifty other clients that write and read as fast as it lets them."""
        command = ["redis-benchmark", "-p", self.port, "-c", 50, "-t", "set,get", "-d", 1000, "-r", 10_000, "-l", "-q"]
        child = Child(command, self.folder / "load.log")
        try:
            eventually(lambda: self.count("set") > 1000, "other clients write")
            yield
        finally:
            child.kill()

    def kill(self):
        self.child.kill()

    def pause(self):
        self.child.signal(signal.SIGSTOP)

    def resume(self):
        self.child.signal(signal.SIGCONT)

    def stop(self):
        # Also one that is stopped.
        self.child.kill()


class FarAway(SocketServer):
    """The way to a server, on which each answer takes `seconds`."""

    def __init__(self, server, seconds=0.0):
        self.server, self.seconds = server, seconds
        super().__init__()
        self.url = f"redis://{self.address}"

    def serve(self, wire):
        with socket.create_connection(("127.0.0.1", self.server.port)) as server:
            back = threading.Thread(target=self._answers, args=[server, wire], daemon=True)
            back.start()
            while piece := wire.recv(65536):
                server.sendall(piece)
        back.join(10)

    def _answers(self, server, wire):
        with contextlib.suppress(OSError):
            while piece := server.recv(65536):
                time.sleep(self.seconds)
                wire.sendall(piece)


class WithSentinel:
    """A server, its replica, and the Sentinel that puts one in the other's place. The servers may have a password, and the Sentinel
    another one."""

    NAME = "main"

    def __init__(self, folder, password=None, sentinel_password=None):
        folder.mkdir(exist_ok=True)
        # Each logs in at the other, whichever is the replica.
        login = ["--masterauth", password] if password else []
        self.first = Redis(folder / "first", *login, password=password)
        self.second = Redis(folder / "second", "--replicaof", "127.0.0.1", self.first.port, *login, password=password)
        [self.port] = free_ports(1)
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\nsentinel monitor {self.NAME} 127.0.0.1 {self.first.port} 1\n"
            f"sentinel down-after-milliseconds {self.NAME} 500\nsentinel failover-timeout {self.NAME} 2000\n"
            + (f"sentinel auth-pass {self.NAME} {password}\n" if password else "")
            + (f"requirepass {sentinel_password}\n" if sentinel_password else "")
        )
        self.child = Child(["redis-sentinel", config], folder / "sentinel.log")
        self.child.wait_until(lambda: "slave0" in self.first.say("INFO", "replication") and "+slave" in self.child.output(), "the Sentinel knows both")

    @property
    def url(self):
        return f"redis-sentinel://127.0.0.1:{self.port}?sentinelServiceName={self.NAME}"

    def fail_over(self):
        """Kills the server. Returns when the replica has its place."""
        self.first.kill()
        eventually(lambda: "role:master" in self.second.say("INFO", "replication"), "the replica has its place", seconds=30)

    def stop(self):
        for server in (self.child, self.first, self.second):
            server.kill()


class Cluster:
    """Three servers that share the names."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        more = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        # Each talks to the others at a port that is higher by this much.
        self.servers = [Redis(folder / str(n), *more, "--cluster-port", port) for n, port in enumerate(free_ports(3))]
        addresses = [f"127.0.0.1:{server.port}" for server in self.servers]
        made = subprocess.run(["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"], capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout + made.stderr
        for server in self.servers:
            eventually(lambda: "cluster_state:ok" in server.say("CLUSTER", "INFO"), "the cluster works", seconds=30)  # noqa: B023

    @property
    def url(self):
        first, *others = self.servers
        return f"redis-cluster://127.0.0.1:{first.port}?" + "&".join(f"node=127.0.0.1:{server.port}" for server in others)

    def stop(self):
        for server in self.servers:
            server.stop()
