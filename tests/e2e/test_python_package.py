"""The Python package by itself: decisions on asyncio and without it, what is told about mistakes, logs, metrics, types."""

import asyncio
import logging
import re
import subprocess
import sys
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from harness import build, minisign, python_package
from harness.client import basic
from harness.paths import PORTCULLIS, ROOT, STATE, VENV_BIN
from harness.process import eventually

portcullis = python_package.load()
from portcullis import Authenticator, Chain, Component, ConfigurationError, Request, RequestError, Sessions  # noqa: E402

SIMPLE = Component("simple")


@pytest.fixture(scope="module")
def people():
    return Chain(Authenticator("people", SIMPLE, settings={"password": "secret"}))


@pytest.fixture(scope="module")
def hostile():
    return Component(build.guest_component("hostile"))


def hostile_chain(hostile, **limits):
    grants = {"headers": ["x-do"]}
    return Chain(Authenticator("hostile", hostile, grants=grants, limits={"breaker": 0} | limits))


def instruct(words):
    return Request("GET", "/", headers={"X-Do": words})


def by_asyncio(chain, request):
    async def decide():
        return await chain.decide(request)

    return asyncio.run(decide())


def by_blocking(chain, request):
    return chain.decide_blocking(request)


@pytest.mark.parametrize("decide", [by_asyncio, by_blocking])
def test_a_chain_decides(people, decide):
    decision = decide(people, Request("GET", "/", headers=basic("alice", "secret")))
    user = decision.user
    assert (user.name, user.groups, user.admin, user.authenticator) == ("alice", [], False, "people")
    assert decision.refusal is None and not decision.lacks_credentials
    assert [(step.name, step.verdict) for step in decision.steps] == [("people", "grant")]
    assert "header authorization" in decision.steps[0].reads

    none = decide(people, Request("GET", "/"))
    assert none.user is None and none.lacks_credentials
    assert none.refusal.status == 401 and none.refusal.body == b'{"error":"Authentication required"}'
    assert [value for name, value in none.refusal.headers if name == "www-authenticate"] == [
        'Basic realm="Portcullis", charset="UTF-8"'
    ]

    wrong = decide(people, Request("GET", "/", headers=basic("alice", "guessed")))
    assert wrong.user is None and not wrong.lacks_credentials
    assert wrong.refusal.status == 401 and "people rejects the credentials" in str(wrong)


def test_every_authenticator_of_a_chain_adds_its_challenge(people):
    tokens = Authenticator("tokens", "jwt", settings={"issuers": [{"issuer": "https://idp.test", "audiences": ["a"], "jwks": JWKS}]})
    decision = Chain(tokens, *people.authenticators).decide_blocking(Request("GET", "/"))
    challenges = [value for name, value in decision.refusal.headers if name == "www-authenticate"]
    assert [challenge.split()[0] for challenge in challenges] == ["Bearer", "Basic"]


JWKS = '{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'


MISTAKES = [
    ({"settings": {"pasword": "x"}}, 'settings.pasword: unknown key; did you mean "password"?'),
    ({"settings": {"quite_different": "x"}}, "settings.quite_different: unknown key; expected one of "),
    ({"settings": {"password": 7}}, "settings.password: "),
    ({"limits": {"deadlin": "2s"}}, 'limits.deadlin: unknown key; did you mean "deadline"?'),
    ({"limits": {"deadline": "2h"}}, "limits.deadline: must be 10ms to 1m"),
    ({"limits": {"deadline": 2}}, "limits.deadline: expected a duration, such as "),
    ({"limits": {"memory": "1KiB"}}, "limits.memory: must be 1.0 MiB to 1.0 GiB"),
    ({"limits": {"memory": "much"}}, 'limits.memory: "much" is not a size, such as '),
    ({"limits": {"cache": "2GiB"}}, "limits.cache: must be "),
    ({"limits": {"concurrency": 0}}, "limits.concurrency: must be 1 to 10000"),
    ({"limits": {"concurrency": True}}, "limits.concurrency: expected a whole number, found a boolean"),
    ({"limits": {"concurrency": 1.5}}, "limits.concurrency: expected a whole number, found a float"),
    ({"limits": {"rate": "20/d"}}, 'limits.rate: "20/d" is not a rate, such as '),
    ({"limits": {"breaker": 10001}}, "limits.breaker: must be 0 to 10000"),
    ({"limits": {"reuse_decisions": "25h"}}, "limits.reuse_decisions: must be 0s to 1day"),
    ({"grants": {"header": ["a"]}}, 'grants.header: unknown key; did you mean "headers"?'),
    ({"grants": {"headers": "authorization"}}, "grants.headers: expected a list, found a string"),
    ({"grants": {"headers": ["a b"]}}, 'grants.headers[0]: "a b" is not a header name'),
    ({"grants": {"headers": ["cookie"]}}, "grants.headers[0]: the whole Cookie header can't be granted; "),
    ({"grants": {"cookies": ["a=b"]}}, 'grants.cookies[0]: "a=b" is not a cookie name'),
    ({"grants": {"http": ["idp.example"]}}, "grants.http[0]: "),
    ({"grants": {"http": ["http://localhost:1"]}}, "grants.http[0]: http://localhost:1 names this machine, "),
    ({"grants": {"private": "yes"}}, "grants.private: expected true or false, found a string"),
    ({"grants": {"client_certificate": 1}}, "grants.client_certificate: expected true or false, found an integer"),
    ({"grants": "all"}, "grants: expected a table, found a string"),
    ({"setings": {}}, 'setings: unknown key; did you mean "settings"?'),
    ({"log": "loud"}, 'log: "loud" is not a level: '),
    ({"sha256": "0"}, 'sha256: "0" is not a SHA-256: 64 hex digits'),
    ({"instances": {"keep": 2}}, "instances: isn't allowed for a built-in plugin: "),
    ({"http_refresh_floor": "2h"}, "http_refresh_floor: must be 0s to 1h"),
    ({"http_ca": "/nowhere/ca.pem"}, "http_ca: /nowhere/ca.pem"),
    ({"http_certificate": "/nowhere/c.pem"}, "http_certificate: "),
    ({"http_headers": {"https://idp.test": {"a": "env:PATH"}}}, 'http_headers."https://idp.test": https://idp.test:443 is not within '),
    ({"http_headers": {"https://idp.test": {"a": "b"}}, "grants": {"http": ["https://idp.test"]}}, 'http_headers."https://idp.test".a: a secret '),
]


def toml(value):
    match value:
        case dict():
            return "{ " + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + " }"
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


@pytest.mark.parametrize("config, mistake", MISTAKES, ids=lambda value: str(value)[:60])
def test_a_mistake_is_told_with_its_key_and_in_the_words_of_toml(config, mistake, tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        Authenticator("people", SIMPLE, **config)
    [told] = refused.value.mistakes
    assert told.startswith(mistake)
    assert str(refused.value) == f'authenticator "people": {told}'

    keys = "\n".join(f"{key} = {toml(value)}" for key, value in config.items())
    text = f'[authenticators.people]\nplugin = "simple"\n{keys}\n[[routes]]\npath = "/"\nauthenticators = ["people"]\n'
    tomllib.loads(text)
    (tmp_path / "portcullis.toml").write_text(text)
    checked = subprocess.run([PORTCULLIS, "check", "--config", tmp_path / "portcullis.toml"], capture_output=True, text=True)
    assert f"authenticators.people.{told}" in checked.stdout + checked.stderr


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ConfigurationError) as refused:
        Authenticator("a b", SIMPLE, limits={"x": 1, "deadline": "1h"}, grants={"y": 1}, settings={1: 2, "a": {3}})
    assert sorted(mistake.split(":")[0] for mistake in refused.value.mistakes) == [
        "an authenticator's name must be 1 to 64 letters, digits, - and _, beginning with a letter or digit",
        "grants.y",
        "limits.deadline",
        "limits.x",
        "settings",
        "settings.a",
    ]


def contains_itself():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value, mistake",
    [
        ("env:PORTCULLIS_NOWHERE", 'settings.password: the environment variable "PORTCULLIS_NOWHERE" is not set'),
        ("file:/nowhere/p", "settings.password: /nowhere/p can't be opened: No such file or directory (os error 2)"),
        (None, "settings.password: is null, which is no value here: leave it out"),
        ([None], "settings.password[0]: is null, which is no value here: leave it out"),
        (b"secret", "settings.password: expected None, a bool, an int, a float, a str, a list or a dict, found bytes"),
        (float("nan"), "settings.password: must be a finite number"),
        (1 << 63, "settings.password: the number has more than 64 bits"),
        ("\ud800", "settings.password: the text has surrogates, which are no characters"),
        (contains_itself(), "settings.password" + "[0]" * 63 + ": values are more than 64 deep within each other"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_that_no_plugin_can_get(value, mistake):
    with pytest.raises(ConfigurationError) as refused:
        Authenticator("people", SIMPLE, settings={"password": value})
    assert refused.value.mistakes == (mistake,)


@pytest.mark.parametrize(
    "source, why",
    [
        ("smple", "built-in smple: there is no such plugin; built in are cedar, jupyterhub, jwt, kerberos, oidc, simple"),
        ("/nowhere/a.wasm", "/nowhere/a.wasm: can't be opened: "),
        (b"no component", "12 bytes: "),
        ("oci://registry.example/people:1", "oci://registry.example/people:1: names a tag, whose meaning can change: "),
    ],
)
def test_a_component_that_can_not_be_loaded(source, why):
    with pytest.raises(portcullis.LoadError, match="^" + why):
        Component(source)


def test_a_reference_stands_for_a_variable_or_a_file(tmp_path, monkeypatch):
    (tmp_path / "password").write_text("from a file\n")
    monkeypatch.setenv("PORTCULLIS_TEST", "from a variable")
    for reference, password in (("env:PORTCULLIS_TEST", "from a variable"), (f"file:{tmp_path}/password", "from a file")):
        chain = Chain(Authenticator("people", SIMPLE, settings={"password": reference}))
        assert chain.decide_blocking(Request("GET", "/", headers=basic("alice", password))).user.name == "alice"
        assert chain.decide_blocking(Request("GET", "/", headers=basic("alice", reference))).user is None


def test_a_keyword_that_is_none_is_as_one_that_is_missing():
    chain = Chain(Authenticator("people", SIMPLE, settings=None, grants=None, sha256=None))
    assert chain.decide_blocking(Request("GET", "/", headers=basic("alice", "any"))).user.name == "alice"


def test_kept_instances_share_memory(hostile):
    chain = Chain(Authenticator("hostile", hostile, grants={"headers": ["x-do"]}, instances={"keep": 1}))
    assert chain.decide_blocking(instruct("nothing bad")).user.name == "alice"
    with pytest.raises(ConfigurationError, match="instances.keep: must be at most 2, as many calls as limits.concurrency"):
        Authenticator("hostile", hostile, limits={"concurrency": 2}, instances={"keep": 3})


def test_a_plugin_may_have_to_be_signed(tmp_path):
    wasm = tmp_path / "hostile.wasm"
    wasm.write_bytes(Path(build.guest_component("hostile")).read_bytes())
    vendor, other = minisign.Key(tmp_path), minisign.Key(tmp_path, "other")
    make = partial(Authenticator, "hostile", str(wasm))
    with pytest.raises(portcullis.LoadError, match="hostile.wasm: its signature .*minisig can't be opened"):
        make(trust=[vendor.text])
    vendor.sign(wasm)
    assert make(trust=[vendor.text]).name == "hostile"
    assert Component(wasm, trust=[vendor.text]).digest is not None
    with pytest.raises(portcullis.LoadError, match="hostile.wasm: its signature"):
        make(trust=[other.text])
    with pytest.raises(ConfigurationError, match="trust: has no effect: a built-in plugin"):
        Component("simple", trust=[vendor.text])
    with pytest.raises(ConfigurationError, match="trust: needs the signature beside a file"):
        Authenticator("hostile", wasm.read_bytes(), trust=[vendor.text])


def test_a_plugin_that_everybody_may_write_is_not_loaded(tmp_path):
    wasm = tmp_path / "hostile.wasm"
    wasm.write_bytes(Path(build.guest_component("hostile")).read_bytes())
    wasm.chmod(0o666)
    with pytest.raises(portcullis.LoadError, match="hostile.wasm: is writable for every user"):
        Component(wasm)


def test_a_pin_is_compared():
    assert Component("simple", sha256=SIMPLE.digest).digest == SIMPLE.digest
    with pytest.raises(portcullis.LoadError, match="its SHA-256 is"):
        Component("simple", sha256="0" * 64)
    assert Authenticator("people", SIMPLE, sha256=SIMPLE.digest).name == "people"
    for plugin in ("simple", SIMPLE):
        with pytest.raises(portcullis.LoadError, match="^built-in simple: its SHA-256 is .*, but sha256 is set to 0"):
            Authenticator("people", plugin, sha256="0" * 64)
    with pytest.raises(ConfigurationError, match='^Component.sha256: "x" is not a SHA-256'):
        Component("simple", sha256="x")


@pytest.mark.parametrize(
    "parts, why",
    [
        ({"method": "GE T"}, "the method is not a token"),
        ({"path": ""}, "the path is empty"),
        ({"path": "/a b"}, "the path has a blank, "),
        ({"path": "/ä"}, "the path has a blank, "),
        ({"query": "a=\n"}, "the query has a blank, "),
        ({"scheme": "ftp"}, "the scheme is neither"),
        ({"headers": [("a b", "c")]}, "the name of a header field is not a token"),
        ({"headers": [(b"a\xff", b"c")]}, "the name of a header field is not a token"),
        ({"headers": [("a", "b\r\nc: d")]}, "the header field a has a control character"),
        ({"headers": [("a", "b\0")]}, "the header field a has a control character"),
        ({"headers": [("a", "€")]}, "a header field has characters that are no bytes"),
        ({"headers": [("a", "\udcff")]}, "a header field has characters that are no bytes"),
        ({"headers": [("a", "b")] * 1001}, "the header has more than 1000 fields"),
        ({"headers": [("a", b"x" * (5 << 20))]}, "the header has more than 1000 fields or"),
        ({"client_address": "somewhere"}, "the client's address is not an IP address"),
        ({"id": "a\nb"}, "the id has a blank, "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_request_that_can_not_be(parts, why):
    with pytest.raises(RequestError, match="^" + why):
        Request(**({"method": "GET", "path": "/"} | parts))


def test_odd_requests_that_can_be(people):
    fields = [("cookie", f"c{n}={n}") for n in range(100)] + [(b"X-Bytes", bytes(range(0x80, 0x100))), ("x", "ÿ")]
    for more in ({}, {"client_address": "::1"}, {"client_address": "fe80::1%eth0"}, {"query": ""}, {"id": "7"}):
        request = Request("PROPFIND", "*", headers=[*fields, *basic("bob", "secret").items()], **more)
        assert people.decide_blocking(request).user.name == "bob"


def test_no_secret_is_shown(people):
    request = Request("GET", "/page", query="token=hidden", headers=basic("alice", "secret"))
    decision = people.decide_blocking(request)
    key = Sessions.generate_key()
    shown = [request, decision, decision.user, *decision.steps, people, *people.authenticators, SIMPLE, Sessions(key)]
    shown += [portcullis.Engine.current(), decision.refusal or "", people.decide_blocking(Request("GET", "/")).refusal]
    text = " ".join(f"{value!r} {value}" for value in shown)
    for secret in ("hidden", "secret", "YWxpY2U6c2VjcmV0", key):
        assert secret not in text
    assert repr(request) == "<Request GET /page>" and repr(people) == '<Chain "people">'


def test_a_session_replaces_credentials_and_never_beats_them(hostile):
    key = Sessions.generate_key()
    chain = Chain(Authenticator("people", SIMPLE), sessions=Sessions(key, secure=False))
    first = chain.decide_blocking(Request("GET", "/", headers=basic("alice")))
    headers = dict(first.apply([("content-type", "text/plain")]))
    assert headers["content-type"] == "text/plain" and headers["cache-control"] == "private"
    cookie = {"Cookie": headers["set-cookie"].split(";")[0]}
    assert {"HttpOnly", "SameSite=Lax"} <= {part.strip() for part in headers["set-cookie"].split(";")}
    again = chain.decide_blocking(Request("GET", "/", headers=cookie))
    assert again.user.name == "alice" and again.via_session and again.steps == []
    assert chain.decide_blocking(Request("GET", "/", headers=cookie | basic("bob"))).user.name == "bob"
    other = Chain(Authenticator("people", SIMPLE), sessions=Sessions(Sessions.generate_key(), secure=False))
    assert other.decide_blocking(Request("GET", "/", headers=cookie)).user is None
    rotated = Chain(Authenticator("people", SIMPLE), sessions=Sessions(Sessions.generate_key(), key, secure=False))
    assert rotated.decide_blocking(Request("GET", "/", headers=cookie)).user.name == "alice"


@pytest.mark.parametrize("command", ["panic", "loop", "recurse", "eat memory", "line break in a header"])
def test_a_hostile_plugin_lets_nobody_in(hostile, command):
    chain = hostile_chain(hostile, deadline="400ms", memory="16MiB")
    for decide in (by_asyncio, by_blocking):
        decision = decide(chain, instruct(command))
        assert decision.user is None and decision.refusal.status == 503
        assert ("retry-after", "5") in decision.refusal.headers
        assert decision.steps[0].verdict == "fail"


@pytest.mark.parametrize("words, turns", [("loop", 100), ("eat memory", 2), ("recurse", 2), ("panic", 2)])
def test_no_turn_of_the_event_loop_waits_for_a_hostile_plugin(hostile, words, turns):
    """A decision ends at least so many turns of the loop after it began. If the loop waited for it, both were one turn. A plugin
    that computes until its deadline leaves the loop thousands."""
    chain = hostile_chain(hostile, deadline="1s", memory="16MiB")

    async def main():
        turn = 0

        async def decide():
            began = turn
            decision = await chain.decide(instruct(words))
            return turn - began, decision.refusal.status

        decisions = asyncio.gather(*(decide() for _ in range(8)))
        while not decisions.done():
            await asyncio.sleep(0)
            turn += 1
        return await decisions

    spans, statuses = zip(*asyncio.run(main()), strict=True)
    assert statuses == (503,) * 8
    assert min(spans) >= turns, spans


def test_a_cancelled_decision_ends_by_itself_and_the_next_is_made(hostile, caplog):
    chain = hostile_chain(hostile, deadline="400ms", concurrency=1)

    async def main():
        task = asyncio.create_task(chain.decide(instruct("loop")))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        busy = await chain.decide(instruct("nothing bad"))
        assert busy.steps[0].verdict == "turned_away", "the cancelled call has its place until its deadline"
        async with asyncio.timeout(30):
            while (await chain.decide(instruct("nothing bad"))).user is None:
                await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_timeout_of_asyncio_leaves_nothing_behind(hostile):
    chain = hostile_chain(hostile, deadline="400ms")

    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await chain.decide(instruct("loop"))
        assert (await chain.decide(instruct("nothing bad"))).user.name == "alice"

    asyncio.run(main())


def test_decisions_come_to_the_loop_that_asked(people):
    """Two event loops in two threads, and threads without one, at the same time."""
    request = Request("GET", "/", headers=basic("alice", "secret"))

    async def many():
        return [decision.user.name for decision in await asyncio.gather(*(people.decide(request) for _ in range(200)))]

    with ThreadPoolExecutor(4) as pool:
        loops = [pool.submit(asyncio.run, many()) for _ in range(2)]
        threads = [pool.submit(lambda: [people.decide_blocking(request).user.name for _ in range(200)]) for _ in range(2)]
        assert all(task.result(timeout=60) == ["alice"] * 200 for task in loops + threads)


def test_a_loop_that_is_closed_before_the_decision_is_no_harm(people, hostile, capfd):
    chain = hostile_chain(hostile, deadline="400ms")

    async def leave():
        asyncio.ensure_future(chain.decide(instruct("loop")))
        await asyncio.sleep(0)

    asyncio.run(leave())
    # The abandoned call has ended when the next, which is behind it, is decided.
    assert by_asyncio(hostile_chain(hostile, deadline="1s"), instruct("loop")).refusal.status == 503
    assert by_asyncio(people, Request("GET", "/")).refusal.status == 401
    assert "Traceback" not in capfd.readouterr().err


def test_a_decision_is_a_coroutine(people, hostile):
    """`asyncio.run` takes it, and it is awaited once, as those of Python are."""
    request = Request("GET", "/", headers=basic("alice", "secret"))
    assert asyncio.iscoroutine(people.decide(request))
    assert asyncio.run(people.decide(request)).user.name == "alice"
    assert asyncio.run(asyncio.wait_for(people.decide(request), 60)).user.name == "alice"

    async def twice():
        decision = people.decide(request)
        assert (await decision).user.name == "alice"
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await decision

    asyncio.run(twice())
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(hostile_chain(hostile, deadline="1s").decide(instruct("loop")), 0.05))


def test_a_decision_about_which_no_plugin_has_to_be_asked_is_there_at_once(hostile):
    """Neither a reused one nor that of a session needs an event loop. Whatever is asked computes elsewhere."""
    people = Chain(Authenticator("people", SIMPLE), sessions=Sessions(Sessions.generate_key(), secure=False))
    request = Request("GET", "/", headers=basic("alice"))
    with pytest.raises(RuntimeError, match="no running event loop"):
        people.decide(request).send(None)
    first = people.decide_blocking(request)
    [cookie] = [value for name, value in first.apply([]) if name == "set-cookie"]
    for known in (request, Request("GET", "/", headers={"Cookie": cookie.split(";")[0]})):
        with pytest.raises(StopIteration) as sent:
            people.decide(known).send(None)
        steps = people.decide(known).__await__()
        assert iter(steps) is steps
        with pytest.raises(StopIteration) as stepped:
            next(steps)
        for decision in (sent.value.value, stepped.value.value, asyncio.run(people.decide(known)), people.decide_blocking(known)):
            assert decision.user.name == "alice"
    with pytest.raises(RuntimeError, match="no running event loop"):
        hostile_chain(hostile, deadline="1s").decide(instruct("loop")).send(None)


def test_a_decision_that_nobody_awaits_asks_no_plugin(hostile):
    """The plugin counts what it is asked, in the only instance that there is."""
    limits = {"breaker": 0, "concurrency": 1}
    counter = Authenticator("hostile", hostile, grants={"headers": ["x-do"]}, instances={"keep": 1}, limits=limits)
    chain, request = Chain(counter), instruct("count")
    for end in (lambda decision: decision.close(), lambda decision: None):
        end(chain.decide(request))
    closed = chain.decide(request)
    closed.close()
    with pytest.raises(RuntimeError, match="cannot reuse"):
        closed.send(None)
    thrown = chain.decide(request)
    with pytest.raises(KeyError, match="a"):
        thrown.throw(KeyError("a"))
    with pytest.raises(RuntimeError, match="no running event loop"):
        chain.decide(request).send(None)
    counts = [by_asyncio(chain, request).user.name.split()[1] for _ in range(2)]
    assert counts == ["1", "2"]


def test_logs_of_plugins_go_to_logging(hostile, caplog):
    chain = hostile_chain(hostile)
    with caplog.at_level(logging.DEBUG, logger="portcullis"):
        chain = Chain(*chain.authenticators)
        assert chain.decide_blocking(instruct("whisper")).user.name == "alice"

        def lines():
            return {
                (record.levelname, record.fields["authenticator"], record.message.split(" authenticator=")[0])
                for record in caplog.records
                if record.name == "portcullis.plugin"
            }

        expected = {("DEBUG", "hostile", "a detail"), ("INFO", "hostile", "a fact"), ("WARNING", "hostile", "a worry")}
        eventually(lambda: lines() >= expected, "the plugin's lines")


def test_a_warning_about_the_settings_is_shown_and_logged(caplog):
    settings = {"issuers": [{"issuer": "https://idp.test", "audiences": ["a"], "discovery": True}]}
    with caplog.at_level(logging.WARNING, logger="portcullis"):
        [warning] = Authenticator("tokens", "jwt", settings=settings, grants={"http": []}).warnings
        assert "https://idp.test" in warning and warning.startswith("settings.issuers")
        eventually(lambda: warning in caplog.text, "the warning")


METRICS = """
import portcullis, threading
seen, arrived = {}, threading.Event()
def count(name, kind, labels, value):
    key = (name, kind, labels["authenticator"], labels.get("verdict"))
    seen[key] = seen.get(key, 0) + value
    if seen.get(("portcullis_authenticator_calls_total", "counter", "people", "pass")) == 3:
        arrived.set()
portcullis.Engine(metrics=count)
chain = portcullis.Chain(portcullis.Authenticator("people", "simple", limits={"reuse_decisions": "0s"}))
for _ in range(3):
    chain.decide_blocking(portcullis.Request("GET", "/"))
assert arrived.wait(30), seen
assert seen["portcullis_authenticator_call_seconds", "histogram", "people", None] > 0
"""


def test_metrics_go_to_a_callback():
    done = python_package.run(METRICS)
    assert done.returncode == 0, done.stderr


def test_a_process_has_one_engine():
    with pytest.raises(portcullis.EngineError, match=r"Engine\.current"):
        portcullis.Engine()


MYPY = [VENV_BIN / "mypy", "--strict", "--cache-dir", STATE / "mypy-python"]


@pytest.mark.parametrize(
    "checker",
    [
        [*MYPY, "-p", "portcullis"],
        # The earliest that the package is for; the tests run on a later one.
        [*MYPY, "--python-version", "3.10", "-p", "portcullis"],
        [sys.executable, "-m", "mypy.stubtest", "portcullis._portcullis"],
    ],
    ids=["mypy", "mypy for Python 3.10", "stubtest"],
)
def test_the_types_are_right(checker):
    done = subprocess.run(
        checker, env=python_package.environment(MYPYPATH=str(python_package.folder())), capture_output=True, text=True
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr


USES = """
import asyncio
from starlette.applications import Starlette
from portcullis import Authenticator, Chain, Decision, Request, User
from portcullis.asgi import Middleware, Visitors

chain = Chain(Authenticator("people", "simple", settings={"password": "secret"}, limits={"deadline": "2s"}))

async def decide() -> User | None:
    decision: Decision = await chain.decide(Request("GET", "/", headers=[("a", b"b")]))
    return decision.user

app = Middleware(Starlette(), {"/": chain, "/start": Visitors(chain), "/health": None})
asyncio.run(decide())
"""


def pyright(*arguments):
    command = [VENV_BIN / "pyright", "--pythonpath", sys.executable, *arguments]
    done = subprocess.run(command, env=python_package.environment(), capture_output=True, text=True)
    return done.stdout + done.stderr


def test_pyright_accepts_the_package():
    assert re.search(r"(?m)^0 errors", pyright(python_package.SOURCES))


@pytest.mark.parametrize(
    "written, mistake, error",
    [
        ("", "", None),
        ('"people", "simple"', '"people", 7', "reportArgumentType"),
        ("await chain.decide", "chain.decide", "reportAssignmentType"),
        ("decision.user", "decision.name", "reportAttributeAccessIssue"),
        ("Visitors(chain)", '"public"', "reportArgumentType"),
    ],
)
def test_pyright_finds_mistakes(tmp_path, written, mistake, error):
    assert written in USES
    (tmp_path / "uses.py").write_text("# pyright: strict\n" + (USES.replace(written, mistake) if written else USES))
    told = pyright(tmp_path / "uses.py")
    assert error in told if error else re.search(r"(?m)^0 errors", told), told


def test_every_public_name_has_a_docstring():
    for name in portcullis.__all__:
        value = getattr(portcullis, name)
        assert value.__doc__, name
        for key, member in vars(value).items() if isinstance(value, type) else ():
            assert key.startswith("_") or member.__doc__, f"{name}.{key}"


def test_threads_run_while_a_plugin_computes(hostile):
    """`decide_blocking` doesn't keep Python's lock."""
    chain = hostile_chain(hostile, deadline="1s")
    steps, done = 0, threading.Event()

    def decide():
        chain.decide_blocking(instruct("loop"))
        done.set()

    thread = threading.Thread(target=decide)
    thread.start()
    while not done.wait(0.01):
        steps += 1
    thread.join()
    assert steps > 10


def test_maturin_makes_one_wheel_for_every_later_python(tmp_path):
    """What maturin would build; the build itself would take as long as that of the gateway."""
    command = [VENV_BIN / "maturin", "pep517", "write-dist-info", "--metadata-directory", tmp_path, "--interpreter", sys.executable]
    subprocess.run(command, cwd=python_package.SOURCES.parents[1], check=True, capture_output=True, timeout=120)
    [folder] = tmp_path.iterdir()
    crate = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    assert folder.name == f"portcullis-{crate['version']}.dist-info"
    metadata = (folder / "METADATA").read_text()
    assert "Requires-Python: >=3.10\n" in metadata
    extras = re.search(r"are extras: (.*?)\n\n", (ROOT / "docs/python.md").read_text(), re.S)[1]
    named = re.findall(r"`(?:pip install '\S+\[)?([a-z-]+)(?:\]')?`", extras)
    assert sorted(named) == sorted(re.findall("^Provides-Extra: (.*)$", metadata, re.M))
    assert "Tag: cp310-abi3-" in (folder / "WHEEL").read_text()
