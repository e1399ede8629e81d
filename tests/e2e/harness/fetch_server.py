"""A server for the requests of plugins. It records them, and the query of a request decides the response."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class FetchServer:
    """Listens on `url`, over TLS if `authority` is given. `clients` is the authority of demanded client certificates."""

    def __init__(self, authority=None, clients=None):
        self.seen = []
        """Method, target, headers (by lower-case name) and body of every request."""
        self.answers = {}
        """Response bodies by path. Other paths get the request's body, or else the number of requests so far."""
        self.gate = threading.Event()
        """Set by a test to answer requests for `/gated`."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        scheme = "http"
        if authority is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*authority.issue("server"))
            if clients is not None:
                context.load_verify_locations(clients.ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self):
        """Stops listening, and ends all connections."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def _handler(asked):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            target = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.seen.append((self.command, self.path, headers, body))
            answer = asked.answers.get(target.path, body) or f"answer {len(asked.seen)}".encode()
            if target.path == "/gated":
                asked.gate.wait(20)
            query = dict(parse_qsl(target.query))
            self.send_response(int(query.pop("status", 200)))
            for name, value in query.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            # So that no connection outlives the server.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    return Handler
