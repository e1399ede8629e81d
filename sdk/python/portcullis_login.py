"""What plugins in Python share that log people in with a browser, at a provider that speaks OAuth 2.0.

Copy this file beside your `app.py` and `portcullis.py`, and build with the world `login-plugin`. It decides as the module
`oauth` of the Rust SDK does.
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote_plus, urlencode

from componentize_py_types import Err
from portcullis import Grant, HttpError, Request, Secret, export, fetch, not_mine, read_json, unauthenticated, unavailable
from wit_world import exports
from wit_world.exports.login import Arrival, Departure, Flow

__all__ = ["Arrival", "Departure", "Flow", "LoginPlugin", "OAuth", "arrival", "departure", "export_login"]

_MAX_KEEP = 2048
"""The most bytes that a session keeps for its plugin."""


class LoginPlugin(Protocol):
    """A plugin that logs people in. A class that names it as its base has the functions that it doesn't write itself."""

    def authenticate(self, request: Request) -> Grant:
        """Says who sent a request with credentials. By default it knows none."""
        raise not_mine()

    def begin(self, flow: Flow) -> Departure:
        """Begins an attempt: where does the browser go? Or raises a refusal if nobody can log in now."""
        ...

    def finish(self, flow: Flow, memo: bytes, parameters: Mapping[str, str]) -> Arrival:
        """Ends an attempt, with the memo of `begin` and the parameters of the callback. The gateway has checked the state.

        Or raises a refusal: `unauthenticated` and `forbidden` if nobody has logged in who is allowed in, `not_mine` if the
        provider wants to ask the user after a flow that was silent.
        """
        ...

    def renew(self, keep: bytes) -> Arrival:
        """Says whether a session still holds, with what it keeps, or raises a refusal if it is over. By default only the
        browser can tell: the gateway begins a silent flow."""
        raise not_mine()

    def end(self, keep: bytes | None, return_to: str) -> str | None:
        """The URL at which the provider signs the user out, and from which the browser should come back to `return_to`. By
        default there is none."""
        return None

    def notice(self, parameters: Mapping[str, str]) -> list[str]:
        """Receives a notice of the provider, and returns the handles whose sessions are over. By default none is accepted."""
        raise unauthenticated("it accepts no notices")


S = TypeVar("S")


def export_login(
    plugin: Callable[[S], LoginPlugin], settings: type[S]
) -> tuple[type[exports.Plugin], type[exports.Authenticator], type[exports.Login]]:
    """The classes that componentize-py looks for: `Plugin, Authenticator, Login = export_login(MyLogin, MySettings)`."""
    # componentize-py makes a new object of an exported class for every call. What `configure` has made stands here.
    configured: list[LoginPlugin] = []

    def make(read: S) -> LoginPlugin:
        configured[:] = [plugin(read)]
        return configured[0]

    class Exported(exports.Login):
        def begin(self, flow: Flow) -> Departure:
            return configured[0].begin(flow)

        def finish(self, flow: Flow, memo: bytes, parameters: list[tuple[str, str]]) -> Arrival:
            return _bounded(configured[0].finish(flow, bytes(memo), dict(parameters)))

        def renew(self, keep: bytes) -> Arrival:
            return _bounded(configured[0].renew(bytes(keep)))

        def end(self, keep: bytes | None, return_to: str) -> str | None:
            return configured[0].end(None if keep is None else bytes(keep), return_to)

        def notice(self, parameters: list[tuple[str, str]]) -> list[str]:
            return configured[0].notice(dict(parameters))

    return *export(make, settings), Exported


def departure(location: str, memo: bytes = b"") -> Departure:
    """Sends the browser to this URL, within the operator's `grants.login`. `finish` gets the memo: at most 512 bytes."""
    return Departure(location, memo)


def arrival(user: Grant, *, renew_after: float, keep: bytes | str | None = None, handles: Iterable[str] = ()) -> Arrival:
    """This user has logged in: `arrival(grant("alice"), renew_after=300)`.

    After `renew_after` seconds, at least one, the gateway calls `renew` with what the session keeps: at most 2 KiB, which it
    seals in the session's cookie. By the handles, at most 4, the provider may end the session.
    """
    user.valid_for = max(1, min(int(renew_after), 0xFFFF_FFFF))
    return Arrival(user, keep.encode() if isinstance(keep, str) else keep, list(handles))


def _bounded(arrived: Arrival) -> Arrival:
    """What a provider gives can be larger than a cookie, which is no failure of the plugin."""
    if len(arrived.keep or b"") > _MAX_KEEP:
        raise unavailable(f"the session would keep {len(arrived.keep or b'')} bytes, and has room for {_MAX_KEEP}")
    return arrived


@dataclass(frozen=True)
class OAuth:
    """The authorization code flow with PKCE (RFC 6749, section 4.1; RFC 7636) at one provider.

    `issuer` is what the provider calls itself in its answers (RFC 9207); then its answers must have it. `timeout` is how many
    seconds the provider may take to answer. With `secret_in_form`, id and secret are sent in the form and not as HTTP Basic.
    """

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: Secret | None = None
    scope: str | None = None
    issuer: str | None = None
    timeout: float = 2
    secret_in_form: bool = False

    def begin(self, flow: Flow, **parameters: str) -> Departure:
        """Where the browser goes, with further parameters, and the verifier as the memo. A silent flow has `prompt=none`."""
        verifier = secrets.token_urlsafe(32)
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": flow.redirect_uri,
            "state": flow.state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        if self.scope is not None:
            asked["scope"] = self.scope
        if flow.silent:
            asked["prompt"] = "none"
        joint = "&" if "?" in self.authorize_url else "?"
        return departure(f"{self.authorize_url}{joint}{urlencode(asked | parameters)}", verifier.encode())

    def finish(self, flow: Flow, memo: bytes, parameters: Mapping[str, str]) -> dict[str, Any]:
        """What the token endpoint answers to the code of a callback, which is sent once. It has an `access_token`. Raises a
        refusal if the answer is that of another provider, if the provider refuses, or if it can't be asked."""
        # Who says it, before what is said.
        if self.issuer is not None and parameters.get("iss") != self.issuer:
            raise unauthenticated("the answer is not of the expected issuer (iss)")
        if "error" in parameters:
            raise _refusal(parameters["error"], parameters.get("error_description"))
        if not parameters.get("code"):
            raise unauthenticated("the answer has neither a code nor an error")
        verifier = memo.decode("latin-1")
        if len(verifier) != 43 or _decoded(verifier) is None:
            raise unauthenticated("the attempt was begun by another version of this plugin")
        return self._exchange(
            grant_type="authorization_code",
            code=parameters["code"],
            redirect_uri=flow.redirect_uri,
            code_verifier=verifier,
        )

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """New tokens for a refresh token. Many providers accept each one once and answer with the next one."""
        return self._exchange(grant_type="refresh_token", refresh_token=refresh_token)

    def _exchange(self, **form: str) -> dict[str, Any]:
        headers = [("accept", b"application/json"), ("content-type", b"application/x-www-form-urlencoded")]
        if self.client_secret is None or self.secret_in_form:
            form["client_id"] = self.client_id
        if self.client_secret is not None and self.secret_in_form:
            form["client_secret"] = self.client_secret.expose()
        elif self.client_secret is not None:
            # Both are form-encoded first (RFC 6749, section 2.3.1).
            pair = ":".join(quote_plus(text) for text in (self.client_id, self.client_secret.expose()))
            headers.append(("authorization", b"Basic " + base64.b64encode(pair.encode())))
        try:
            answer = fetch(self.token_url, method="POST", headers=headers, body=urlencode(form).encode(), timeout=self.timeout)
        except HttpError as error:
            raise unavailable(f"{self.token_url}: {error}") from None
        said = _object(answer.body)
        # Some providers say errors with the status 200.
        if isinstance(said.get("error"), str):
            description = said.get("error_description")
            raise _refusal(said["error"], description if isinstance(description, str) else None)
        if answer.status != 200:
            raise unavailable(f"{self.token_url} answered with status {answer.status}")
        if not isinstance(said.get("access_token"), str):
            raise unavailable(f"the answer of {self.token_url} has no access_token as JSON")
        return said


def _refusal(error: str, description: str | None) -> Err[Any]:
    """What a provider's error means (RFC 6749, sections 4.1.2.1 and 5.2)."""
    # `bad_verification_code` is GitHub's name for `invalid_grant`.
    if error in ("login_required", "interaction_required", "consent_required", "account_selection_required"):
        return not_mine()
    why = f"the provider answered {json.dumps(error[:200])}"
    if description is not None:
        why += f": {json.dumps(description[:200])}"
    if error in ("access_denied", "invalid_grant", "bad_verification_code"):
        return unauthenticated(why)
    return unavailable(why)


def _object(body: bytes) -> dict[str, Any]:
    try:
        read = read_json(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=", b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
