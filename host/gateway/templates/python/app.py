"""An API key in a header."""

from dataclasses import dataclass

from portcullis import Grant, Request, Secret, export, grant, not_mine, setting, unauthenticated


@dataclass
class Settings:
    key: Secret = setting("What clients send in `X-Api-Key`.")


class ApiKey:
    def __init__(self, settings: Settings) -> None:
        self.key = settings.key

    def authenticate(self, request: Request) -> Grant:
        match request.header("x-api-key"):
            case []:
                raise not_mine()
            case [key] if self.key.matches(key):
                return grant("api")
            case _:
                raise unauthenticated("wrong API key")


Plugin, Authenticator = export(ApiKey, Settings)
