import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, final

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
    "_PlayedServers",
    "_main",
    "_settle",
    "_unknown_key",
    "builtin_plugins",
]

_Source: TypeAlias = str | os.PathLike[str] | bytes
_Octets: TypeAlias = str | bytes
_Fields: TypeAlias = dict[str, str] | dict[str, bytes] | Iterable[tuple[_Octets, _Octets]]
_Level: TypeAlias = Literal["error", "warn", "info", "debug", "trace"]
_Metrics: TypeAlias = Callable[[str, Literal["counter", "gauge", "histogram"], dict[str, str], float], object]

class PortcullisError(Exception): ...
class EngineError(PortcullisError): ...
class ForkError(EngineError): ...
class ClosedError(EngineError): ...
class LoadError(PortcullisError): ...

class ConfigurationError(PortcullisError):
    mistakes: tuple[str, ...]

class RequestError(PortcullisError): ...

def builtin_plugins() -> list[str]: ...
def _main(arguments: list[str], program: str) -> int: ...
def _settle(settlements: list[tuple[asyncio.Future[Decision], Decision | None]]) -> None: ...
def _unknown_key(key: str, known: list[str]) -> str: ...

@final
class Engine:
    def __new__(
        cls,
        *,
        cache_directory: str | os.PathLike[str] | None = None,
        memory: int | None = None,
        concurrency: int | None = None,
        threads: int | None = None,
        registries: Mapping[str, Mapping[str, object]] | None = None,
        store_directory: str | os.PathLike[str] | None = None,
        lock_file: str | os.PathLike[str] | None = None,
        metrics: _Metrics | None = None,
    ) -> Engine: ...
    @staticmethod
    def _at(
        place: str,
        *,
        cache_directory: str | os.PathLike[str] | None = None,
        registries: Mapping[str, Mapping[str, object]] | None = None,
        store_directory: str | os.PathLike[str] | None = None,
        lock_file: str | os.PathLike[str] | None = None,
        metrics: _Metrics | None = None,
    ) -> Engine: ...
    @staticmethod
    def current() -> Engine: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...

@final
class Component:
    def __new__(
        cls, source: _Source, *, sha256: str | None = None, trust: Sequence[str] | None = None
    ) -> Component: ...
    @property
    def digest(self) -> str | None: ...
    @property
    def contract(self) -> str | None: ...

@final
class Authenticator:
    def __new__(
        cls,
        name: str,
        plugin: Component | _Source,
        *,
        settings: Mapping[str, Any] | None = None,
        grants: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        sha256: str | None = None,
        trust: Sequence[str] | None = None,
        instances: Mapping[str, Any] | None = None,
        http_ca: str | None = None,
        http_certificate: str | None = None,
        http_key: str | None = None,
        http_headers: Mapping[str, Mapping[str, str]] | None = None,
        http_refresh_floor: str | None = None,
        negotiate: Mapping[str, Mapping[str, Any]] | None = None,
        log: _Level | None = None,
    ) -> Authenticator: ...
    @staticmethod
    def _at(place: str, name: str, plugin: Component | _Source, keys: dict[str, Any]) -> Authenticator: ...
    @property
    def name(self) -> str: ...
    @property
    def warnings(self) -> list[str]: ...
    def forget_decisions(self) -> None: ...

@final
class Authorizer:
    def __new__(
        cls,
        name: str,
        plugin: Component | _Source,
        *,
        settings: Mapping[str, Any] | None = None,
        grants: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        sha256: str | None = None,
        trust: Sequence[str] | None = None,
        instances: Mapping[str, Any] | None = None,
        http_ca: str | None = None,
        http_certificate: str | None = None,
        http_key: str | None = None,
        http_headers: Mapping[str, Mapping[str, str]] | None = None,
        http_refresh_floor: str | None = None,
        negotiate: Mapping[str, Mapping[str, Any]] | None = None,
        log: _Level | None = None,
    ) -> Authorizer: ...
    @staticmethod
    def _at(place: str, name: str, plugin: Component | _Source, keys: dict[str, Any]) -> Authorizer: ...
    @property
    def name(self) -> str: ...
    @property
    def warnings(self) -> list[str]: ...
    def forget_decisions(self) -> None: ...

@final
class Chain:
    def __new__(
        cls, *authenticators: Authenticator, authorizers: Sequence[Authorizer] | None = None, sessions: Sessions | None = None
    ) -> Chain: ...
    @property
    def authenticators(self) -> list[Authenticator]: ...
    @property
    def authorizers(self) -> list[Authorizer]: ...
    def decide(self, request: Request, *, visitors: bool = False) -> Coroutine[Any, None, Decision]: ...
    def decide_blocking(self, request: Request, *, visitors: bool = False) -> Decision: ...
    def forget_decisions(self) -> None: ...

@final
class PluginDirectory:
    def __new__(
        cls,
        path: str | os.PathLike[str],
        *,
        trust: Sequence[str] | None = None,
        negotiate: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> PluginDirectory: ...
    @staticmethod
    def _at(
        place: str,
        path: str | os.PathLike[str],
        trust: Sequence[str] | None,
        negotiate: Mapping[str, Mapping[str, Any]] | None,
    ) -> PluginDirectory: ...
    def __getitem__(self, name: str, /) -> Authenticator | Authorizer: ...
    @property
    def authenticators(self) -> list[str]: ...
    @property
    def authorizers(self) -> list[str]: ...
    @property
    def warnings(self) -> list[str]: ...

@final
class _PlayedServers:
    def __new__(cls, servers: Sequence[Mapping[str, Any]]) -> _PlayedServers: ...
    def authenticator(self, name: str, plugin: Component | _Source, keys: dict[str, Any]) -> Authenticator: ...
    def authorizer(self, name: str, plugin: Component | _Source, keys: dict[str, Any]) -> Authorizer: ...
    @staticmethod
    def rule(
        authorizer: Authorizer, request: Request, user: dict[str, Any] | None
    ) -> tuple[int, str, str, list[tuple[str, str]], list[str]]: ...
    def take_calls(self) -> list[tuple[str, str, list[tuple[str, str]], bytes, bool]]: ...

@final
class Request:
    def __new__(
        cls,
        method: str,
        path: str,
        *,
        query: str | None = None,
        scheme: str = "http",
        authority: str | None = None,
        headers: _Fields | None = None,
        client_address: str | None = None,
        client_certificate: bytes | None = None,
        channel_binding: bytes | None = None,
        id: str | None = None,
    ) -> Request: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...

@final
class Decision:
    @property
    def user(self) -> User | None: ...
    @property
    def refusal(self) -> Response | None: ...
    @property
    def permits(self) -> list[Permit]: ...
    @property
    def lacks_credentials(self) -> bool: ...
    @property
    def steps(self) -> list[Step]: ...
    @property
    def adds_headers(self) -> bool: ...
    @property
    def via_session(self) -> bool: ...
    def apply(self, headers: _Fields) -> list[tuple[str, str]]: ...

@final
class User:
    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> list[str]: ...
    @property
    def admin(self) -> bool: ...
    @property
    def attributes(self) -> list[tuple[str, str]]: ...
    def attribute(self, name: str) -> str | None: ...
    @property
    def is_authenticated(self) -> bool: ...
    @property
    def display_name(self) -> str: ...
    @property
    def authenticator(self) -> str: ...
    @property
    def valid_for(self) -> float | None: ...

@final
class Response:
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def body(self) -> bytes: ...

@final
class Permit:
    @property
    def authorizer(self) -> str: ...
    @property
    def attributes(self) -> list[tuple[str, str]]: ...
    def attribute(self, name: str) -> str | None: ...

@final
class Step:
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> Literal["authenticator", "authorizer"]: ...
    @property
    def verdict(
        self,
    ) -> Literal[
        "grant", "pass", "reject", "permit", "hide", "forbid", "respond", "unavailable", "fail", "turned_away"
    ]: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def reads(self) -> list[str]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def reused(self) -> bool: ...
    @property
    def text(self) -> str: ...

@final
class Sessions:
    def __new__(
        cls, *keys: str, max_age: float = 43200.0, cookie: str = "portcullis", secure: bool = True
    ) -> Sessions: ...
    @staticmethod
    def generate_key() -> str: ...
    @property
    def cookie(self) -> str: ...
    def clear(self) -> str: ...
