"""A configuration with every built-in plugin: authenticators with a route each, a login, and an authorizer."""

from .portcullis import WHOAMI, authenticator, route

AUTHENTICATORS = {
    "simple": 'settings.password = "p"\n',
    "jwt": 'settings.issuers = [{ issuer = "https://id.test", audiences = ["a"], secret = "a secret of more than thirty-two bytes" }]\n',
    "jupyterhub": 'settings = { api_url = "http://127.0.0.1:1/hub/api", service_name = "a" }\ngrants = { headers = ["authorization"], http = ["http://127.0.0.1:1"] }\n',
    "kerberos": 'settings = { acceptor = "main", realms = ["EXAMPLE.ORG"] }\ngrants = { headers = ["authorization"] }\n',
    "oidc": 'login = true\nsettings = { issuer = "https://id.test", client_id = "a", client_secret = "s" }\ngrants = { http = ["https://id.test"], login = ["https://id.test"] }\n',
}
BESIDE = """
[login]
origins = ["https://app.test"]
[session]
keys = ["file:{key}"]
[authorizers.cedar]
plugin = "cedar"
settings.policies = ["permit (principal, action, resource);"]
"""
"""What the login needs, and the authorizer."""


def with_route(name, plugin, keys):
    """An authenticator with a route of its own."""
    return authenticator(name, plugin, keys) + route(WHOAMI, name, path=f"/{name}")


def built_ins(folder):
    """All of them. The key of the sessions is a file in the folder."""
    key = folder / "session.key"
    key.touch(0o600)
    key.write_text("0001" * 16)
    authenticators = "".join(with_route(name, name, keys) for name, keys in AUTHENTICATORS.items())
    return authenticators + BESIDE.format(key=key) + route(WHOAMI, "simple", path="/cedar") + 'authorizers = ["cedar"]\n'
