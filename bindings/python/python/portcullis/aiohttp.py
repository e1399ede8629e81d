"""Authentication for aiohttp's server.

    app = web.Application()
    setup(app, chain)

The handler finds the user in `request["user"]`: a `User`, or `None` if the path doesn't require one.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from ._portcullis import Decision, PortcullisError, Request, Response
from ._rules import Protection, Rules, Unservable, Visitors, chain_of, for_visitors, served, unservable

__all__ = ["Visitors", "answer_of", "apply_decision", "request_of", "setup"]


def request_of(request: web.BaseRequest, client_address: str | None = None) -> Request:
    """The request of aiohttp's server. `client_address` is by default the peer's."""
    path, mark, query = request.raw_path.partition("?")
    if client_address is None:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        # The peer of a Unix socket is a text, which is often empty.
        client_address = peer[0] if isinstance(peer, tuple) and peer else None
    return Request(
        request.method,
        path,
        query=query if mark else None,
        scheme=request.scheme,
        headers=request.raw_headers,
        client_address=client_address,
    )


def setup(app: web.Application, protection: Protection) -> None:
    """Asks a chain about each request, before a handler of `app` sees it.

    `protection` is a chain for all paths, or a dict with a rule for each path and what is below it: a `Chain`, `Visitors(chain)`
    for paths that also serve requests without credentials, or `None` for public ones. `request["portcullis"]` is the `Decision`.
    """
    rules = Rules(protection)

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            rule = rules.rule(request.path)
            if rule is None:
                decision = None
            else:
                try:
                    decision = await chain_of(rule).decide(request_of(request), visitors=for_visitors(rule))
                except PortcullisError as error:
                    raise unservable(error) from error
        except Unservable as answer:
            return answer_of(answer)
        if rule is not None and decision is not None and not served(rule, decision):
            refusal = decision.refusal
            assert refusal is not None
            return answer_of(refusal, decision)
        request["user"] = decision.user if decision else None
        request["portcullis"] = decision
        return await handler(request)

    app.middlewares.append(authenticate)
    app.on_response_prepare.append(apply_decision)


async def apply_decision(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: adds to a response what the decision about its request adds, whatever its status."""
    decision = request.get("portcullis")
    if decision is not None and decision.adds_headers:
        applied = decision.apply(list(response.headers.items()))
        response.headers.clear()
        response.headers.extend(applied)


def answer_of(refusal: Response | Unservable, decision: Decision | None = None) -> web.Response:
    """A refusal as a response of aiohttp, with what the decision adds."""
    headers = decision.apply(refusal.headers) if decision else refusal.headers
    return web.Response(
        status=refusal.status, reason=refusal.reason, body=refusal.body, headers=CIMultiDict(headers)
    )
