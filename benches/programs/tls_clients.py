"""Clients that ask over TLS while something else is measured: some keep their connection, others make a new one each time."""

import socket
import ssl
import threading
from collections import Counter


def context(authority):
    trusting = ssl.create_default_context(cafile=authority.ca)
    trusting.check_hostname = False
    return trusting


def connect(server, trusting):
    wire = socket.create_connection(("127.0.0.1", server.port), 10)
    return trusting.wrap_socket(wire, server_hostname="localhost")


class Clients:
    """Threads that ask until they are stopped, and count what became of it.

    `exchange` sends a request on a connection, and returns the answer, empty if the connection was closed. It is also given
    the number of the request. `failed` is the word for a request that isn't answered with 200.
    """

    def __init__(self, server, authority, count, exchange, failed="failed"):
        self._exchange, self._failed = exchange, failed
        self._stopped = threading.Event()
        self._counts, self._threads = [], []
        for keeps in [True, False] * count:
            counts = Counter()
            self._counts.append(counts)
            self._threads.append(threading.Thread(target=self._ask, args=(server, authority, keeps, counts)))
            self._threads[-1].start()

    def stop(self):
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        return sum(self._counts, Counter())

    def _ask(self, server, authority, keeps, counts):
        trusting, connection, turn = context(authority), None, 0
        while not self._stopped.is_set():
            turn += 1
            try:
                is_fresh = connection is None
                connection = connection or connect(server, trusting)
                answer = self._exchange(connection, turn)
                if not answer and not is_fresh:
                    counts["connections closed between requests"] += 1
                elif answer.startswith(b"HTTP/1.1 200"):
                    counts["answered"] += 1
                else:
                    counts[self._failed] += 1
                    counts[f"{self._failed}: {answer[:12].decode() or 'no answer'}"] += 1
                if not answer or not keeps:
                    connection.close()
                    connection = None
            except OSError as error:
                counts[self._failed] += 1
                counts[f"{self._failed}: {type(error).__name__}"] += 1
                connection = None
