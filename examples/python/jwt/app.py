"""JSON Web Tokens of one issuer, whose keys are fetched by URL. A claim of the token is the user."""

from dataclasses import dataclass

from portcullis import Duration, Grant, Jwks, Jwt, Request, export, grant, log, setting


@dataclass
class Settings:
    issuer: str = setting("The issuer, exactly as in the claim `iss` of its tokens.")
    audiences: list[str] = setting("The claim `aud` must name one of these.")
    jwks_url: str = setting("The URL of the issuer's keys, a JWK Set.", grant="http")
    user_claim: str = setting("The claim that is the user's name.", default="sub")
    groups_claim: str | None = setting("The claim that lists the user's groups.", default=None)
    timeout: Duration = setting("The time limit of fetching the keys.", default="2s", requests=1)
    min_refresh_interval: Duration = setting("The shortest time between two fetches.", default="30s")
    reuse: Duration = setting("How long a decision may be reused, but never after the token's end.", default="5m")


class Tokens:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        interval = settings.min_refresh_interval
        keys = Jwks(settings.jwks_url, timeout=settings.timeout, min_refresh_interval=interval)
        self.jwt = Jwt(issuer=settings.issuer, audiences=settings.audiences, keys=keys)

    def authenticate(self, request: Request) -> Grant:
        claims = self.jwt.claims(request)
        groups = claims.groups(self.settings.groups_claim) if self.settings.groups_claim else []
        email = claims.text("email")
        if email is None:
            log("debug", "the token has no email")
        return grant(
            claims.name(self.settings.user_claim),
            groups=groups,
            attributes={"email": email} if email else {},
            valid_for=min(claims.remaining, self.settings.reuse),
        )


Plugin, Authenticator = export(Tokens, Settings)
