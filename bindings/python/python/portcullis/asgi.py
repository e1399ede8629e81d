"""Middleware for ASGI: Starlette, FastAPI, Quart, Django.

    app = Middleware(app, chain)

The application finds the user in `scope["user"]`, which Starlette shows as `request.user`: a `User`, or `None` if the path
doesn't require one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import quote

from ._portcullis import Decision, PortcullisError, Request
from ._rules import Protection, Rules, Unservable, Visitors, chain_of, for_visitors, served, unservable

__all__ = ["Middleware", "Visitors", "request_of"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def request_of(scope: Scope) -> Request:
    """The request of an ASGI scope, of HTTP or of a WebSocket."""
    raw = scope.get("raw_path")
    path = raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"], safe="/:@!$&'()*+,;=~-._")
    query = scope.get("query_string") or b""
    client = scope.get("client")
    return Request(
        scope.get("method", "GET"),
        path,
        query=query.decode("latin-1") if query else None,
        scheme="https" if scope.get("scheme") in ("https", "wss") else "http",
        headers=scope["headers"],
        client_address=client[0] if client and client[0] else None,
    )


class Middleware:
    """Asks a chain about each request, before the application sees it.

    `protection` is a chain for all paths, or a dict with a rule for each path and what is below it: a `Chain`, `Visitors(chain)`
    for paths that also serve requests without credentials, or `None` for public ones. `scope["portcullis"]` is the `Decision`.
    """

    def __init__(self, app: Application, protection: Protection) -> None:
        self.app = app
        self._rules = Rules(protection)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            rule = self._rules.rule(scope["path"])
            if rule is None:
                decision = None
            else:
                try:
                    decision = await chain_of(rule).decide(request_of(scope), visitors=for_visitors(rule))
                except PortcullisError as error:
                    raise unservable(error) from error
        except Unservable as answer:
            await _answer(scope, receive, send, answer.status, answer.headers, answer.body)
            return
        if rule is not None and decision is not None and not served(rule, decision):
            refusal = decision.refusal
            assert refusal is not None
            await _answer(scope, receive, send, refusal.status, decision.apply(refusal.headers), refusal.body)
            return
        scope = dict(scope, user=decision.user if decision else None, portcullis=decision)
        await self.app(scope, receive, _adding(send, decision) if decision and decision.adds_headers else send)


def _adding(send: Send, decision: Decision) -> Send:
    async def add(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            message = dict(message, headers=_encoded(decision.apply(message.get("headers", ()))))
        await send(message)

    return add


async def _answer(
    scope: Scope, receive: Receive, send: Send, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    kind = "http.response"
    if scope["type"] == "websocket":
        await receive()
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            # The server answers a handshake that is closed with 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    length = ("content-length", str(len(body)))
    await send({"type": f"{kind}.start", "status": status, "headers": _encoded([*headers, length])})
    await send({"type": f"{kind}.body", "body": body})


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
