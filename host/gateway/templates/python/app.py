"""Accepts requests that carry an API key."""

import hmac
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.portcullis_auth_types import Grant, Refusal_NotMine, Refusal_Unauthenticated, User

SCHEMA = {
    "type": "object",
    "properties": {
        "key": {"type": "string", "minLength": 1, "description": "The key that clients send in X-Api-Key"},
    },
    "required": ["key"],
    "additionalProperties": False,
}
settings = {}
"""They stand here because each call gets a new `Authenticator`."""


class Authenticator(exports.Authenticator):
    def settings_schema(self):
        return json.dumps(SCHEMA)

    def configure(self, text):
        settings.update(json.loads(text))

    def authenticate(self, request):
        sent = request.header("x-api-key")
        if not sent:
            raise Err(Refusal_NotMine(None))
        if len(sent) > 1 or not hmac.compare_digest(sent[0], settings["key"].encode()):
            raise Err(Refusal_Unauthenticated(("wrong API key", None)))
        return Grant(User("api", [], False, []), None, [])
