"""Plugins that trap, never end or answer too much: the client gets a 503, the upstream nothing, and the log has the reason.

The guest is `tests/guests/hostile`, which misbehaves as the header `X-Do` tells it.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import basic, begin, connect
from harness.config import PEOPLE, drop, route, whoami
from harness.gateway import LISTEN_ANYWHERE, run
from harness.hostile import SHORT_DEADLINE, instruct
from harness.process import eventually
from harness.upstream import values

DESCRIPTION = """
[settings]
url = "{url}"
[grants]
headers = ["x-do"]
[limits]
""" + SHORT_DEADLINE.replace("400ms", "{deadline}")


def hostile(folder, component, upstream, description=DESCRIPTION, deadline="500ms"):
    """The hostile guest first, and then `simple`, which accepts any user."""
    plugins = drop(folder, "hostile", component, description.format(url=upstream.url, deadline=deadline))
    return plugins + PEOPLE + route(upstream, "hostile", "people")


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, tmp_path_factory, hostile_component):
    return serve_module(hostile(tmp_path_factory.mktemp("plugins"), hostile_component, shared_upstream))


def test_the_guest_can_behave(gateway):
    """Otherwise the tests below would prove nothing."""
    assert values(gateway.send("/", instruct("nothing bad")).json(), "x-forwarded-user") == ["alice"]
    assert values(gateway.send("/", basic("bob")).json(), "x-forwarded-user") == ["bob"]


MISBEHAVIOURS = [
    "panic",
    "loop",
    "recurse",
    "eat memory",
    "many groups",
    "huge attribute",
    "line break in a header",
    "bad header name",
    "framing header",
    "many headers",
    "informational status",
    "impossible status",
    "huge body",
    "egress",
]


def test_a_stack_that_overflows_is_called_so(gateway):
    """Row H16 of the field reports."""
    answer = gateway.send("/", instruct("recurse"))
    asked = {"message": "an authenticator could not decide", "request_id": answer.header("x-request-id")}
    [line] = eventually(lambda: gateway.logged(**asked), "the failure is logged")
    assert "its stack has probably overflowed" in line["why"]
    assert "-zstack-size" in line["why"]
    assert line["why"].endswith("(in hostile::recurse)"), line["why"]


ODD_USERS = [
    "no name",
    "long name",
    "line break in the name",
    "line break in a group",
    "five thousand groups",
    "many attributes",
    "long attribute",
]
"""Users that the gateway refuses, whichever plugin names them."""


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
def test_misbehaviour_is_a_503_and_goes_no_further(gateway, upstream, misbehaviour):
    before = len(gateway.log())
    started = time.monotonic()
    answer = gateway.send("/", instruct(misbehaviour) | basic("bob"))
    assert time.monotonic() - started < 5
    assert answer.status == 503
    assert list(answer.json()) == ["error"]
    assert answer.all("x-evil") == []
    assert upstream.seen == [], "neither let in nor asked by the plugin, nor is the next authenticator"
    [line] = [line for line in gateway.log()[before:] if line["message"] == "an authenticator could not decide"]
    assert (line["level"], line["authenticator"]) == ("WARN", "hostile")
    assert line["why"]
    [decision] = [line for line in gateway.log()[before:] if line["message"] == "decision"]
    assert "[header x-do]" in decision["steps"], "what it asked before it failed is known"


@pytest.mark.parametrize("options, levels", [([], []), (["--log-level", "debug"], ["DEBUG", "INFO", "WARN"])])
def test_what_a_plugin_says_is_shown_by_explain_and_test(tmp_path, hostile_component, options, levels):
    """Its warnings in their output, and all lines in the log if that is asked for."""
    config = f"""
[authenticators.hostile]
plugin = "{hostile_component}"
settings.url = "http://127.0.0.1:1"
grants.headers = ["x-do"]
""" + whoami("hostile")
    (tmp_path / "cases.toml").write_text("""
settings.url = "http://127.0.0.1:1"
grants.headers = ["x-do"]
[[cases]]
name = "whisper"
request.headers = { X-Do = "whisper" }
expect = { status = 404 }
""")
    explained = run("explain", "GET", "http://x/", "-H", "X-Do: whisper", *options, folder=tmp_path, config=config)
    tested = run("plugin", "test", hostile_component, "cases.toml", *options, folder=tmp_path)
    for done in (explained, tested):
        assert [line.strip() for line in done.stdout.splitlines() if "said: " in line] == ["said: a worry"]
        logged = [line.split()[1] for line in done.stderr.splitlines() if "portcullis::plugin: a " in line]
        assert logged == levels, done.stderr


def test_why_a_plugin_failed_is_told_in_its_own_words(gateway, tmp_path, upstream, hostile_component):
    """Rows H3, H4 and D4 of the field reports: in the log, by explain, and by check."""
    gateway.send("/", instruct("panic"))
    line = gateway.logged(message="an authenticator could not decide")[-1]
    said = line["why"]
    assert "it panicked or aborted; it said: thread" in said and said.endswith(" | requested by the test")
    config = f"""
[authenticators.hostile]
plugin = "{hostile_component}"
settings.url = "{upstream.url}"
grants.headers = ["x-do"]
""" + route(upstream, "hostile")
    for told, expected in [
        ("panic", ["said: requested by the test"]),
        ("egress", [f"said: denied: {upstream.url} is not granted (grants.http)"]),
        ("nothing bad", []),
    ]:
        done = run("explain", "GET", "http://x/", "-H", f"X-Do: {told}", folder=tmp_path, config=config)
        found = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("said: ")]
        assert [text for text in found if "panicked at" not in text] == expected, done.stdout
    assert upstream.seen == []
    done = run("check", folder=tmp_path, config=config.replace("grants.", "settings.panic = true\ngrants."))
    assert done.returncode == 1 and "requested by the test" in done.stderr, done.stderr


@pytest.mark.parametrize("user", ODD_USERS)
def test_a_user_who_cant_be_accepted_is_a_403_and_goes_no_further(gateway, upstream, user):
    answer = gateway.send("/", instruct(user) | basic("bob"))
    assert (answer.status, list(answer.json())) == (403, ["error"])
    assert answer.all("x-evil") == []
    assert upstream.seen == [], "neither let in nor is the next authenticator asked"
    decision = gateway.logged(message="decision")[-1]
    assert "can't be accepted: the " in decision["steps"] and "[header x-do]" in decision["steps"]


def test_a_line_break_in_a_challenge_stays_a_challenge(gateway, upstream):
    answer = gateway.send("/", instruct("line break in a challenge"))
    assert answer.status in (401, 503)
    assert answer.all("x-evil") == []
    assert upstream.seen == []


def test_what_a_plugin_prints_is_bounded(gateway):
    before = len(gateway.child.output())
    gateway.send("/", instruct("talk"))
    assert len(gateway.child.output()) - before < 200_000


def test_what_a_plugin_prints_is_logged_line_by_line(gateway):
    before = len(gateway.log())
    gateway.send("/", instruct("mutter"))
    lines = [
        (line["context"], line["level"], line["message"])
        for line in gateway.log()[before:]
        if line["target"] == "portcullis::plugin"
    ]
    assert lines == [
        ("stdout", "INFO", "a whole line"),
        ("stderr", "WARN", "a line in 2 parts, of which none ends it \u00e9"),
    ]


def test_others_are_served_while_a_plugin_never_ends(gateway):
    """More endless calls than the machine has cores."""
    with ThreadPoolExecutor(8) as pool:
        endless = [pool.submit(gateway.send, "/", instruct("loop")) for _ in range(8)]
        assert gateway.send("/", instruct("nothing bad")).status == 200
        assert {each.result().status for each in endless} == {503}


def test_plugins_that_never_end_leave_a_processor_to_others(serve, upstream, tmp_path, hostile_component):
    """If each of those that compute had to be waited for, one good request alone would take as long as a few of these."""
    gateway = serve(hostile(tmp_path, hostile_component, upstream, deadline="4s"))
    with ThreadPoolExecutor(40) as pool:
        endless = [pool.submit(gateway.send, "/", instruct("loop")) for _ in range(40)]
        assert [gateway.send("/", basic("bob")).status for _ in range(50)] == [200] * 50
        assert not any(each.done() for each in endless), "the good ones were not made to wait for the end of these"


def test_a_client_that_disconnects_affects_no_other_request(gateway):
    for _ in range(20):
        connection = connect(gateway.url)
        begin(connection, "GET", "/", instruct("loop"))
        connection.close()
    assert gateway.send("/", instruct("nothing bad")).status == 200


def test_a_plugin_reaches_the_server_that_was_granted(serve, upstream, tmp_path, hostile_component):
    granted = DESCRIPTION.replace('["x-do"]', '["x-do"]\nhttp = ["{url}"]')
    gateway = serve(hostile(tmp_path, hostile_component, upstream, granted))
    assert gateway.send("/", instruct("egress")).status == 200
    assert [seen["method"] for seen in upstream.seen] == ["GET", "GET"]


def test_a_plugin_that_traps_on_its_settings_does_not_start(upstream, tmp_path, hostile_component):
    config = LISTEN_ANYWHERE + hostile(tmp_path, hostile_component, upstream, "[settings]\npanic = true\n")
    result = run("check", folder=tmp_path, config=config)
    assert result.returncode == 1
    assert "hostile" in result.stderr
