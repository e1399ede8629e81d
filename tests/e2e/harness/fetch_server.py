"""A server that plugins ask: an identity provider, say. It remembers what it was asked, and answers as the query says."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class FetchServer:
    """Listens on `url`. With an authority it speaks TLS; with `clients`, it asks clients for a certificate of theirs."""

    def __init__(self, authority=None, clients=None):
        self.seen = []
        """Method, target, headers (by lower-case name) and body of every request."""
        self.answers = {}
        """What to answer with, by path; else with the request's body, or with how many requests there were."""
        self.gate = threading.Event()
        """Requests for `/gated` are answered once it is set."""
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
        """Nobody listens any more, and no connection stays."""
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
