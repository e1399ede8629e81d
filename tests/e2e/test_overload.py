"""Rate limits and circuit breakers: which requests are refused, which are not, and what is logged and counted."""

import itertools
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_hostile_raw import AGAIN, ASK, TRAP

from harness.client import basic, bearer, begin, connect, send
from harness.config import drop, protected, route
from harness.gateway import ADMIN, LISTEN_ANYWHERE, run
from harness.process import eventually
from harness.raw_plugins import component

TRUSTING = 'trusted_proxies = ["127.0.0.1"]\n'
"""Then a test can be any client, by `X-Forwarded-For`."""

DESCRIPTION = """
[grants]
headers = ["x-do", "authorization"]
[limits]
deadline = "500ms"
memory = "16MiB"
"""


def of(client, headers):
    return headers | {"X-Forwarded-For": client}


def told(what, client="192.0.2.1"):
    """What the guest is told, by a client whose credentials are its own."""
    return of(client, {"X-Do": what} | bearer(client))


@pytest.fixture
def gateway(serve, upstream, tmp_path, hostile_component):
    """A gateway that asks the hostile guest, with the breaker that is there by default."""
    plugins = drop(tmp_path, "hostile", hostile_component, DESCRIPTION)
    return serve(ADMIN + plugins + route(upstream, "hostile"), server=TRUSTING)


def test_a_client_that_asks_too_often_is_answered_429(serve, upstream):
    config = ADMIN + protected(upstream).replace('"simple"', '"simple"\nlimits.rate = "2/h"')
    gateway = serve(config, server=TRUSTING)
    alice = of("192.0.2.1", basic("alice"))
    assert [gateway.send("/", alice).status for _ in range(2)] == [200, 200]
    answer = gateway.send("/", alice)
    assert (answer.status, answer.json()) == (429, {"error": "Too many requests"})
    assert 900 < int(answer.header("retry-after")) <= 1800
    assert len(upstream.seen) == 2
    assert gateway.send("/", of("192.0.2.2", basic("alice"))).status == 200, "another client has its own"
    assert gateway.metric("portcullis_authenticator_calls_total", authenticator="people", verdict="turned_away") == 1
    last = gateway.logged(message="decision")[-2]
    assert (last["outcome"], last["status"]) == ("too_many_requests", 429)
    assert "limits.rate" in last["steps"]


def test_a_breaker_opens_for_the_credentials_that_make_a_plugin_fail_and_closes_again(gateway):
    for _ in range(5):
        assert gateway.send("/", told("panic")).status == 503
    answer = gateway.send("/", told("panic"))
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert gateway.logged(message="decision")[-1]["steps"].startswith("hostile: turned_away")
    assert gateway.send("/", told("nothing bad")).status == 200, "others at that address are not affected"
    assert gateway.send("/", told("nothing bad", client="192.0.2.2")).status == 200

    [opened] = [line for line in gateway.log() if line["message"].startswith("breaker opened")]
    assert (opened["level"], opened["authenticator"], opened["client"]) == ("WARN", "hostile", "192.0.2.1")
    opened = {"authenticator": "hostile", "scope": "credentials"}
    errors = {"authenticator": "hostile", "reason": "trap"}
    assert gateway.metric("portcullis_authenticator_breaker_openings_total", **opened) == 1
    assert gateway.metric("portcullis_authenticator_errors_total", **errors) == 5
    tried = lambda: gateway.send("/", told("panic")) and gateway.metric("portcullis_authenticator_errors_total", **errors) == 6
    eventually(tried, "another try")
    assert gateway.metric("portcullis_authenticator_breaker_openings_total", **opened) == 2


def test_a_client_that_fails_with_ever_new_credentials_is_named(gateway):
    for number in range(20):
        assert gateway.send("/", told("panic") | bearer(f"t{number}")).status == 503
    assert "was stopped" in gateway.logged(message="decision")[-1]["steps"], "one at a time is called"
    assert gateway.send("/", told("nothing bad") | bearer("new")).status == 200
    [named] = [line for line in gateway.log() if line["message"].startswith("calls for one client kept failing")]
    assert (named["level"], named["authenticator"], named["client"]) == ("WARN", "hostile", "192.0.2.1")
    opened = {"authenticator": "hostile", "scope": "client"}
    assert gateway.metric("portcullis_authenticator_breaker_openings_total", **opened) == 1


def fail(gateway, client, tokens):
    for token in tokens:
        assert gateway.send("/", told("panic", client) | bearer(token)).status == 503


ONE_CLIENT = [("192.0.2.1", [f"t{number}" for number in range(5)])]
SEVERAL = [(client, [client] * 5) for client in ("192.0.2.1", "192.0.2.2", "2001:db8::1")]


@pytest.mark.parametrize("failures, shares", [(ONE_CLIENT, "192.0.2.1"), (SEVERAL, "192.0.2.7")], ids=["one", "all"])
def test_where_calls_keep_failing_few_run_at_once(serve, upstream, tmp_path, hostile_component, failures, shares):
    """One of eight: that of a stranger. Others are called besides: those whom a call has let in before, and where only one
    client fails, all others."""
    plugins = drop(tmp_path, "hostile", hostile_component, DESCRIPTION.replace("500ms", "5s") + "concurrency = 8\n")
    gateway = serve(ADMIN + plugins + route(upstream, "hostile"), server=TRUSTING)
    known = told("nothing bad", shares)
    assert gateway.send("/", known).status == 200
    for client, tokens in failures:
        fail(gateway, client, tokens)

    def steps(headers):
        answer = gateway.send("/", headers)
        asked = {"message": "decision", "request_id": answer.header("x-request-id")}
        return "" if answer.status == 200 else eventually(lambda: gateway.logged(**asked), "it is logged")[0]["steps"]

    with ThreadPoolExecutor(1) as pool:
        hang = lambda: pool.submit(steps, told("loop", shares) | bearer("loop"))
        calls = [hang()]
        stranger = told("no such deed", shares) | bearer("new")
        numbers = itertools.count(1)

        def is_taken():
            """The first probe may come before the call that hangs, which then finds no place. A probe that fails waits for a trial
            from then on, so that the next one is somebody else."""
            if calls[-1].done():
                calls.append(hang())
            number = next(numbers)
            client = shares if failures is ONE_CLIENT else f"198.51.100.{number}"
            return "few may run at once" in steps(told("panic", client) | bearer(f"p{number}"))

        eventually(is_taken, "its place is taken")
        assert "few may run at once" in steps(stranger)
        if failures is ONE_CLIENT:
            assert steps(told("nothing bad", "192.0.2.2")) == "", "elsewhere"
        assert steps(known) == "", "whoever was served before"
        assert steps(told("nothing bad", shares) | bearer("new")) == "", "a success shows that it works"
        assert "limits.deadline" in calls[-1].result()


def test_a_plugin_that_fails_for_several_clients_opens_its_breaker_for_all(gateway):
    for client, tokens in SEVERAL:
        fail(gateway, client, tokens)
    assert [line["level"] for line in gateway.log() if "for all clients" in line["message"]] == ["WARN"]
    assert gateway.metric("portcullis_authenticator_breaker_open", authenticator="hostile") == 1
    answer = gateway.send("/", told("nothing bad", "192.0.2.1"))
    assert answer.status == 503, "where calls failed, the next one is a trial"
    assert int(answer.header("retry-after")) >= 1
    eventually(lambda: gateway.send("/", told("nothing bad", "192.0.2.1")).status == 200, "a good trial")
    assert gateway.metric("portcullis_authenticator_breaker_open", authenticator="hostile") == 0
    eventually(lambda: gateway.logged(message="breaker closed for all clients"), "it is logged")


@pytest.mark.parametrize(
    "parts, is_open",
    [
        (dict(configure=AGAIN.format(TRAP)), 1),
        (dict(authenticate=TRAP), 1),
        (dict(authenticate=ASK + TRAP), 0),
    ],
    ids=["in configure", "at once", "after it has read a header"],
)
def test_a_plugin_that_fails_before_it_reads_anything_is_broken_for_all(serve, upstream, parts, is_open):
    """No request can be the cause then, so that the calls of one client are enough to say so."""
    config = f'[authenticators.raw]\nplugin = "{component(**parts)}"\ngrants.headers = ["x-do"]\n' + route(upstream, "raw")
    gateway = serve(ADMIN + config, server=TRUSTING)
    assert {gateway.send("/", told("", "192.0.2.1")).status for _ in range(5)} == {503}
    assert gateway.metric("portcullis_authenticator_breaker_open", authenticator="raw") in ([1] if is_open else [0, None])
    assert len([line for line in gateway.log() if "for all clients" in line["message"]]) == is_open


def test_what_a_plugin_may_not_see_is_counted(serve, upstream, tmp_path, hostile_component):
    plugins = drop(tmp_path, "hostile", hostile_component, "")
    gateway = serve(ADMIN + plugins + route(upstream, "hostile"))
    assert gateway.send("/", told("nothing bad")).status == 401, "it was not granted x-do, so it sees none"
    assert gateway.metric("portcullis_authenticator_denied_total", authenticator="hostile", kind="header") == 1
    assert "header x-do (not granted)" in gateway.logged(message="decision")[-1]["steps"]


def test_an_idle_authenticator_keeps_its_place_when_others_are_busy(serve, upstream, tmp_path, prober_component):
    """Row H7 of the field reports. Three authenticators, four places: one for each, and one that they share."""
    grants = '[grants]\nheaders = ["x-do"]\n[limits]\ndeadline = "10s"\n'
    plugins = [drop(tmp_path, name, prober_component, grants) for name in "abc"]
    config = plugins[0] + "concurrency = 4\n" + "".join(route(upstream, name, path=f"/{name}") for name in "abc")
    gateway = serve(config, server='shutdown_timeout = "1s"\n')

    def why(path):
        answer = gateway.send(path, {"X-Do": "nothing"})
        if answer.status == 200:
            return ""
        asked = {"message": "decision", "request_id": answer.header("x-request-id")}
        return eventually(lambda: gateway.logged(**asked), "the refusal is logged")[0]["steps"]

    def occupy(path):
        """Takes a place, and tries again if one of the test's own questions has it at that moment."""
        while gateway.send(path, {"X-Do": "sleep"}).header("retry-after") == "1":
            pass

    with ThreadPoolExecutor(3) as pool:
        for path in ["/a", "/a", "/b"]:
            pool.submit(occupy, path)
        eventually(lambda: "plugins.concurrency" in why("/a"), "the first has its place and the free one")
        eventually(lambda: "plugins.concurrency" in why("/b"), "the second has its place")
        assert why("/c") == "", "the third has one, too"


@pytest.mark.parametrize(
    ("plugins", "limits", "complaint"),
    [
        ("concurrency = 100", "concurrency = 101", "limits.concurrency is 101, but all plugins together may have 100"),
        ("", "concurrency = 1000", "limits.concurrency is 1000, but all plugins together may have 256"),
        ("concurrency = 1", "", "there are 2 authenticators and authorizers, and plugins.concurrency, 1, has no place for each: set it to 2 or more"),
        ("concurrency = 0", "", "concurrency"),
        ("concurrency = 5000", "", "concurrency"),
        ('concurrency = "many"', "", "concurrency"),
        ("concurrency = 32", "", None),
    ],
)
def test_limits_that_can_not_be_met_are_an_error(tmp_path, upstream, plugins, limits, complaint):
    config = f'[plugins]\n{plugins}\n[authenticators.one]\nplugin = "simple"\n[authenticators.two]\nplugin = "simple"\n'
    config += f"[authenticators.two.limits]\n{limits}\n" + route(upstream, "one", "two")
    checked = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + config)
    if complaint is None:
        assert checked.returncode == 0, checked.stderr
    else:
        assert checked.returncode == 1
        assert complaint in checked.stderr


def test_with_too_much_to_compute_some_get_done_and_the_others_are_turned_away_at_once(
    serve, upstream, tmp_path, hostile_component
):
    """Row H18 of the field reports: far more than can be done in time comes at once. What is begun gets done, and an idle
    authenticator is served. `benches/overload.py` shows the same from half to four times what the machine can do."""
    description = DESCRIPTION.replace("500ms", "10s") + "breaker = 0\n"
    config = drop(tmp_path, "busy", hostile_component, description)
    drop(tmp_path, "idle", hostile_component, description)
    gateway = serve(config + route(upstream, "busy", path="/busy") + route(upstream, "idle", path="/idle"))
    compute = {"X-Do": "compute 400"}
    assert gateway.send("/busy", compute).status == 200, "the gateway learns what a call takes"
    with ThreadPoolExecutor(60) as pool:
        crowd = [pool.submit(gateway.send, "/busy", compute) for _ in range(60)]
        eventually(lambda: any(each.done() for each in crowd), "the first is turned away")
        assert gateway.send("/idle", {"X-Do": "nothing bad"}).status == 200
        statuses = [each.result().status for each in crowd]
    assert set(statuses) == {200, 503}

    def turned_away():
        return sum("the processors are busy" in line.get("steps", "") for line in gateway.logged(message="decision"))

    eventually(lambda: turned_away() == statuses.count(503), "every call that began got its answer")


def test_memory_is_named_when_it_was_what_a_plugin_lacked(gateway):
    assert gateway.send("/", told("eat memory")).status == 503
    [line] = gateway.logged(message="an authenticator could not decide")
    assert "limits.memory" in line["why"]


def test_the_admin_listener_tells_whether_the_gateway_is_alive_and_ready(serve, upstream):
    gateway = serve(ADMIN + protected(upstream))
    for path, status in [("/livez", 200), ("/readyz", 200), ("/metrics", 200), ("/", 200), ("/x", 404), ("/metrics/x", 404)]:
        assert send(gateway.admin_url, path).status == status, path
    assert send(gateway.admin_url, "/livez", method="POST").status == 405
    for path in ["/livez", "/readyz", "/metrics"]:
        assert gateway.send(path).status == 401, "it is no business of the public listener"


def test_a_gateway_that_is_stopping_is_alive_and_not_ready(serve, upstream):
    gateway = serve(ADMIN + protected(upstream), server='shutdown_timeout = "20s"\n')
    connection = connect(gateway.url)
    begin(connection, "POST", "/", [*basic("alice").items(), ("Content-Length", "1")])
    eventually(lambda: gateway.logged(message="decision"), "the request is on its way")
    gateway.child.signal(signal.SIGTERM)
    eventually(lambda: send(gateway.admin_url, "/readyz").status == 503, "not ready")
    assert send(gateway.admin_url, "/livez").status == 200
    connection.send(b"x")
    assert connection.getresponse().status == 200, "what was accepted is answered"
    connection.close()
