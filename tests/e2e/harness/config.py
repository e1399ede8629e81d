"""Pieces of configuration that many tests share. A test that is about a key writes that key itself."""

import shutil

PEOPLE = """
[authenticators.people]
plugin = "simple"
"""
"""The built-in `simple`: anybody is in who says a name."""


def route(upstream, *authenticators, path="/", more=""):
    """A route to the tests' upstream. `more`: further lines, the tables below the route last."""
    names = ", ".join(f'"{name}"' for name in authenticators)
    asked = f"authenticators = [{names}]" if authenticators else ""
    return f"""
[[routes]]
path = "{path}"
upstream = "{upstream.url}"
{asked}
{more}
"""


SESSION = '[session]\nkeys = ["env:KEY"]\n'
"""Sessions, sealed by the key in the variable `KEY`."""


def whoami(*authenticators, path="/"):
    """A route to the gateway's own page, which is public without authenticators."""
    asked = f"authenticators = {list(authenticators)}" if authenticators else "public = true"
    return f'''
[[routes]]
path = "{path}"
{asked}
upstream = "portcullis:whoami"
'''


def protected(upstream, more=""):
    """Everything behind `simple`."""
    return PEOPLE + route(upstream, "people", more=more)


def upstream(*servers, more="", route_more=""):
    """Everything behind `simple`, to the upstream `app` with these servers. `more`: further lines of its table."""
    listed = ", ".join(f'"{server.url}"' for server in servers)
    return PEOPLE + f"""
[upstreams.app]
servers = [{listed}]
{more}
[[routes]]
path = "/"
upstream = "app"
authenticators = ["people"]
{route_more}
"""


def tokens(provider):
    """The built-in `jwt` as `tokens`: whoever has a token of the provider is in."""
    return f"""
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "{provider.issuer}", audiences = ["{provider.audience}"], discovery = true }}]
[authenticators.tokens.grants]
http = ["{provider.issuer}"]
"""


def drop(folder, name, component, description):
    """Puts a plugin into a directory, and returns the configuration that looks there."""
    shutil.copy(component, folder / f"{name}.wasm")
    (folder / f"{name}.toml").write_text(description)
    return f'[plugins]\ndirectory = "{folder}"\n'
