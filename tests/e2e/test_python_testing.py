"""`portcullis.testing`, and the example of it in `docs/python.md`."""

import re
import subprocess
import sys

import pytest

from harness import build, python_package
from harness.paths import ROOT

portcullis = python_package.load()
from portcullis import ConfigurationError  # noqa: E402
from portcullis.testing import Call, Plugin, Policy  # noqa: E402

PAGE = (ROOT / "docs/python.md").read_text()
HUB = "https://hub.test"
USER = {"kind": "user", "name": "alice", "groups": ["staff"]}


def hub(*responses, **more):
    return Plugin(
        "jupyterhub",
        settings={"api_url": f"{HUB}/hub/api", "allow_any_token": True},
        grants={"http": [HUB]},
        servers=[{"url": HUB, "responses": list(responses)}],
        **more,
    )


def ask(plugin, token="t"):
    return plugin.ask(headers={"Authorization": f"token {token}"})


def test_the_example_of_the_page_passes(tmp_path):
    [example] = re.findall(r"(?ms)^```python\n(from portcullis.testing .*?)^```", PAGE)
    (tmp_path / "test_plugin.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "test_plugin.py"]
    done = subprocess.run(command, env=python_package.environment(), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr


def test_a_server_is_played_and_says_what_it_was_asked():
    plugin = hub({"path": "/hub/api/user", "json": USER})
    assert plugin.calls == []
    decision = ask(plugin)
    assert (decision.user.name, decision.user.groups) == ("alice", ["staff"])
    [call] = plugin.calls
    assert (call.method, call.url, call.body, call.is_answered) == ("GET", f"{HUB}/hub/api/user", b"", True)
    assert call.header("Authorization") == "token t" and call.header("x-none") is None
    assert ask(plugin).user.name == "alice" and plugin.calls == [], "the plugin knows the answer already"
    assert plugin.ask("POST", "/x", query="a=1").refusal.status == 401


def test_a_call_shows_no_secret():
    """As pytest shows it when an assertion fails."""
    headers = [("authorization", "token secret"), ("cookie", "secret=1")]
    call = Call("POST", f"{HUB}/page?token=secret", headers, b"secret", True)
    assert repr(call) == str(call) == f"<Call POST {HUB}/page>"
    plugin = hub({"path": "/hub/api/user", "json": USER})
    ask(plugin, "secret")
    assert repr(plugin.calls) == f"[<Call GET {HUB}/hub/api/user>]"
    assert plugin.calls[0].header("authorization") == "token secret"


def test_a_response_that_is_missing_is_404_and_one_is_used_up():
    plugin = hub({"path": "/hub/api/user", "status": 500, "times": 1}, {"path": "/hub/api/user", "json": USER})
    assert ask(plugin).refusal.status == 503
    assert ask(plugin).user.name == "alice"
    plugin = hub()
    assert ask(plugin).refusal.status == 401
    assert [call.is_answered for call in plugin.calls] == [False]


def test_a_server_may_hang_up_or_be_late():
    assert ask(hub({"hang_up": True})).refusal.status == 503
    assert ask(hub({"delay": "30s", "json": USER}, limits={"deadline": "200ms"})).refusal.status == 503


def test_a_server_that_is_not_granted_is_not_asked():
    plugin = Plugin(
        "jupyterhub",
        settings={"api_url": f"{HUB}/hub/api", "allow_any_token": True},
        servers=[{"url": HUB, "responses": [{"json": USER}]}],
        grants={"http": []},
    )
    assert ask(plugin).refusal.status == 503 and plugin.calls == []
    assert any(HUB in warning for warning in plugin.authenticator.warnings)


@pytest.mark.parametrize(
    "servers, told",
    [
        ([{"url": "hub.test"}], 'servers[0].url: "hub.test" is not the URL of a server'),
        ([{"responses": []}], 'servers[0]: the key "url" is missing'),
        ([{"url": HUB, "responses": [{"pth": "/"}]}], 'servers[0].responses[0].pth: unknown key; did you mean "path"?'),
        ([{"url": HUB, "responses": [{"status": 99}]}], "servers[0].responses[0].status: must be 200 to 599"),
        ([{"url": HUB, "responses": [{"body": b"x"}]}], "servers[0].responses[0].body: expected None, a bool, "),
        ([{"url": HUB, "responses": [{"file": "/nowhere"}]}], "servers[0].responses[0].file: "),
    ],
    ids=str,
)
def test_a_mistake_in_a_server_is_told_with_its_key(servers, told):
    with pytest.raises(ConfigurationError) as refused:
        Plugin("simple", servers=servers)
    [mistake] = refused.value.mistakes
    assert mistake.startswith(told) and str(refused.value) == mistake


def test_mistakes_in_the_keys_are_told_as_elsewhere():
    with pytest.raises(ConfigurationError, match='settings.pasword: unknown key; did you mean "password"'):
        Plugin("simple", settings={"pasword": "x"})


def test_any_component_can_be_asked():
    plugin = Plugin(build.guest_component("scripted"), limits={"deadline": "400ms"})
    assert plugin.ask(headers={"Authorization": "Script grant"}).user.name == "alice"
    assert plugin.ask(headers={"Authorization": "Script forbid"}).refusal.status == 403
    assert repr(plugin) == "<Plugin 'plugin'>"


@pytest.mark.parametrize(
    "method, user, verdict, status",
    [
        ("GET", {"name": "alice"}, "permit", 200),
        ("PUT", {"name": "alice", "groups": ["writers"]}, "permit", 200),
        ("PUT", {"name": "alice", "groups": ["readers"]}, "forbid", 403),
        ("PUT", None, "forbid", 401),
    ],
    ids=str,
)
def test_an_authorizer_is_asked_about_made_up_users(method, user, verdict, status):
    policy = Policy(build.example_component("writers"), settings={"group": "writers"}, grants={"headers": []})
    ruling = policy.ask(method, "/page", user=user)
    assert (ruling.verdict, ruling.status, ruling.is_permitted) == (verdict, status, verdict == "permit")
    assert repr(policy) == "<Policy 'policy'>" and policy.calls == []


def test_what_an_authorizer_carries_reads_and_asks_is_told(judge):
    policy = Policy(judge, grants={"headers": ["x-judge"]})
    ruling = policy.ask("PUT", user={"name": "alice", "admin": True}, headers={"X-Judge": "attributes 2 1"})
    assert ruling.is_permitted and len(ruling.attributes) == 2 and "header x-judge" in ruling.reads
    refused = policy.ask("PUT", user={"name": "alice"}, headers={"X-Judge": "panic"})
    assert (refused.status, refused.verdict, refused.is_permitted) == (503, "fail", False) and "failed" in refused.why


@pytest.mark.parametrize(
    "user, told",
    [
        ({}, 'the key "name" is missing'),
        ({"name": ""}, "user"),
        ({"name": "a", "grups": []}, 'unknown key; did you mean "groups"?'),
        ({"name": "a", "groups": "b"}, "expected a list"),
    ],
    ids=str,
)
def test_a_mistake_in_a_made_up_user_is_told(judge, user, told):
    with pytest.raises(ConfigurationError) as refused:
        Policy(judge).ask(user=user)
    assert told in str(refused.value)


METRICS = """
import re, sys
from prometheus_client import CollectorRegistry, generate_latest
import portcullis
from portcullis import prometheus
registry = CollectorRegistry()
portcullis.Engine(metrics=prometheus.metrics(registry))
chain = portcullis.Chain(portcullis.Authenticator("people", "simple", limits={"reuse_decisions": "0s"}))
for _ in range(3):
    chain.decide_blocking(portcullis.Request("GET", "/"))
portcullis.Engine.current().close()
print(generate_latest(registry).decode())
"""


def test_metrics_are_exported_with_prometheus_client():
    """The engine hands over what is left when it is closed."""
    done = python_package.run(METRICS)
    assert done.returncode == 0, done.stderr
    assert 'portcullis_authenticator_calls_total{authenticator="people",verdict="pass"} 3.0' in done.stdout
    assert 'portcullis_authenticator_call_seconds_count{authenticator="people"} 3.0' in done.stdout


def test_histograms_have_the_buckets_of_the_gateway():
    from portcullis import prometheus

    source = (ROOT / "host/gateway/src/admin/recorder.rs").read_text()
    [list_] = re.findall(r"(?s)const BUCKETS: \[f64; 14\] = \[(.*?)\]", source)
    assert prometheus._BUCKETS == tuple(float(number.replace("_", "")) for number in list_.split(",") if number.strip())
