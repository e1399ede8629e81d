"""What plugins in Python share: settings, refusals, credentials, requests to other servers, and JSON Web Tokens.

Copy this file beside your `app.py`; componentize-py finds it there. It decides as the Rust SDK and the built-in `jwt` do.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import re
import time
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import cache, crypto, logging, outbound
from wit_world.imports.crypto import Algorithm
from wit_world.imports.portcullis_auth_types import (
    Challenge,
    Grant,
    Refusal_Forbidden,
    Refusal_NotMine,
    Refusal_Respond,
    Refusal_Unauthenticated,
    Refusal_Unavailable,
    Request,
    Response,
    User,
)

__all__ = [
    "Algorithm", "Basic", "Challenge", "Claims", "Duration", "Grant", "HttpError", "Jwks", "Jwt", "Request", "Response",
    "Secret", "SettingsError", "User", "basic", "bearer", "cache_key", "challenge", "constant_time_equal", "export",
    "fetch", "forbidden", "grant", "log", "not_mine", "read_json", "respond", "setting", "unauthenticated", "unavailable",
]  # fmt: skip


# Settings


class SettingsError(ValueError):
    """Says to the operator which setting is wrong, and what would be right. Never quote a secret."""


class Secret:
    """A secret of the settings. Neither `str` nor `repr` shows it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def matches(self, given: bytes) -> bool:
        """Whether this is the secret. The comparison takes constant time."""
        return constant_time_equal(given, self._value.encode())

    def expose(self) -> str:
        """The secret in plain text, to be sent where it belongs."""
        return self._value

    def __repr__(self) -> str:
        return "[secret]"


class Duration(float):
    """Seconds. In the settings, a number (`300`) or a text with a unit (`"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"1d"`)."""


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = r"^[0-9]{1,9}(ms|s|m|h|d)$"


def setting(
    description: str, *, default: Any = dataclasses.MISSING, grant: str | None = None, requests: int | None = None
) -> Any:
    """A field of the settings. Without a default it must be set, unless its type allows `None`; such fields come first.

    `grant` names what it needs besides itself: `http` or `login` for a URL, or `headers`, `cookies`, `query`, `negotiate`,
    `signing` for a name.
    `requests` says that it is the time limit of one request, and how many of them one call makes in a row. The gateway
    warns if the operator has not granted the one, or if the other exceeds the deadline.
    """
    metadata = {"description": description, "grant": grant, "requests": requests}
    if isinstance(default, list | dict):
        return dataclasses.field(metadata=metadata, default_factory=lambda: default.copy())
    return dataclasses.field(metadata=metadata, default=default)


S = TypeVar("S")


def settings_schema(settings: type[Any]) -> str:
    """The JSON Schema of a dataclass of settings. Its fields are `str`, `int`, `float`, `bool`, `Secret`, `Duration`, lists
    of these, dictionaries of these by `str`, any of these or `None`, or further dataclasses."""
    return json.dumps(_object_schema(settings))


def _object_schema(settings: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(settings)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in dataclasses.fields(settings):
        schema = _schema(hints[field.name])
        if field.default is not dataclasses.MISSING and field.default is not None:
            schema["default"] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            schema["default"] = field.default_factory()
        elif field.default is dataclasses.MISSING and not _is_optional(hints[field.name]):
            required.append(field.name)
        for key, value in (
            ("description", field.metadata.get("description")),
            ("x-portcullis-grant", field.metadata.get("grant")),
            ("x-portcullis-requests", field.metadata.get("requests")),
        ):
            if value is not None:
                schema[key] = value
        properties[field.name] = schema
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(hint: Any) -> dict[str, Any]:
    if _is_optional(hint):
        [hint] = [option for option in typing.get_args(hint) if option is not types.NoneType]
    simple: dict[Any, dict[str, Any]] = {
        str: {"type": "string"},
        int: {"type": "integer"},
        float: {"type": "number"},
        bool: {"type": "boolean"},
        Secret: {"type": "string", "minLength": 1, "writeOnly": True},
        Duration: {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION}]},
    }
    if hint in simple:
        return simple[hint]
    if typing.get_origin(hint) is list:
        return {"type": "array", "items": _schema(typing.get_args(hint)[0])}
    if typing.get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": _schema(typing.get_args(hint)[1])}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object_schema(hint)
    raise TypeError(f"a setting can't be {hint}")


def _is_optional(hint: Any) -> bool:
    return types.NoneType in typing.get_args(hint)


def read_settings(settings: type[S], text: str) -> S:
    """The settings in this JSON. A `SettingsError` names the key that is wrong."""
    return typing.cast(S, _object(settings, json.loads(text), "settings"))


def _object(settings: Any, given: Any, key: str) -> Any:
    if not isinstance(given, dict):
        raise SettingsError(f"{key}: must be a table")
    hints = typing.get_type_hints(settings)
    for name in given:
        if name not in hints:
            raise SettingsError(f"{key}.{name}: unknown key")
    values = {name: _value(hints[name], value, f"{key}.{name}") for name, value in given.items()}
    for field in dataclasses.fields(settings):
        if field.name in values:
            continue
        if field.default is not dataclasses.MISSING:
            if field.default is not None:
                values[field.name] = _value(hints[field.name], field.default, f"{key}.{field.name}")
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = _value(hints[field.name], field.default_factory(), f"{key}.{field.name}")
        elif _is_optional(hints[field.name]):
            values[field.name] = None
        else:
            raise SettingsError(f"{key}.{field.name}: is missing")
    return settings(**values)


def _value(hint: Any, given: Any, key: str) -> Any:
    if _is_optional(hint):
        [hint] = [option for option in typing.get_args(hint) if option is not types.NoneType]
    if hint is Secret:
        if not isinstance(given, str) or not given:
            raise SettingsError(f"{key}: must be text that isn't empty")
        return Secret(given)
    if hint is Duration:
        return _duration(given, key)
    if typing.get_origin(hint) is list:
        if not isinstance(given, list):
            raise SettingsError(f"{key}: must be a list")
        return [_value(typing.get_args(hint)[0], item, f"{key}[{index}]") for index, item in enumerate(given)]
    if typing.get_origin(hint) is dict:
        if not isinstance(given, dict):
            raise SettingsError(f"{key}: must be a table")
        return {name: _value(typing.get_args(hint)[1], item, f"{key}.{name}") for name, item in given.items()}
    if dataclasses.is_dataclass(hint):
        return _object(hint, given, key)
    accepted = {str: (str,), int: (int,), float: (int, float), bool: (bool,)}[hint]
    if not isinstance(given, accepted) or (isinstance(given, bool) and hint is not bool):
        names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        raise SettingsError(f"{key}: must be {names[hint]}")
    return float(typing.cast(float, given)) if hint is float else given


def _duration(given: Any, key: str) -> Duration:
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return Duration(given)
    if isinstance(given, str) and re.match(_DURATION, given):
        number, unit = re.findall(r"[0-9]+|[a-z]+", given)
        return Duration(int(number) * _UNITS[unit])
    raise SettingsError(f'{key}: must be a number of seconds, or text such as "500ms", "30s", "5m", "1h" or "1d"')


# The authenticator


class Plugin(Protocol):
    """An authenticator: it is made once for each instance, with its settings."""

    def authenticate(self, request: Request) -> Grant:
        """Says who sent a request, or raises a refusal."""


P = TypeVar("P")


def configurable(plugin: Callable[[S], P], settings: type[S]) -> tuple[type[exports.Plugin], list[P]]:
    """The class by which a plugin of any role is configured, and a list that has the plugin afterwards."""
    # componentize-py makes a new object of an exported class for every call. What `configure` has made stands here.
    configured: list[P] = []

    class Configurable(exports.Plugin):
        def settings_schema(self) -> str:
            return settings_schema(settings)

        def configure(self, settings_json: str) -> None:
            try:
                configured[:] = [plugin(read_settings(settings, settings_json))]
            except SettingsError as error:
                raise Err(str(error)) from None

    return Configurable, configured


# In the world of an authorizer, `exports` has no `Authenticator`.
def export(
    plugin: Callable[[S], Plugin], settings: type[S]
) -> "tuple[type[exports.Plugin], type[exports.Authenticator]]":  # type: ignore[name-defined, unused-ignore]
    """The classes that componentize-py looks for: `Plugin, Authenticator = export(MyPlugin, MySettings)`."""
    exported, configured = configurable(plugin, settings)

    class Authenticator(exports.Authenticator):  # type: ignore[name-defined, misc, unused-ignore]
        def authenticate(self, request: Request) -> Grant:
            return configured[0].authenticate(request)

    return exported, Authenticator


# What an authenticator answers


def grant(
    name: str,
    *,
    groups: Iterable[str] = (),
    admin: bool = False,
    attributes: Mapping[str, str] | None = None,
    valid_for: float | None = None,
    response_headers: Iterable[tuple[str, bytes]] = (),
) -> Grant:
    """Lets the user in. `valid_for` is how many seconds the gateway may reuse this decision; fractions are cut off."""
    user = User(name, list(groups), admin, list((attributes or {}).items()))
    seconds = None if valid_for is None else max(0, min(int(valid_for), 0xFFFF_FFFF))
    return Grant(user, seconds, list(response_headers))


def challenge(scheme: str, **parameters: str) -> Challenge:
    """A challenge of `WWW-Authenticate`, such as `challenge("Bearer", realm="api")`. The gateway quotes the values."""
    return Challenge(scheme, list(parameters.items()))


def not_mine(challenge: Challenge | None = None) -> Err[Refusal_NotMine]:
    """To be raised: the request has no credentials of this kind, and the next authenticator is asked."""
    return Err(Refusal_NotMine(challenge))


def unauthenticated(reason: str, challenge: Challenge | None = None) -> Err[Refusal_Unauthenticated]:
    """To be raised: the credentials are of this kind, and not valid: 401. The reason is for the operator's log."""
    return Err(Refusal_Unauthenticated((reason, challenge)))


def forbidden(reason: str, challenge: Challenge | None = None) -> Err[Refusal_Forbidden]:
    """To be raised: the user is known, and not allowed in: 403."""
    return Err(Refusal_Forbidden((reason, challenge)))


def unavailable(reason: str) -> Err[Refusal_Unavailable]:
    """To be raised: this authenticator can't decide now, for example because its provider is down: 503."""
    return Err(Refusal_Unavailable(reason))


def respond(status: int, headers: Iterable[tuple[str, bytes]] = (), body: bytes = b"") -> Err[Refusal_Respond]:
    """To be raised: the client gets this response, for example a redirect to a login page."""
    return Err(Refusal_Respond(Response(status, list(headers), body)))


def log(level: str, message: str) -> None:
    """Writes a line to the gateway's log at `trace`, `debug`, `info`, `warn`, `error` or `critical`. Never a credential."""
    logging.log(logging.Level[level.upper()], "", message)


# Credentials


@dataclass(frozen=True)
class Basic:
    """A user name and a password (RFC 7617). Either may be empty; a password may contain colons."""

    user: str
    password: str = dataclasses.field(repr=False)


_MAX_TOKEN = 8 * 1024


def bearer(request: Request, challenge: Challenge | None = None, *, schemes: Sequence[str] = ("bearer",)) -> str:
    """The token of `Authorization: Bearer` (RFC 6750, section 2.1), or of other schemes: visible ASCII, at most 8 KiB.

    Raises `not_mine` if there is none, and `unauthenticated` if it can't be used or if there are several headers.
    """
    token = _of_scheme(request, schemes, challenge)
    if not 1 <= len(token) <= _MAX_TOKEN or not all(0x21 <= byte <= 0x7E for byte in token):
        raise unauthenticated("the token is empty, too long or contains invalid characters", challenge)
    return token.decode("ascii")


def basic(request: Request, challenge: Challenge | None = None) -> Basic:
    """The user name and the password of `Authorization: Basic`, in UTF-8 or else in Latin-1.

    Raises `not_mine` if there are none, and `unauthenticated` if they can't be read or if there are several headers.
    """
    encoded = _of_scheme(request, ("basic",), challenge)
    decoded = _base64(encoded, b"+/", padding=None)
    if decoded is None:
        raise unauthenticated("Basic credentials are not base64", challenge)
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")
    if _has_control(text):
        raise unauthenticated("Basic credentials have control characters", challenge)
    user, colon, password = text.partition(":")
    if not colon:
        raise unauthenticated("Basic credentials have no colon", challenge)
    return Basic(user, password)


def _of_scheme(request: Request, schemes: Sequence[str], challenge: Challenge | None) -> bytes:
    """The credentials after the scheme. A proxy on the way may have checked another header than this authenticator would,
    so several are refused."""
    values = request.header("authorization")
    if not values:
        raise not_mine(challenge)
    if len(values) > 1:
        raise unauthenticated("more than one Authorization header", challenge)
    scheme, _, credentials = _trim(values[0]).partition(b" ")
    if scheme.lower() not in [known.lower().encode() for known in schemes]:
        raise not_mine(challenge)
    return _trim(credentials)


def _trim(value: bytes) -> bytes:
    return value.strip(b" \t\r\n\f")


def _has_control(text: str) -> bool:
    return any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


def _base64(encoded: bytes, last: bytes, padding: bool | None) -> bytes | None:
    """Decodes base64 with these last two characters of the alphabet. `padding` must be there (`True`), must not (`False`) or
    may (`None`). What isn't exactly what encoding yields is refused, so that no two texts stand for the same bytes."""
    bare = encoded.rstrip(b"=")
    padded = bare + b"=" * (-len(bare) % 4)
    accepted = {True: (padded,), False: (bare,), None: (bare, padded)}[padding]
    try:
        decoded = base64.b64decode(padded, last, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if encoded in accepted and base64.b64encode(decoded, last) == padded else None


def constant_time_equal(given: bytes, expected: bytes) -> bool:
    """Compares secrets in a time that depends neither on where they differ nor on the length of `expected`."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(expected).digest())


def cache_key(*parts: bytes) -> str:
    """A key for `cache` that is a hash and reveals none of its parts. The gateway keeps values and keys in its memory, so
    hash a credential instead of storing it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


# Requests to other servers


class HttpError(Exception):
    """Why there is no response. The text repeats no header and no body."""


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, bytes]] = (),
    body: bytes = b"",
    timeout: float = 5,
    max_body: int = 1024 * 1024,
    redirects: int = 0,
    fresh: bool = False,
) -> outbound.Response:
    """Sends a request to a server that the operator granted (`grants.http`) and waits for the whole response, whatever its
    status.

    `timeout` is in seconds and covers everything, redirects included; `max_body` is the size of the response's body in
    bytes. Redirects are followed to the same scheme, host and port only. `fresh` asks for a newer response than the one
    that the gateway may have stored. Raises `HttpError`.
    """
    deadline = time.monotonic() + timeout
    sent = [*headers, ("cache-control", b"no-cache")] if fresh else list(headers)
    while True:
        left = int((deadline - time.monotonic()) * 1000)
        if left <= 0:
            raise HttpError("no complete answer in time")
        try:
            response = outbound.fetch(outbound.Request(method, url, sent, body, min(left, 30_000), max_body))
        except Err as error:
            raise HttpError(_failure(error.value)) from None
        target = _redirect(method, url, response) if redirects > 0 else None
        if target is None:
            return response
        url, redirects = target, redirects - 1


def _failure(failure: object) -> str:
    match failure:
        case outbound.Failure_Denied():
            return "the operator has not granted access to this server (grants.http)"
        case outbound.Failure_Invalid(reason):
            return f"the request can't be sent: {reason}"
        case outbound.Failure_Limited():
            return "not sent: a call may send 64 requests, and an authenticator may have 64 in flight"
        case outbound.Failure_Timeout():
            return "no complete answer in time"
        case outbound.Failure_TooLarge(size):
            return f"the answer is larger than {size} bytes"
        case outbound.Failure_Unreachable(reason):
            return f"the server can't be reached: {reason}"
        case outbound.Failure_Unusable(reason):
            return f"the answer can't be used: {reason}"
        case _:
            return "the request failed"


_URL = re.compile(r"([Hh][Tt][Tt][Pp][Ss]?)://([!-~]+?)([/?][!-~]*)?")


def _redirect(method: str, url: str, response: outbound.Response) -> str | None:
    """The target of a redirect, if it is on the same server (RFC 9110, section 15.4)."""
    again = (301, 302, 303, 307, 308) if method == "GET" else (307, 308)
    location = next((value for name, value in response.headers if name == "location"), None)
    if response.status not in again or location is None:
        return None
    target = location.decode("latin-1").partition("#")[0]
    if target.startswith("/") and not target.startswith("//"):
        scheme, authority, _ = _split(url) or ("", "", "")
        return f"{scheme}://{authority}{target}" if _split(f"{scheme}://{authority}{target}") else None
    return target if _origin(target) is not None and _origin(target) == _origin(url) else None


def _split(url: str) -> tuple[str, str, str] | None:
    found = _URL.fullmatch(url)
    if found is None or "@" in found[2] or "\\" in found[2]:
        return None
    return found[1].lower(), found[2], found[3] or "/"


def _origin(url: str) -> tuple[str, str, str] | None:
    """Scheme, host and port (RFC 6454, section 4)."""
    if (parts := _split(url)) is None:
        return None
    scheme, authority, _ = parts
    host, colon, port = authority.rpartition(":")
    if not colon or not re.fullmatch("[0-9]*", port):
        host, port = authority, ""
    return scheme, host.lower(), port or {"http": "80", "https": "443"}[scheme]


# JSON Web Tokens


class _TokenError(Exception):
    """Why a token is refused: what the operator's log says, and what the client is told (RFC 6750, section 3)."""

    def __init__(self, reason: str, told: str = "The token is not accepted here") -> None:
        super().__init__(reason)
        self.told = told


class _NotJws(Exception):
    """The token has another format, so another authenticator may know it."""


_SIGNATURE = "The signature of the token does not verify"
_RSA = frozenset(["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"])
_CURVES = {"P-256": ("ES256", 32), "P-384": ("ES384", 48), "P-521": ("ES512", 66)}
_PUBLIC_KEY = _RSA | {"EdDSA"} | {algorithm for algorithm, _ in _CURVES.values()}
_ALGORITHMS = {("EdDSA" if it is Algorithm.ED25519 else it.name): it for it in Algorithm}
_LATEST = 253_402_300_799
"""The last second of the year 9999. A later time is a mistake, such as milliseconds for seconds."""


class _Object(dict[str, Any]):
    """A JSON object, and the names that occur in it more than once."""

    twice: frozenset[str] = frozenset()


def _read_object(json_bytes: bytes) -> _Object:
    """Reads a JSON object as strictly as the built-in `jwt` does. Raises `ValueError`."""
    text = _json_text(json_bytes)
    read = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_number, parse_int=_whole)
    if not isinstance(read, _Object):
        raise ValueError("not an object")
    if "\\u" in text:
        # An escape can stand for half a character, which no text for the gateway can have.
        json.dumps(read, ensure_ascii=False).encode()
    return read


def read_json(body: bytes) -> Any:
    """Reads JSON that another server has sent. Raises `ValueError` for anything else, also for what `json.loads` can't survive in
    a plugin: other encodings than UTF-8, and values that are more than 127 deep within each other."""
    return json.loads(_json_text(body))


def _json_text(json_bytes: bytes) -> str:
    text = json_bytes.decode()
    if _depth(text) > 127:
        raise ValueError("nested too deeply")
    return text


def _depth(text: str) -> int:
    if text.count("[") + text.count("{") <= 127:
        return 0
    deepest = depth = 0
    for character in re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _pairs(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        made.twice = frozenset(name for name in made if names.count(name) > 1)
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= 20 and text != "-0" else _number(text)


@dataclass(frozen=True)
class _Jws:
    """A token, parsed and not verified (RFC 7515, section 7.1)."""

    algorithm: str
    kid: str | None
    typ: str | None
    message: bytes
    payload: bytes
    signature: bytes


def _parse(token: bytes) -> _Jws:
    """Parses a token. One of five parts is encrypted, and one whose first part is no JSON object has a format of its
    provider: both are left to other authenticators."""
    parts = token.split(b".")
    header_json = _base64(parts[0], b"-_", padding=False) if len(parts) == 3 else None
    if header_json is None or not header_json.lstrip(b" \t\r\n\f").startswith(b"{"):
        raise _NotJws
    try:
        header = _read_object(header_json)
    except (ValueError, RecursionError):
        raise _TokenError("the token has a malformed header") from None
    texts = header.get("alg"), header.get("kid"), header.get("typ")
    if header.twice & {"alg", "kid", "typ", "crit", "b64"} or not all(text is None or isinstance(text, str) for text in texts):
        raise _TokenError("the token has a malformed header")
    algorithm, kid, typ = texts
    if algorithm is None:
        raise _TokenError("the token has a malformed header")
    # RFC 7515, section 4.1.11: extensions that must be understood. None is, nor an unencoded payload (RFC 7797).
    for extension in ("crit", "b64"):
        if extension in header:
            raise _TokenError(f"the token has a header that asks for an extension ({extension})")
    algorithm = _jose(algorithm)
    if algorithm not in _ALGORITHMS:
        raise _TokenError(f"the token is signed with {_quoted(algorithm)}, which is not supported")
    payload, signature = (_base64(part, b"-_", padding=False) for part in parts[1:])
    if payload is None or signature is None:
        raise _TokenError("the token has a part that is not base64url")
    return _Jws(algorithm, kid, typ, parts[0] + b"." + parts[1], payload, signature)


def _jose(name: str) -> str:
    """RFC 9864 names EdDSA by its curve."""
    return "EdDSA" if name == "Ed25519" else name


def _quoted(text: str) -> str:
    """A text of a client for a log line: escaped and shortened."""
    return json.dumps(text[:150]) + ("…" if len(text) > 150 else "")


def _all_quoted(texts: Iterable[str]) -> str:
    """Texts for a log line, at most five of them."""
    listed = [_quoted(text) for text in texts]
    return ", ".join(listed[:5] + ([f"{len(listed) - 5} more"] if len(listed) > 5 else []))


def _shown(value: Any) -> str:
    """A value of a token for a log line. `None` is one that it doesn't have."""
    return "missing" if value is None else json.dumps(value)[:150]


class Claims(dict[str, Any]):
    """The claims of a verified token. A claim within a claim is written with dots: `realm_access.roles`."""

    remaining: float = 0
    """How many more seconds the token is valid."""

    def find(self, path: str) -> Any:
        """The claim at this path, or `None`. A claim whose own name has dots is found first."""
        if self.get(path) is not None:
            return self[path]
        found: Any = self
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def name(self, path: str) -> str:
        """The claim as the user's name: text, a whole number, or the first of a list. Raises `unauthenticated`."""
        value = self.find(path)
        if value is None:
            raise unauthenticated(f"the claim {path} is missing")
        name = _name(value)
        if name is None or not 1 <= len(name.encode()) <= 256 or _has_control(name):
            raise unauthenticated(f"the claim {path} is not a name: text of 1 to 256 bytes without control characters")
        return name

    def groups(self, path: str) -> list[str]:
        """The claim as groups: a text, the items of a list, or the names in an object. What isn't text, is empty or too long
        is left out. Raises `unauthenticated` for a control character."""
        value = self.find(path)
        items = value if isinstance(value, list) else list(value) if isinstance(value, dict) else [value]
        groups = [group for group in map(_name, items) if group is not None and 1 <= len(group.encode()) <= 1024]
        if any(map(_has_control, groups)):
            raise unauthenticated(f"the claim {path} has a control character")
        return groups

    def text(self, path: str) -> str | None:
        """The claim as the value of an attribute: text, a number, a boolean, or the first of a list. `None` if it is anything
        else, empty, or longer than 4 KiB. Raises `unauthenticated` for a control character."""
        value = self.find(path)
        first = value[0] if isinstance(value, list) and value else value
        text = json.dumps(first) if isinstance(first, bool | float) else _name(first)
        if text is not None and _has_control(text):
            raise unauthenticated(f"the claim {path} has a control character")
        return text if text and len(text.encode()) <= 4096 else None

    def is_true(self, path: str) -> bool:
        """Whether the claim is `true`, and not the text `"true"`."""
        return self.find(path) is True

    def scopes(self) -> list[str]:
        """The scopes: in `scope`, joined by spaces (RFC 8693, section 4.2), or in `scp`; either may be a list."""
        value = self.get("scp") if self.get("scope") is None else self["scope"]
        if isinstance(value, list):
            return [scope for scope in value if isinstance(scope, str)]
        return value.split(" ") if isinstance(value, str) else []


def _name(value: Any) -> str | None:
    if isinstance(value, list) and value and not isinstance(value[0], list):
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64:
        return str(value)
    return value if isinstance(value, str) else None


class Jwt:
    """Verifies bearer tokens of one issuer (RFC 7519, RFC 6750). The key decides which algorithms it verifies, never the
    token; `exp`, `iss` and `aud` must be there; `crit`, `none`, HMAC and keys that a token brings along are refused."""

    def __init__(
        self,
        *,
        issuer: str,
        audiences: Sequence[str],
        keys: "Jwks",
        algorithms: Iterable[str] = _PUBLIC_KEY,
        typ: Sequence[str] | None = None,
        leeway: float = 60,
        realm: str = "portcullis",
        max_token_bytes: int = 16 * 1024,
    ) -> None:
        """`leeway` is how many seconds the clocks may differ. With `typ`, a token must state one of these types (RFC 8725,
        section 3.11). Raises `SettingsError`."""
        if not issuer:
            raise SettingsError("issuer: it is empty")
        if not audiences or "" in audiences:
            raise SettingsError("audiences: they are missing, or one of them is empty")
        self.algorithms = frozenset(map(_jose, algorithms))
        if not self.algorithms or not self.algorithms <= _PUBLIC_KEY:
            raise SettingsError(f"algorithms: must be some of {', '.join(sorted(_PUBLIC_KEY))}")
        self.issuer, self.audiences, self.keys = issuer, list(audiences), keys
        self.typ, self.leeway, self.max_token_bytes = typ, leeway, max_token_bytes
        self.challenge = challenge("Bearer", realm=realm)

    def claims(self, request: Request) -> Claims:
        """The claims of the token in `Authorization: Bearer`. Raises the refusal that fits: `not_mine`, `unauthenticated` or
        `unavailable`."""
        return self.claims_of(self._token(request))

    def claims_of(self, token: bytes) -> Claims:
        """The claims of a token from another place, such as a cookie. Raises the same refusals."""
        if len(token) > self.max_token_bytes:
            raise self._malformed("The token is too long")
        try:
            return self._verify(token)
        except _NotJws:
            raise not_mine(self._error("invalid_token", "The token is not a signed JWT")) from None
        except _TokenError as error:
            raise unauthenticated(str(error), self._error("invalid_token", error.told)) from None

    def _verify(self, token: bytes) -> Claims:
        jws = _parse(token)
        issuer = self._issuer_of(jws)
        if issuer != self.issuer:
            reason = f"the issuer of the token is {_shown(issuer)}, and must be {_quoted(self.issuer)}"
            raise _TokenError(reason, "The issuer of the token is not known here")
        self._check_type(jws)
        if jws.algorithm not in self.algorithms:
            raise _TokenError(f"the token is signed with {jws.algorithm}, and may only use {', '.join(sorted(self.algorithms))}")
        self.keys.verify(jws)
        claims = self._read(jws.payload)
        if claims.twice:
            raise _TokenError("the token has a payload that is not a JSON object with distinct names")
        verified = Claims(claims)
        self._check_audience(verified)
        verified.remaining = self._check_times(verified)
        return verified

    def _token(self, request: Request) -> bytes:
        values = [_trim(value) for value in request.header("authorization")]
        tokens = [_trim(value[6:]) for value in values if value[:6].lower() == b"bearer" and value[6:7] in (b"", b" ")]
        if not tokens:
            raise not_mine(self.challenge)
        if len(values) > 1:
            raise self._malformed("The request has more than one token")
        [token] = tokens
        if not re.fullmatch(rb"[A-Za-z0-9\-._~+/=]+", token):
            raise self._malformed("The token is empty or contains invalid characters")
        return token

    def _malformed(self, told: str) -> Err[Refusal_Unauthenticated]:
        return unauthenticated(f"malformed request: {told}", self._error("invalid_request", told))

    def _error(self, code: str, description: str) -> Challenge:
        more = [("error", code), ("error_description", description)]
        return Challenge(self.challenge.scheme, [*self.challenge.parameters, *more])

    @staticmethod
    def _read(payload: bytes) -> _Object:
        try:
            return _read_object(payload)
        except (ValueError, RecursionError):
            raise _TokenError("the token has a payload that is not a JSON object") from None

    def _issuer_of(self, jws: _Jws) -> str | None:
        claims = self._read(jws.payload)
        issuer = claims.get("iss")
        if "iss" in claims.twice or not (issuer is None or isinstance(issuer, str)):
            raise _TokenError("the token has an iss that is not one string")
        return issuer

    def _check_type(self, jws: _Jws) -> None:
        known = self.typ or ("JWT", "at+jwt", "JOSE")
        accepted = [_kind(typ) for typ in known]
        if (jws.typ is None and self.typ is not None) or (jws.typ is not None and _kind(jws.typ) not in accepted):
            raise _TokenError(f"the type of the token (typ) is {_shown(jws.typ)}, and must be one of {_all_quoted(known)}")

    def _check_audience(self, claims: Claims) -> None:
        found = claims.find("aud")
        named = [found] if isinstance(found, str) else found
        if not isinstance(named, list) or not all(isinstance(audience, str) for audience in named):
            raise _TokenError("the claim aud is neither a string nor a list of strings")
        if not set(named) & set(self.audiences):
            reason = f"the claim aud of the token is {_shown(found)}, and must name one of {_all_quoted(self.audiences)}"
            raise _TokenError(reason, "The token is for another audience")

    def _check_times(self, claims: Claims) -> float:
        expiry, issued, start = (_date(claims, name) for name in ("exp", "iat", "nbf"))
        now = int(time.time())
        if expiry is None:
            raise _TokenError("the claim exp is missing")
        # RFC 7519, section 4.1.4: not accepted "on or after" that time.
        if now >= expiry + self.leeway:
            raise _TokenError(f"the token has expired: its exp was {now - expiry} s ago", "The token has expired")
        for name, since in (("nbf", start), ("iat", issued)):
            if since is not None and since > now + self.leeway:
                raise _TokenError(f"the token is not valid yet: its {name} is in {since - now} s", "The token is not valid yet")
        return max(0, expiry - now)


def _kind(typ: str) -> str:
    return typ.lower().removeprefix("application/")


def _date(claims: Claims, name: str) -> int | None:
    """A NumericDate (RFC 7519, section 2) in whole seconds. Skipping one that is none would skip the check
    (CVE-2026-25537)."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise _TokenError(f"the claim {name} is not a number of seconds since 1970")
    return int(value)


# The keys of an issuer


class Jwks:
    """The public keys that an issuer publishes as a JWK Set (RFC 7517). All instances share them by `cache`.

    Whatever tokens arrive, they are fetched when `cache_ttl` has passed or when no key verifies a token, and then not again
    for `min_refresh_interval`. Of several instances at once, one fetches. While the issuer can't be reached, they are used
    for `stale_if_error` more. All are in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 2,
        cache_ttl: float = 600,
        min_refresh_interval: float = 30,
        stale_if_error: float = 24 * 3600,
        max_bytes: int = 1024 * 1024,
        insecure_http: bool = False,
    ) -> None:
        """Raises `SettingsError` if the URL isn't https: whoever can change the answer decides who is let in. `http` is
        accepted from this machine, or with `insecure_http`."""
        parts = _split(url)
        if parts is None or "#" in url:
            raise SettingsError("jwks_url: must be an https URL without a user name and a fragment")
        if parts[0] != "https" and not insecure_http and not _is_loopback(parts[1]):
            raise SettingsError("jwks_url: must be https, unless the server is on this machine")
        self.url, self.timeout, self.max_bytes = url, timeout, max_bytes
        self.cache_ttl, self.min_refresh_interval, self.stale_if_error = cache_ttl, min_refresh_interval, stale_if_error
        self._keys, self._first, self._refreshed = (
            cache_key(what, b"jwks", url.encode()) for what in (b"keys", b"first", b"refresh")
        )

    def verify(self, jws: _Jws) -> None:
        """Refuses a token that no key signed. If newer keys could change that, it fetches them first."""
        current = self._current()
        try:
            _signed_by(current, jws)
        except _TokenError:
            newer = self._newer(current)
            if newer is None:
                raise
            _signed_by(newer, jws)

    def _current(self) -> "_Snapshot":
        known = self._load()
        if known is None:
            return self._fetch_first()
        if time.time() - known.fetched < self.cache_ttl:
            return known
        return self._refresh() or known

    def _newer(self, tried: "_Snapshot") -> "_Snapshot | None":
        fetched = self._refresh()
        if fetched is None:
            # Another instance may be fetching them. For a token that is signed with a new key, it is worth waiting.
            _wait(self._refreshed, min(0.5, self.timeout))
        newer = fetched or self._load()
        return newer if newer is not None and newer.keys != tried.keys else None

    def _refresh(self) -> "_Snapshot | None":
        interval = _ttl(self.min_refresh_interval)
        if not cache.add(self._refreshed, b"pending", interval):
            return None
        try:
            fetched = self._fetch()
        except HttpError as error:
            log("warn", f"the keys can't be fetched, so the old ones are used: {error}")
            cache.set(self._refreshed, f"failed: {error}".encode(), interval)
            return None
        cache.set(self._refreshed, b"succeeded", interval)
        return fetched

    def _fetch_first(self) -> "_Snapshot":
        if not cache.add(self._first, b"pending", _ttl(self.timeout)):
            failed = _wait(self._first, self.timeout)
            if (known := None if failed else self._load()) is not None:
                return known
            raise unavailable(failed or "another request is fetching the keys and has not received them")
        try:
            fetched = self._load() or self._fetch()
        except HttpError as error:
            cache.set(self._first, f"failed: {error}".encode(), _ttl(min(5, self.min_refresh_interval)))
            raise unavailable(str(error)) from None
        cache.set(self._refreshed, b"succeeded", _ttl(self.min_refresh_interval))
        cache.delete(self._first)
        return fetched

    def _fetch(self) -> "_Snapshot":
        accept = [("accept", b"application/json")]
        options: dict[str, Any] = {"timeout": self.timeout, "max_body": self.max_bytes, "redirects": 3, "fresh": True}
        try:
            response = fetch(self.url, headers=accept, **options)
            if response.status != 200:
                raise HttpError(f"it answered {response.status}, not 200")
            snapshot = _Snapshot(time.time(), _usable_keys(response.body))
        except HttpError as error:
            raise HttpError(f"{self.url}: {error}") from None
        stored = json.dumps([snapshot.fetched, snapshot.keys]).encode()
        cache.set(self._keys, stored, _ttl(self.cache_ttl + self.stale_if_error))
        return snapshot

    def _load(self) -> "_Snapshot | None":
        stored = cache.get(self._keys)
        return None if stored is None else _Snapshot(*json.loads(stored))


@dataclass(frozen=True)
class _Snapshot:
    """Keys, and the time when they were fetched, in seconds since 1970."""

    fetched: float
    keys: list[dict[str, str]]


def _ttl(seconds: float) -> int:
    return max(1, int(seconds))


def _wait(key: str, limit: float) -> str | None:
    """Waits until the fetch that another instance marked under this key has ended. Returns why it failed, if it did."""
    end = time.monotonic() + limit
    while (state := cache.get(key)) == b"pending" and time.monotonic() < end:
        time.sleep(0.02)
    return state.decode().removeprefix("failed: ") if state is not None and state.startswith(b"failed: ") else None


def _label(jwk: Any) -> str:
    """How a log line names a key."""
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return f"key {_quoted(kid)}" if isinstance(kid, str) else "a key"


def _usable_keys(body: bytes) -> list[dict[str, str]]:
    """The keys of a JWK Set that verify signatures, without their other members. Raises `HttpError`."""
    try:
        listed = _read_object(body).get("keys")
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list) or not listed:
        raise HttpError("it is not a JWK Set, an object with a list of keys, or has no keys")
    if len(listed) > 1000:
        raise HttpError(f"it has {len(listed)} keys; at most 1000 are allowed")
    usable, problems = [], []
    for jwk in listed:
        problem = _repair(jwk) if isinstance(jwk, dict) else "is no JWK"
        if problem is None:
            members = ("kty", "kid", "alg", "crv", "n", "e", "x", "y")
            usable.append({name: jwk[name] for name in members if jwk.get(name) is not None})
        else:
            problems.append(f"{_label(jwk)} {problem}")
    summary = f"{len(problems)} of {len(listed)} keys can't be used: {'; '.join(problems[:5])}"
    if not usable:
        raise HttpError(summary)
    if problems:
        log("info", summary)
    return usable


def _repair(jwk: dict[str, Any]) -> str | None:
    """Makes the numbers of a key as long as they must be (RFC 7518, section 6.2.1.2), as some providers don't. Returns why
    the key can't be used, if it can't."""
    for name in ("kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"):
        if not (jwk.get(name) is None or isinstance(jwk[name], str)):
            return "is no JWK"
    if jwk.get("use") not in (None, "sig"):
        return "is not for signatures (use)"
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return "is not for verifying (key_ops)"
    if len((jwk.get("kid") or "").encode()) > 256:
        return "has an id that is too long (kid)"
    for name in ("n", "e", "x", "y"):
        if jwk.get(name) is not None:
            jwk[name] = jwk[name].rstrip("=")
    if jwk.get("crv") in _CURVES:
        for name in ("x", "y"):
            jwk[name] = _with_size(jwk.get(name) or "", _CURVES[jwk["crv"]][1])
    if not _algorithms_of(jwk):
        return "is of a type, a curve, a size or an algorithm that is not supported (kty, crv, alg)"
    return None


def _with_size(number: str, size: int) -> str:
    decoded = _base64(number.encode(), b"-_", padding=False)
    if decoded is None or len(decoded) == size:
        return number
    return base64.urlsafe_b64encode(decoded.lstrip(b"\0").rjust(size, b"\0")).decode().rstrip("=")


def _algorithms_of(jwk: Mapping[str, str]) -> frozenset[str]:
    """The algorithms that a key verifies: its type and curve decide first, then `alg` (CVE-2026-39999, CVE-2026-22817). A
    shared secret in a published set is not secret, and verifies nothing."""

    def has(name: str, least: int, most: int) -> bool:
        return -(-least * 4 // 3) <= len(jwk.get(name, "")) <= -(-most * 4 // 3)

    by_type: frozenset[str] = frozenset()
    match jwk.get("kty"), jwk.get("crv"):
        case "RSA", _ if has("n", 256, 1025) and has("e", 1, 8):
            by_type = _RSA
        case "EC", str(curve) if curve in _CURVES:
            algorithm, size = _CURVES[curve]
            if has("x", size, size) and has("y", size, size):
                by_type = frozenset([algorithm])
        case "OKP", "Ed25519" if has("x", 32, 32):
            by_type = frozenset(["EdDSA"])
    return by_type & {_jose(jwk["alg"])} if jwk.get("alg") else by_type


def _signed_by(snapshot: _Snapshot, jws: _Jws) -> None:
    """Refuses a token that none of the keys signed. An id is compared with known ids and used for nothing else."""
    named = [key for key in snapshot.keys if jws.kid is not None and key.get("kid") == jws.kid]
    possible = named or [key for key in snapshot.keys if jws.kid is None or "kid" not in key]
    fitting = [key for key in possible if jws.algorithm in _algorithms_of(key)]
    if named and not fitting:
        expected = ", ".join(sorted({algorithm for key in named for algorithm in _algorithms_of(key)}))
        raise _TokenError(f"the token is signed with {jws.algorithm}, but the key that it names is for {expected}")
    for key in fitting[:100]:
        try:
            if crypto.verify(_ALGORITHMS[jws.algorithm], json.dumps(key).encode(), jws.message, jws.signature):
                return
        except Err as error:
            log("warn", f"{_label(key)} can't be used: {error.value}")
    if jws.kid is not None and not fitting:
        known = _all_quoted(key["kid"] for key in snapshot.keys if "kid" in key)
        raise _TokenError(f"no key has the id {_quoted(jws.kid)}" + (f"; there are {known}" if known else ""), _SIGNATURE)
    untried = f"; {len(fitting) - 100} more keys of its type were not tried" if len(fitting) > 100 else ""
    raise _TokenError(f"no key verifies the signature{untried}", _SIGNATURE)


def _is_loopback(authority: str) -> bool:
    host = re.sub(r":[0-9]*$", "", authority).lower()
    return host in ("localhost", "[::1]") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
