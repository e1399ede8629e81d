"""A configuration with every built-in plugin: authenticators with a route each, a login, and an authorizer."""

ROUTE = '\n[[routes]]\npath = "/{name}"\nauthenticators = ["{name}"]\nupstream = "portcullis:whoami"\n'
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
[[routes]]
path = "/cedar"
authenticators = ["simple"]
authorizers = ["cedar"]
upstream = "portcullis:whoami"
"""
"""What the login needs, and the authorizer."""


def authenticator(name, plugin, keys):
    """An authenticator with a route of its own."""
    return f'\n[authenticators.{name}]\nplugin = "{plugin}"\n{keys}{ROUTE.format(name=name)}'


def built_ins(folder):
    """All of them. The key of the sessions is a file in the folder."""
    key = folder / "session.key"
    key.touch(0o600)
    key.write_text("0001" * 16)
    return "".join(authenticator(name, name, keys) for name, keys in AUTHENTICATORS.items()) + BESIDE.format(key=key)
