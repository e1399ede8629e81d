from dataclasses import dataclass

from portcullis import Request, setting
from portcullis_authorizer import AuthorizerPlugin, Permit, Principal, export_authorizer, forbidden, is_in, is_safe, permit


@dataclass
class Settings:
    group: str = setting("Who may do more than read.")


class Writers(AuthorizerPlugin):
    """Everybody may read, and a group may write."""

    def __init__(self, settings: Settings) -> None:
        self.group = settings.group

    def authorize(self, request: Request, principal: Principal) -> Permit:
        if is_safe(request) or is_in(principal.user, self.group):
            return permit(valid_for=300)
        raise forbidden(f"{principal.user.name} isn't in {self.group}")


Plugin, Authorizer = export_authorizer(Writers, Settings)
