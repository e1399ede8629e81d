"""Pieces of configuration that many tests share. A test of a key writes that key itself."""

import shutil

PEOPLE = """
[authenticators.people]
plugin = "simple"
"""
"""The built-in `simple` without a password, which accepts any user name."""


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
    """A route to the built-in page that shows the user. It is public unless authenticators are given."""
    asked = f"authenticators = {list(authenticators)}" if authenticators else "public = true"
    return f'''
[[routes]]
path = "{path}"
{asked}
upstream = "portcullis:whoami"
'''


def protected(upstream, more=""):
    """A route for all paths, protected by `simple`."""
    return PEOPLE + route(upstream, "people", more=more)


def upstream(*servers, more="", route_more=""):
    """A route for all paths to the upstream `app` with these servers, protected by `simple`. `more`: further lines of the
    upstream's table."""
    listed = ", ".join(f'"{server.url}"' for server in servers)
    return (
        PEOPLE
        + f"""
[upstreams.app]
servers = [{listed}]
{more}
[[routes]]
path = "/"
upstream = "app"
authenticators = ["people"]
{route_more}
"""
    )


def tokens(provider):
    """The built-in `jwt` as `tokens`, which accepts all tokens of the provider."""
    return f"""
[authenticators.tokens]
plugin = "jwt"
[authenticators.tokens.settings]
issuers = [{{ issuer = "{provider.issuer}", audiences = ["{provider.audience}"], discovery = true }}]
[authenticators.tokens.grants]
http = ["{provider.issuer}"]
"""


def drop(folder, name, component, description=None):
    """Puts a plugin into a directory, with its `NAME.toml` or without, and returns the configuration of that directory."""
    shutil.copy(component, folder / f"{name}.wasm")
    if description is not None:
        (folder / f"{name}.toml").write_text(description)
    return f'[plugins]\ndirectory = "{folder}"\n'
