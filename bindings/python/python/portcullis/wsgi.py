"""Middleware for WSGI: Flask, Django, Pyramid.

    app.wsgi_app = Middleware(app.wsgi_app, chain)

The application finds the user in `environ["portcullis.user"]`, a `User` or `None`, and the name in `environ["REMOTE_USER"]`. In a
server that forks, such as gunicorn, make the chain in the worker: not with `--preload`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from ._portcullis import PortcullisError, Request
from ._rules import Protection, Rules, Unservable, Visitors, chain_of, for_visitors, served, unservable

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Middleware", "Visitors", "request_of"]


def request_of(environ: WSGIEnvironment) -> Request:
    """The request of a WSGI environment (PEP 3333), whose texts have one character for each byte."""
    # The target as it was sent: gunicorn's name for it, and that of uWSGI and Werkzeug.
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    path = target.partition("?")[0]
    if not path.startswith("/"):
        path = quote(_path(environ).encode("latin-1"), safe="/:@!$&'()*+,;=~-._") or "/"
    fields = [
        (name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")
    ] + [
        (name.replace("_", "-"), environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)
    ]
    return Request(
        environ["REQUEST_METHOD"],
        path,
        query=environ.get("QUERY_STRING") or None,
        scheme=environ["wsgi.url_scheme"],
        headers=fields,
        client_address=environ.get("REMOTE_ADDR") or None,
    )


def _path(environ: WSGIEnvironment) -> str:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return str(path)


class Middleware:
    """Asks a chain about each request, before the application sees it.

    `protection` is a chain for all paths, or a dict with a rule for each path and what is below it: a `Chain`, `Visitors(chain)`
    for paths that also serve requests without credentials, or `None` for public ones. `environ["portcullis.decision"]` is the
    `Decision`.
    """

    def __init__(self, app: WSGIApplication, protection: Protection) -> None:
        self.app = app
        self._rules = Rules(protection)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            rule = self._rules.rule(_path(environ) or "/")
            if rule is None:
                decision = None
            else:
                try:
                    decision = chain_of(rule).decide_blocking(request_of(environ), visitors=for_visitors(rule))
                except PortcullisError as error:
                    raise unservable(error) from error
        except Unservable as answer:
            return _answer(start_response, answer.status, answer.reason, answer.headers, answer.body)
        if rule is not None and decision is not None and not served(rule, decision):
            refusal = decision.refusal
            assert refusal is not None
            return _answer(start_response, refusal.status, refusal.reason, decision.apply(refusal.headers), refusal.body)
        environ.pop("REMOTE_USER", None)
        environ["portcullis.user"] = user = decision.user if decision else None
        environ["portcullis.decision"] = decision
        if user is not None:
            # A name may have any character; in WSGI a text has one for each byte.
            environ["REMOTE_USER"] = user.name.encode().decode("latin-1")
        if decision is None or not decision.adds_headers:
            return self.app(environ, start_response)
        apply = decision.apply

        def adding(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            written = apply(headers)
            return start_response(status, written) if exc_info is None else start_response(status, written, exc_info)

        return self.app(environ, adding)


def _answer(
    start_response: StartResponse, status: int, reason: str, headers: list[tuple[str, str]], body: bytes
) -> Iterable[bytes]:
    start_response(f"{status} {reason}", [*headers, ("content-length", str(len(body)))])
    return [body]


