"""Sandboxed WebAssembly authenticators and authorizers inside a Python server.

    from portcullis import Authenticator, Chain, Request

    chain = Chain(Authenticator("people", "simple", settings={"password": "secret"}))
    decision = await chain.decide(Request("GET", "/", headers={"Authorization": "Basic YWxpY2U6c2VjcmV0"}))
    decision.user.name

`portcullis.dask_gateway` and `portcullis.jupyterhub` have authenticators for these servers; `portcullis.asgi`,
`portcullis.wsgi` and `portcullis.aiohttp` have middleware; `portcullis.testing` asks plugins in tests, and
`portcullis.prometheus` exports metrics. The command `portcullis` is the gateway.
"""

from ._portcullis import (
    Authenticator,
    Authorizer,
    Chain,
    ClosedError,
    Component,
    ConfigurationError,
    Decision,
    Engine,
    EngineError,
    ForkError,
    LoadError,
    Permit,
    PluginDirectory,
    PortcullisError,
    Request,
    RequestError,
    Response,
    Sessions,
    Step,
    User,
    builtin_plugins,
)

__all__ = [
    "Authenticator",
    "Authorizer",
    "Chain",
    "ClosedError",
    "Component",
    "ConfigurationError",
    "Decision",
    "Engine",
    "EngineError",
    "ForkError",
    "LoadError",
    "Permit",
    "PluginDirectory",
    "PortcullisError",
    "Request",
    "RequestError",
    "Response",
    "Sessions",
    "Step",
    "User",
    "builtin_plugins",
]
