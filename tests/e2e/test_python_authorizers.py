"""Authorizers in Python: a chain asks them after a user is known, and no failure of theirs and no way around them lets anybody in."""

import asyncio
import re
import shutil

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from traitlets import TraitError
from traitlets.config import Config

from harness import build, python_package
from harness.client import basic
from harness.page import block, section
from harness.paths import ROOT
from harness.process import eventually

portcullis = python_package.load()
from portcullis import Authenticator, Authorizer, Chain, Component, ConfigurationError, PluginDirectory, Request, Sessions  # noqa: E402
from portcullis.asgi import Middleware, Visitors  # noqa: E402
from portcullis.dask_gateway import WasmAuthenticator  # noqa: E402

ALICE = basic("alice", "secret")
GRANTS = {"headers": ["x-judge"]}


@pytest.fixture(scope="module")
def people():
    return Authenticator("people", "simple", settings={"password": "secret"})


@pytest.fixture(scope="module")
def component(judge):
    return Component(judge)


def judging(component, name="judge", **settings):
    return Authorizer(name, component, settings=settings, grants=GRANTS, limits={"deadline": "500ms", "breaker": 0})


def told(script, headers=ALICE):
    return Request("GET", "/a", headers=headers | {"X-Judge": script})


ANSWERS = {
    "permit 0 role=editor": None,
    "forbid it is late": 403,
    "hide": 404,
    "respond 418": 418,
    "unavailable": 503,
    "panic": 503,
    "loop": 503,
    "attributes 17 1": 503,
}


def test_the_answer_decides_and_no_failure_is_a_permission(people, component):
    chain = Chain(people, authorizers=[judging(component)])
    for script, status in ANSWERS.items():
        for decision in (chain.decide_blocking(told(script)), asyncio.run(chain.decide(told(script)))):
            assert (decision.refusal.status if decision.refusal else None) == status, decision
            assert (decision.user is None) == (status is not None) and not decision.lacks_credentials
            assert [(step.name, step.role) for step in decision.steps] == [("people", "authenticator"), ("judge", "authorizer")]
            if status == 503:
                assert decision.refusal.body == b'{"error":"Authorization is unavailable"}'
            else:
                assert decision.steps[1].verdict == script.split()[0]
            if status is None:
                [permit] = decision.permits
                assert (permit.authorizer, permit.attributes, permit.attribute("role")) == ("judge", [("role", "editor")], "editor")
            else:
                assert decision.permits == []
    assert chain.decide_blocking(told("forbid it is late")).steps[1].reason == "it is late"
    assert [one.name for one in chain.authorizers] == ["judge"] and repr(chain) == '<Chain "people", "judge">'


def test_they_are_asked_in_order_and_nobody_about_who_is_not_authenticated(people, component):
    settings = {"header": "X-Judge"}
    chain = Chain(people, authorizers=[judging(component, **settings), judging(component, "second", **settings)])
    assert [step.name for step in chain.decide_blocking(told("permit 0")).steps] == ["people", "judge", "second"]
    assert [step.name for step in chain.decide_blocking(told("hide")).steps] == ["people", "judge"]
    wrong = chain.decide_blocking(told("hide", basic("alice", "guessed")))
    assert (wrong.refusal.status, [step.name for step in wrong.steps]) == (401, ["people"])


def test_a_visitor_is_served_only_if_they_permit_it(people, component):
    """Whoever serves visitors by `lacks_credentials` alone, and forgets to ask for them, lets nobody in."""
    lenient = Chain(people, authorizers=[judging(component, anonymous=True)])
    for script, visitors, status, serves in [
        ("permit 0", True, 401, True),
        ("permit 0", False, 401, False),
        ("forbid", True, 401, False),
        ("hide", True, 404, False),
        ("panic", True, 503, False),
    ]:
        decision = lenient.decide_blocking(told(script, {}), visitors=visitors)
        assert (decision.user, decision.refusal.status, decision.lacks_credentials) == (None, status, serves), script
        assert (len(decision.steps) == 2) == visitors, "they are asked for visitors only"
    strict = Chain(people, authorizers=[judging(component)])
    assert not strict.decide_blocking(told("permit 0", {}), visitors=True).lacks_credentials
    assert Chain(people).decide_blocking(told("hide", {})).lacks_credentials, "without authorizers it is as ever"


async def ask_asgi(app, script, headers, path="/"):
    fields = [(name.lower().encode(), value.encode()) for name, value in (headers | {"X-Judge": script}).items()]
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": fields}
    await app(scope, None, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_middleware_serves_what_they_permit(people, component):
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    lenient = judging(component, anonymous=True)
    sessions = Sessions(Sessions.generate_key(), secure=False)
    chain = Chain(people, authorizers=[lenient], sessions=sessions)
    app = Middleware(page, {"/": chain, "/open": Visitors(chain)})
    for headers, script, path, status in [
        (ALICE, "permit 0", "/", 200),
        (ALICE, "forbid", "/", 403),
        (ALICE, "hide", "/open", 404),
        ({}, "permit 0", "/", 401),
        ({}, "permit 0", "/open", 200),
        ({}, "forbid", "/open", 401),
        ({}, "panic", "/open", 503),
    ]:
        found, fields = asyncio.run(ask_asgi(app, script, headers, path))
        assert found == status, (headers, script, path)
        # Who is known gets a session, whatever the answer to this request is, and the next one is asked about again.
        assert (b"set-cookie" in fields) == bool(headers)


def test_dask_gateway_asks_them(judge):
    config = Config({"WasmAuthenticator": {
        "plugin": "simple",
        "settings": {"password": "secret"},
        "authorizers": [{"name": "judge", "plugin": str(judge), "grants": GRANTS, "limits": {"breaker": 0}}],
    }})  # fmt: skip
    authenticator = WasmAuthenticator(config=config, cookie_name="c", proxy_hops=0)

    async def served(request):
        return web.Response(text=request["user"].name)

    async def ask():
        app = web.Application()
        await authenticator.setup(app)
        found = []
        for script in ("permit 0", "forbid", "hide", "panic"):
            request = make_mocked_request("GET", "/api/v1/clusters/", headers=ALICE | {"X-Judge": script})
            response = await authenticator.authenticate_and_handle(request, served)
            found.append(response.status)
        return found

    assert asyncio.run(ask()) == [200, 403, 404, 503]


TRAITS = [
    ({"authorizers": ["judge"]}, "authorizers[0]: names a plugin of `plugin_directory`, which isn't set"),
    ({"authorizers": [{"name": "judge"}]}, 'authorizers[0]: the key "plugin" is missing'),
]


@pytest.mark.parametrize("traits, expected", TRAITS, ids=[expected for _, expected in TRAITS])
def test_mistakes_in_traits_are_told(traits, expected):
    config = Config({"WasmAuthenticator": {"plugin": "simple", "settings": {"password": "secret"}} | traits})
    with pytest.raises(TraitError, match=re.escape(expected)):
        WasmAuthenticator(config=config)


MISTAKES = [
    ("simple", {}, "this plugin is an authenticator, and not an authorizer"),
    ("cedar", {}, "settings"),
    ("cedar", {"login": True}, "login: has no effect: nobody logs in with an authorizer"),
    ("cedar", {"settings": {"policies": "permit (principle, action, resource);"}}, "settings.policies: "),
]


@pytest.mark.parametrize("plugin, keys, expected", MISTAKES, ids=[expected for _, _, expected in MISTAKES])
def test_mistakes_are_told_with_their_keys(plugin, keys, expected):
    with pytest.raises(ConfigurationError, match=re.escape(expected)) as raised:
        Authorizer("api", plugin, **keys)
    assert str(raised.value).startswith('authorizer "api"')


def test_a_plugin_is_asked_in_its_own_role(people, component, judge):
    with pytest.raises(ConfigurationError, match="is an authorizer, and not an authenticator"):
        Authenticator("judge", component)
    for wrong in (lambda: Chain(judging(component)), lambda: Chain(people, authorizers=[people])):
        with pytest.raises(TypeError):
            wrong()


def test_one_of_a_directory_is_taken_up_anew_and_stays_an_authorizer(people, judge, tmp_path, caplog):
    folder = tmp_path / "plugins"
    folder.mkdir()
    shutil.copy(judge, folder / "rules.wasm")
    description = '[grants]\nheaders = ["x-judge"]\n'
    (folder / "rules.toml").write_text(description)
    directory = PluginDirectory(folder)
    assert (directory.authenticators, directory.authorizers) == ([], ["rules"])
    rules = directory["rules"]
    assert repr(rules) == '<Authorizer "rules">'
    chain = Chain(people, authorizers=[rules])
    assert chain.decide_blocking(told("hide")).refusal.status == 404
    (folder / "rules.toml").write_text('[settings]\nheader = "X-Other"\n' + description)
    eventually(lambda: chain.decide_blocking(told("hide")).user is not None, "the new settings")
    (folder / "rules.toml").write_text(description)
    eventually(lambda: chain.decide_blocking(told("hide")).user is None, "those from before")
    # A file that is another kind of plugin than before would leave the route without an authorizer.
    shutil.copy(build.guest_component("hostile"), folder / "rules.wasm")
    eventually(lambda: 'has no authorizer "rules" any more, which is asked about requests' in caplog.text, "the error")
    assert chain.decide_blocking(told("hide")).refusal.status == 404


def test_the_example_of_the_page_prints_what_stands_there(capsys, tmp_path):
    page = (ROOT / "docs/python.md").read_text()
    exec(block(page, "Who may do what"), {})
    assert capsys.readouterr().out == block(page, "Who may do what", "text")
    config = re.search(r"(?ms)^```python\n(c\..*?)^```", section(page, "Who may do what"))[1]
    (tmp_path / "policies.cedar").write_text("permit (principal, action, resource);")
    c = Config()
    exec(config.replace("/etc/dask-gateway", str(tmp_path)), {"c": c})
    c.WasmAuthenticator.update({"plugin": "simple", "settings": {"password": "secret"}})
    authenticator = WasmAuthenticator(config=c, cookie_name="c")
    assert [one.name for one in authenticator.load_plugins().authorizers] == ["policies"]
