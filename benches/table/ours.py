"""Portcullis' side of each comparison."""

import re

from programs.portcullis import AUDIT, QUIET, WHOAMI, authenticator, copied, listening, portcullis, route
from programs.process import answer

from .fronts import envoy_asks_grpc, nginx_asks
from .side import Running, side
from .theirs import API_KEY
from .tokens import AUDIENCE, ISSUER

SERVER = '[server]\nlisten = "127.0.0.1:0"\nkeepalive_timeout = "10m"\n'

FRESH = 'limits.reuse_decisions = "0s"\n'
"""A limit with which the plugin is called about every request."""
COPIED = 1100
"""After as many calls, the gateway has begun to make a copy of the plugin, in the background. Later calls begin with it."""

MOST_AUTHENTICATORS = 1000
ROOM = f"[plugins]\nconcurrency = {MOST_AUTHENTICATORS}\n"
"""Each authenticator has a place among the calls of its own."""

BASIC = "Authorization: Basic YWxpY2U6"
"""The user alice, without a password."""

SCALE = """
local requests, last = {}, 0
init = function()
  for n = 1, %d do requests[n] = wrk.format("GET", "/" .. n .. "/") end
end
request = function()
  last = last %% #requests + 1
  return requests[last]
end
"""


def jwt(tokens, more=""):
    settings = (
        f'settings.issuers = [{{ issuer = "{ISSUER}", audiences = ["{AUDIENCE}"], '
        f'algorithms = ["{tokens.algorithm}"], jwks = "file:{tokens.folder}/jwks.json" }}]\n'
    )
    return authenticator("tokens", "jwt", settings + more)


def run(stage, config, level=QUIET, **environment):
    """The gateway, and the file with its log."""
    folder = stage.folder("portcullis")
    return portcullis(folder, stage.portcullis, SERVER + config, level, **environment), folder / "portcullis.log"


def settled(log, calls):
    """Waits until the copy that so many calls set off is made: meanwhile it would count as the requests' cost."""
    return lambda: copied(log) if calls >= COPIED else None


def bearer(algorithm="RS256", count=None, fresh=False, level=QUIET, proxied=False, sent=None):
    """The built-in `jwt`. `count`: as many tokens as that; `proxied`: the upstream answers, not the gateway; `sent`: after
    the warm-up, only as many tokens as that are sent."""

    @side("Portcullis" if count is None else f"Portcullis, with {count}")
    def start(stage):
        tokens = stage.tokens(algorithm, count)
        upstream = f"http://127.0.0.1:{stage.upstream}" if proxied else WHOAMI
        config = jwt(tokens, FRESH if fresh else "") + route(upstream, "tokens")
        program, log = run(stage, config, level)
        calls = max(tokens.count, COPIED) if fresh else tokens.count
        with program as server:
            yield Running(
                server,
                server.url(),
                tokens.script_of(sent or tokens.count),
                refused=(tokens.forged,),
                warm_up=calls,
                warm_up_script=tokens.script,
                settle=settled(log, calls),
            )

    return start


RS256 = bearer()
RS256_AUDIT = bearer(level=AUDIT)
RS256_FRESH = bearer(fresh=True)
ES256_FRESH = bearer("ES256", fresh=True)
RS256_PROXIED = bearer(proxied=True)


def plugin(component, settings, header, refused, more=""):
    """A plugin that is called about every request, with one header. `component`: its name, or what gives its file on a
    stage."""

    @side("Portcullis")
    def start(stage):
        file = component if isinstance(component, str) else component(stage)
        grant = header.partition(":")[0].lower()
        grants = "" if grant == "authorization" else f'grants.headers = ["{grant}"]\n'
        config = authenticator("plugin", file, settings + grants + FRESH + more) + route(WHOAMI, "plugin")
        program, log = run(stage, config)
        with program as server:
            yield Running(
                server, server.url(), headers=(header,), refused=(refused,), warm_up=COPIED, settle=settled(log, COPIED)
            )

    return start


BADGES = 'settings.badges = { b-1 = "grace" }\n'
SIMPLE = plugin("simple", 'settings.password = "secret"\n', "Authorization: Basic YWxpY2U6c2VjcmV0", BASIC)
API_KEY_PLUGIN = plugin(
    lambda stage: stage.build.example_component("api_key"),
    f'settings.key = "{API_KEY}"\n',
    f"X-Api-Key: {API_KEY}",
    "X-Api-Key: open barley",
)
PYTHON = plugin(
    lambda stage: stage.build.python_component(), BADGES, "X-Badge: b-1", "X-Badge: b-2", 'limits.memory = "64MiB"\n'
)
JAVASCRIPT = plugin(lambda stage: stage.build.javascript_component(), BADGES, "X-Badge: b-1", "X-Badge: b-2")


@side("Portcullis")
def NO_PLUGIN(stage):
    program, _ = run(stage, route())
    with program as server:
        yield Running(server, server.url())


@side("Portcullis, a public route")
def PUBLIC(stage):
    program, _ = run(stage, route(f"http://127.0.0.1:{stage.upstream}"))
    with program as server:
        yield Running(server, server.url())


@side("Portcullis")
def SESSION(stage):
    sessions = '[session]\nkeys = ["env:KEY"]\nsecure = false\n'
    config = sessions + authenticator("people", "simple") + route(f"http://127.0.0.1:{stage.upstream}", "people")
    program, _ = run(stage, config, KEY=stage.session_key)
    with program as server:
        yield Running(server, server.url(), headers=(f"Cookie: {session(server)}",), refused=("Cookie: x=y",))


def session(server):
    """The cookie that a login leaves a client with."""
    return re.search(r"(?i)set-cookie: ([^;]+)", answer(server.port, headers=[BASIC]))[1]


def asked(front, listener, message):
    """The gateway as the service that a front asks: its own cost, without the front's."""

    @side("Portcullis as the service")
    def start(stage):
        tokens = stage.tokens("RS256")
        config = f'trusted_proxies = ["127.0.0.1"]\n[{listener}]\nlisten = "127.0.0.1:0"\n'
        program, log = run(stage, config + jwt(tokens) + route(None, "tokens"))
        with program as server, front(stage, listening(log, f"listening for {message}")) as before:
            calls = tokens.count
            yield Running(
                server, before.url(), tokens.script, refused=(tokens.forged,), warm_up=calls, settle=settled(log, calls)
            )

    return start


BEHIND_NGINX = asked(nginx_asks, "forward_auth", "forward-auth")
BEHIND_ENVOY = asked(envoy_asks_grpc, "ext_authz", "ext_authz")


def many(count, sent=None):
    """Routes, with an authenticator for each as far as there may be so many, and requests to one after the other. `sent`:
    after the warm-up, only as many routes get requests."""

    @side(f"Portcullis, with {count}")
    def start(stage):
        names = [f"a{n}" for n in range(min(count, MOST_AUTHENTICATORS))]
        config = ROOM + "".join(authenticator(name, "simple") for name in names)
        config += "".join(route(WHOAMI, names[n % len(names)], path=f"/{n + 1}/") for n in range(count))
        program, _ = run(stage, config)
        folder = stage.folder("load")
        all_routes, script = folder / "all.lua", folder / "load.lua"
        all_routes.write_text(SCALE % count)
        script.write_text(SCALE % (sent or count))
        with program as server:
            yield Running(
                server, server.url("/1/"), script, (BASIC,), refused=(), warm_up=count, warm_up_script=all_routes
            )

    return start


def live(count, sent=None):
    """Decisions about as many tokens that are kept at once. `sent`: of which only as many are used."""
    return bearer("ES256", count, sent=sent)


def authenticators(count):
    """A configuration with as many authenticators over one component, all with the same settings."""
    plugins = "".join(authenticator(f"a{n}", "simple", 'settings.password = "secret"\n') for n in range(count))
    return SERVER + ROOM + plugins + route(WHOAMI, "a0")
