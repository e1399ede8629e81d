"""Everybody may read, and a group may write."""

from dataclasses import dataclass

from portcullis import Request, setting
from portcullis_authorizer import AuthorizerPlugin, Permit, Principal, export_authorizer, forbidden, is_in, is_safe, permit


@dataclass
class Settings:
    group: str = setting("Who may do more than read.")


class MyPlugin(AuthorizerPlugin):
    def __init__(self, settings: Settings) -> None:
        self.group = settings.group

    def authorize(self, request: Request, principal: Principal) -> Permit:
        if is_in(principal.user, self.group):
            return permit(attributes={"role": "editor"})
        if is_safe(request):
            return permit()
        raise forbidden(f"{principal.user.name} isn't in {self.group}")


Plugin, Authorizer = export_authorizer(MyPlugin, Settings)
