"""Plugins that take more than their share: of time, of the gateway's handles and memory, of its cache and its log."""

import json

import pytest

from harness.client import basic, begin, connect
from harness.config import drop, route
from harness.hostile import (
    LONG_DEADLINE,
    MAX_GROWTH_MIB,
    SHORT_DEADLINE,
    assert_contained,
    assert_settles,
    authenticator,
    configuration,
    instruct,
    peak_mib,
    resident_mib,
    send_all,
    send_misbehaving,
)
from harness.upstream import values

DEADLINE = "deadline"

FLOODS = {
    "sleep": DEADLINE,
    "watch-the-clock": DEADLINE,
    "poll-in-circles": DEADLINE,
    "poll-many": DEADLINE,
    "poll-nothing": "empty|pollable|panicked",
    "keep-pollables": "table|handle|limit|full|free",
    "keep-fields": "table|handle|limit|full|free",
    "keep-requests": "table|handle|limit|full|free",
    "fatten-fields": "",
    "hoard-fields": "",
    "hoard-bodies": "",
    "random-huge": "requested len",
    "random-forever": DEADLINE,
    "ask-everything": "256 different questions",
    "ask-at-length": "done",
    "ask-at-length-headers": "done",
    "ask-forever": DEADLINE,
    "fill-the-cache": "done|" + DEADLINE,
    "crumble-the-cache": DEADLINE,
    "log-forever": DEADLINE,
    "log-rubbish": "done",
    "exit": r"exit\(0\)",
}
"""What the guest is told, and why it ends."""


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, prober_component):
    """Four authenticators of one component. All but `prober` are patient."""
    limits = {"prober": SHORT_DEADLINE, "patient": LONG_DEADLINE, "twin": LONG_DEADLINE, "other": LONG_DEADLINE}
    plugins = {name: authenticator(name, prober_component, limits=own) for name, own in limits.items()}
    return serve_module(configuration(shared_upstream, plugins))


def test_the_guest_can_behave(gateway, upstream):
    """Otherwise the tests below would prove nothing."""
    assert gateway.send("/patient", instruct("nothing")).status == 200
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_contained(gateway, upstream, flood):
    before = len(gateway.child.output())
    path = "/prober" if DEADLINE in FLOODS[flood] else "/patient"
    assert_contained(gateway, upstream, path, instruct(flood), "(?i)" + FLOODS[flood])
    assert len(gateway.child.output()) - before < 300_000


def test_no_line_of_a_plugin_is_taken_for_the_gateways(gateway, upstream):
    before = len(gateway.child.output())
    _, lines = send_misbehaving(gateway, upstream, "/patient", instruct("log-rubbish"))
    written = gateway.child.output()[before:]
    assert not any(ord(c) < 32 and c != "\n" or 0x7F <= ord(c) < 0xA0 for c in written)
    assert all("message" in json.loads(line) for line in written.splitlines())
    own = [line for line in lines if line["target"] == "portcullis::plugin"]
    assert len(own) >= 3, "one by the logger, the others printed"
    assert all(line["authenticator"] == "patient" for line in own)
    assert [line for line in gateway.log() if line["message"] == "forged"] == []


def test_one_plugin_does_not_see_what_another_remembers(gateway, upstream):
    """Not even one of the same component with the same settings and grants."""
    assert gateway.send("/patient", instruct("remember it")).status == 200
    assert gateway.send("/patient", instruct("recall it")).status == 200
    assert gateway.send("/twin", instruct("recall it") | basic("bob")).status == 403


@pytest.mark.parametrize("flood", ["fill-the-cache", "crumble-the-cache"])
def test_a_full_cache_is_its_owners_alone(gateway, flood):
    assert gateway.send("/other", instruct("remember it")).status == 200
    assert set(send_all(gateway, [("/prober", instruct(flood))] * 4)) == {503}
    assert gateway.send("/other", instruct("recall it")).status == 200


def test_disconnected_clients_leave_nothing_behind(gateway):
    for flood in FLOODS:
        for _ in range(3):
            connection = connect(gateway.url)
            begin(connection, "GET", "/prober", instruct(flood))
            connection.close()
    assert gateway.send("/other", instruct("nothing")).status == 200


def test_memory_is_freed(gateway):
    requests = [("/prober", instruct(flood)) for flood in FLOODS]
    assert set(send_all(gateway, requests)) == {503}
    warm = resident_mib(gateway)
    for _ in range(3):
        assert set(send_all(gateway, requests)) == {503}
    assert_settles(gateway, warm + MAX_GROWTH_MIB)
    assert gateway.send("/other", instruct("nothing")).status == 200


HOARDS = ["hoard-fields", "hoard-bodies", "ask-at-length", "ask-at-length-headers", "crumble-the-cache"]


@pytest.mark.parametrize("hoard", HOARDS)
def test_what_the_host_keeps_for_a_plugin_is_bounded(serve, upstream, prober_component, hoard):
    """What counts to no memory of the guest's: headers, bodies, questions, small entries of its cache."""
    patient = SHORT_DEADLINE.replace("400ms", "3s")
    gateway = serve(configuration(upstream, {"prober": authenticator("prober", prober_component, limits=patient)}))
    assert gateway.send("/prober", instruct("nothing")).status == 200
    before = peak_mib(gateway)
    assert set(send_all(gateway, [("/prober", instruct(hoard))] * 8)) == {503}
    assert peak_mib(gateway) - before < 128, "16 MiB for each call"


SEE = "see http|{}|/"


@pytest.mark.parametrize("described", [False, True])
def test_a_plugin_without_a_description_sees_authorization_and_no_more(
    serve, upstream, tmp_path, prober_component, described
):
    authority = upstream.url.removeprefix("http://")
    config = drop(tmp_path, "prober", prober_component, "")
    if described:
        everything = f"""[grants]
            headers = ["authorization", "x-secret", "x-forwarded-user", "host", "user-agent"]
            cookies = ["a"]
            query = ["*"]
            http = ["{upstream.url}"]"""
        (tmp_path / "prober.toml").write_text(everything)
    else:
        (tmp_path / "prober.toml").unlink()
    gateway = serve(config + route(upstream, "prober", path="/"))
    headers = {
        "Authorization": SEE.format(authority),
        "Cookie": "a=1; portcullis=2",
        "X-Secret": "3",
        "User-Agent": "4",
    }
    assert gateway.send("/?a=1", headers).status == 200
    seen = upstream.seen[-1]
    shown = dict(each.rsplit(" ", 1) for each in values(seen, "x-forwarded-groups")[0].split(","))
    expected = {
        "header authorization": "1",
        "header cookie": "0",
        "header x-secret": str(int(described)),
        "header x-forwarded-user": "0",
        "header host": str(int(described)),
        "header user-agent": str(int(described)),
        "cookie a": str(int(described)),
        "query": str(described).lower(),
        "certificate": "false",
        "environment": "0",
        "http answered" if described else "http": "200" if described else "HttpRequestDenied",
    }
    assert shown == expected
    assert len(upstream.seen) == 1 + described
