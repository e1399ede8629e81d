"""A registry that answers each path as a test says, with TLS, and remembers what it was asked."""

import hashlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def sha256(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class HostileRegistry:
    """A server at `host`. `answers` is what it says by path: bytes, or a function that gets the handler of the request.
    `seen` has the path and the headers of each request, with names in small letters."""

    def __init__(self, folder, authority, name="127.0.0.1"):
        self.answers, self.seen = {}, []
        self.stopped = threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                registry.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                answer = registry.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif callable(answer):
                    answer(self)
                else:
                    reply(self, answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(f"hostile-{name}-{self._server.server_port}"))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"{name}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def honest(self, wasm, repository="team/guard", tag="1.0", **more):
        """Serves a component as an honest registry does. Returns the digest of the manifest."""
        manifest = json.dumps(manifest_of(wasm, **more)).encode()
        self.answers = {
            f"/v2/{repository}/manifests/{tag}": manifest,
            f"/v2/{repository}/manifests/{sha256(manifest)}": manifest,
            f"/v2/{repository}/blobs/{sha256(wasm)}": wasm,
        }
        return sha256(manifest)


def manifest_of(wasm, media_type="application/wasm", **more):
    config = {"mediaType": "application/vnd.wasm.config.v0+json", "digest": sha256(b"{}"), "size": 2}
    layer = {"mediaType": media_type, "digest": sha256(wasm), "size": len(wasm)}
    return {"schemaVersion": 2, "config": config, "layers": [layer]} | more


def reply(handler, body, status=200, length=None, **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def endless(handler):
    """Ten gigabytes and more, until the client has enough."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


def hangs(registry, begun=b""):
    """Begins an answer, and never ends it."""

    def answer(handler):
        if begun:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(begun)
        registry.stopped.wait(60)

    return answer


def redirects(location):
    return lambda handler: reply(handler, b"", 307, Location=location)
