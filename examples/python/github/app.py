"""Login at GitHub, which speaks OAuth 2.0 and not OpenID Connect: its API says whose a token is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portcullis import HttpError, Secret, SettingsError, fetch, forbidden, grant, read_json, setting, unauthenticated, unavailable
from portcullis_login import Arrival, Departure, Flow, LoginPlugin, OAuth, arrival, export_login

TIMEOUT = 1.5
"""How many seconds GitHub may take to answer. A login asks three times, within the deadline of 5 seconds."""


@dataclass
class Settings:
    client_id: str = setting("The id of the OAuth app.")
    client_secret: Secret = setting("Its secret.")
    organization: str = setting("The organization whose members may log in.")


class GitHub(LoginPlugin):
    def __init__(self, settings: Settings) -> None:
        # It becomes a part of a URL.
        if not re.fullmatch("[A-Za-z0-9-]+", settings.organization):
            raise SettingsError("organization: expected letters, digits and hyphens, as in its address at GitHub")
        self.organization = settings.organization
        site = "https://github.com/login/oauth"
        self.oauth = OAuth(
            f"{site}/authorize",
            f"{site}/access_token",
            settings.client_id,
            settings.client_secret,
            scope="read:org",
            timeout=TIMEOUT,
        )

    def begin(self, flow: Flow) -> Departure:
        return self.oauth.begin(flow)

    def finish(self, flow: Flow, memo: bytes, parameters: Mapping[str, str]) -> Arrival:
        return self.arrival(self.oauth.finish(flow, memo, parameters)["access_token"])

    def renew(self, keep: bytes) -> Arrival:
        return self.arrival(keep.decode("latin-1"))

    def arrival(self, token: str) -> Arrival:
        account = ask("/user", token)
        # The number stays the same; the login can become somebody else's.
        match account:
            case {"id": int(number), "login": str(login)}:
                pass
            case _:
                raise unavailable("GitHub doesn't say who it is")
        membership = ask(f"/user/memberships/orgs/{self.organization}", token)
        if membership.get("state") != "active":
            raise forbidden(f"{login} is no member of {self.organization}")
        return arrival(grant(str(number), attributes={"login": login}), renew_after=300, keep=token)


def ask(path: str, token: str) -> dict[str, Any]:
    """What GitHub says of the owner of a token; nothing if it has no such thing, or doesn't say it to this app."""
    headers = [
        ("accept", b"application/vnd.github+json"),
        ("authorization", b"Bearer " + token.encode()),
        ("user-agent", b"portcullis"),
    ]
    try:
        answer = fetch(f"https://api.github.com{path}", headers=headers, timeout=TIMEOUT)
        read = read_json(answer.body) if answer.status == 200 else {}
    except (HttpError, ValueError) as error:
        raise unavailable(f"GitHub: {path}: {error}") from None
    if answer.status == 401:
        raise unauthenticated("GitHub doesn't know the token any more")
    if answer.status not in (200, 403, 404):
        raise unavailable(f"GitHub: {path}: status {answer.status}")
    return read if isinstance(read, dict) else {}


Plugin, Authenticator, Login = export_login(GitHub, Settings)
