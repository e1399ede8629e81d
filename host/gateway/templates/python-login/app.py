"""Logs people in at a provider that speaks OAuth 2.0 and has an API that says whose a token is."""

from collections.abc import Mapping
from dataclasses import dataclass

from portcullis import HttpError, Secret, fetch, grant, read_json, setting, unauthenticated, unavailable
from portcullis_login import Arrival, Departure, Flow, LoginPlugin, OAuth, arrival, export_login

TIMEOUT = 2
"""How many seconds the provider may take to answer. A login asks twice, within the deadline of 5 seconds."""


@dataclass
class Settings:
    authorize_url: str = setting("Where browsers are sent to log in.", grant="login")
    token_url: str = setting("Where the code that a browser brings back is exchanged for a token.", grant="http")
    user_url: str = setting("Who owns a token: an API that answers with JSON.", grant="http")
    user_member: str = setting("The member of this JSON that is the user's name. Choose one that never passes to somebody else.")
    client_id: str = setting("Who the gateway is at the provider.")
    client_secret: Secret = setting("Its secret there.")


class MyPlugin(LoginPlugin):
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.oauth = OAuth(
            settings.authorize_url, settings.token_url, settings.client_id, settings.client_secret, timeout=TIMEOUT
        )

    def begin(self, flow: Flow) -> Departure:
        return self.oauth.begin(flow)

    def finish(self, flow: Flow, memo: bytes, parameters: Mapping[str, str]) -> Arrival:
        return self.arrival(self.oauth.finish(flow, memo, parameters)["access_token"])

    def renew(self, keep: bytes) -> Arrival:
        return self.arrival(keep.decode("latin-1"))

    def arrival(self, token: str) -> Arrival:
        """The owner of a token, which the session keeps."""
        headers = [("accept", b"application/json"), ("authorization", b"Bearer " + token.encode())]
        try:
            answer = fetch(self.settings.user_url, headers=headers, timeout=TIMEOUT)
        except HttpError as error:
            raise unavailable(f"the provider's API: {error}") from None
        if answer.status == 401:
            raise unauthenticated("the provider doesn't know the token any more")
        if answer.status != 200:
            raise unavailable(f"the provider's API answered with status {answer.status}")
        try:
            found = read_json(answer.body)
        except ValueError:
            raise unavailable("the provider's API didn't answer with JSON") from None
        name = found.get(self.settings.user_member) if isinstance(found, dict) else None
        if not isinstance(name, str):
            raise unavailable("the provider's API names no user (settings: user_member)")
        return arrival(grant(name), renew_after=300, keep=token)


Plugin, Authenticator, Login = export_login(MyPlugin, Settings)
