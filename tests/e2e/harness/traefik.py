"""Traefik's `forwardAuth`, replayed: what Traefik sends and what it does with the answer, as its source has it
(pkg/middlewares/auth/forward.go and pkg/middlewares/forwardedheaders of v3), configured by Traefik's own file.

There is no package of Traefik to install, so this stands between the tests' client and the gateway in its place.
"""

import re
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin, urlsplit

import yaml

HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
}
X_HEADERS = {
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-prefix",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-real-ip",
}
"""What the entry point removes from a client that isn't trusted."""


class Replay:
    """Runs in a thread; has the face of a child process."""

    def __init__(self, file, port, log):
        configuration = yaml.safe_load(file.read_text())["http"]
        self.log = log
        middlewares = configuration["middlewares"]
        self.auth = middlewares["portcullis"]["forwardAuth"]
        self.added = {}
        for name in configuration["routers"]["app"]["middlewares"]:
            self.added |= middlewares[name].get("headers", {}).get("customRequestHeaders", {})
        address = lambda service: configuration["services"][service]["loadBalancer"]["servers"][0]["url"]
        self.upstream, self.pages = address("app"), address("portcullis-pages")
        [rule] = re.findall(r"^PathRegexp\(`(.*)`\)$", configuration["routers"]["portcullis-pages"]["rule"])
        self.is_page = re.compile(rule).search
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                replay.answer(self)

            do_GET = do_POST = do_HEAD = do_OPTIONS = do_PUT = do_DELETE = handle_any

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def wait_until(self, condition, *_):
        assert condition()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def answer(self, handler):
        length = int(handler.headers.get("content-length", 0))
        body = handler.rfile.read(length)
        hosts = handler.headers.get_all("host") or []
        if len(hosts) != 1:
            return reply(handler, 400, [], b"")
        # `handler.path` has no two slashes at its beginning, whatever came.
        target = handler.raw_requestline.decode("latin-1").split(" ")[1]
        address = urlsplit(target) if target.startswith("http://") else None
        host = address.netloc if address else hosts[0]
        target = target.split(address.netloc, 1)[1] if address else target
        # The entry point drops what `Connection` names before anything is added.
        named = {name.strip().lower() for value in handler.headers.get_all("connection") or [] for name in value.split(",")}
        dropped = {"host", "content-length", "connection"} | named | X_HEADERS | {name.lower() for name in self.added}
        headers = [(name, value) for name, value in handler.headers.items() if name.lower() not in dropped]
        headers += self.added.items()
        peer = handler.client_address[0]
        if self.is_page(urlsplit(target).path):
            headers += [("X-Forwarded-For", peer), ("X-Forwarded-Host", host), ("X-Forwarded-Proto", "http")]
            return reply(handler, *send(self.pages, handler.command, target, headers, body, host))
        asked = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
        asked += [
            ("X-Forwarded-For", peer),
            ("X-Forwarded-Method", handler.command),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", host),
            ("X-Forwarded-Uri", target),
        ]
        try:
            status, said, said_body = send(self.auth["address"], "GET", None, asked, b"", None)
        except OSError:
            return reply(handler, 500, [], b"")
        if not 200 <= status < 300:
            # The response's own Location is resolved against the address that was asked.
            said = [
                (name, urljoin(self.auth["address"], value) if name.lower() == "location" else value)
                for name, value in said
                if name.lower() not in HOP_BY_HOP | {"content-length"}
            ]
            return reply(handler, status, said, said_body)
        copied = re.compile(self.auth["authResponseHeadersRegex"])
        headers = [(name, value) for name, value in headers if not copied.match(name)]
        headers += [(name, value) for name, value in said if copied.match(name)]
        headers = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
        headers += [("X-Forwarded-For", peer), ("X-Forwarded-Host", host), ("X-Forwarded-Proto", "http")]
        status, answered, content = send(self.upstream, handler.command, target, headers, body, host)
        cookies = [
            (name, value)
            for name, value in said
            if name.lower() == "set-cookie" and value.split("=")[0] in self.auth["addAuthCookiesToResponse"]
        ]
        kept = [pair for pair in answered if pair[0].lower() not in HOP_BY_HOP | {"content-length"}]
        reply(handler, status, kept + cookies, content)


def send(address, method, target, headers, body, host):
    url = urlsplit(address)
    connection = HTTPConnection(url.hostname, url.port, timeout=30)
    connection.putrequest(method, target or url.path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host or url.netloc)
    for name, value in headers:
        connection.putheader(name, value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body:
        connection.send(body)
    response = connection.getresponse()
    answer = response.status, response.getheaders(), response.read()
    connection.close()
    return answer


def reply(handler, status, headers, body):
    handler.send_response_only(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
