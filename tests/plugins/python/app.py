"""An authenticator in Python: whoever sends a badge that the settings list is that badge's holder."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.portcullis_auth_types import Challenge, Grant, Refusal_NotMine, Refusal_Unauthenticated, User

SCHEMA = {
    "type": "object",
    "properties": {"badges": {"type": "object", "additionalProperties": {"type": "string"}}},
    "required": ["badges"],
    "additionalProperties": False,
}
badges = {}
"""By badge, its holder. It stands here because each call gets a fresh object."""


class Plugin(exports.Plugin):
    def settings_schema(self):
        return json.dumps(SCHEMA)

    def configure(self, settings):
        badges.update(json.loads(settings)["badges"])


class Authenticator(exports.Authenticator):
    def authenticate(self, request):
        badge = b"".join(request.header("x-badge")).decode("latin-1")
        challenge = Challenge("Badge", [("realm", "python")])
        if not badge:
            raise Err(Refusal_NotMine(challenge))
        if badge not in badges:
            raise Err(Refusal_Unauthenticated(("no such badge", challenge)))
        return Grant(User(badges[badge], ["badge-holders"], False, []), 60, [])
