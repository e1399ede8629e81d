"""Requests of plugins through a forward proxy (row C7 of the field reports). Grants are checked on the server's name."""

import pytest

from harness.client import basic
from harness.config import PEOPLE, route
from harness.forward_proxy import ForwardProxy
from harness.gateway import run
from harness.hostile import LONG_DEADLINE, instruct
from harness.scripted import ScriptedUpstream, answers, tls_context
from harness.trap_servers import TrapServer

GRANTS = 'headers = ["x-do"]\nhttp = ["http://idp.test", "https://idp.test"]'


def configuration(upstream, component, more="", ca=None, grants=GRANTS):
    trusted = f'http_ca = "{ca}"' if ca else ""
    return f"""
[plugins]
{more}
[authenticators.prober]
plugin = "{component}"
{trusted}
[authenticators.prober.grants]
{grants}
[authenticators.prober.limits]
{LONG_DEADLINE}
{PEOPLE}{route(upstream, "prober", "people")}"""


@pytest.fixture
def server():
    with TrapServer() as server:
        yield server


def fetched(gateway, url):
    """The status of a request for which the plugin fetches a URL: 503 if it couldn't."""
    return gateway.send("/", instruct("fetch", url) | basic("alice")).status


@pytest.mark.parametrize("names", [("HTTP_PROXY", "HTTPS_PROXY"), ("http_proxy", "https_proxy")])
def test_the_environment_names_the_proxies(serve, upstream, server, prober_component, names):
    with ForwardProxy(("127.0.0.1", server.port)) as proxy:
        gateway = serve(configuration(upstream, prober_component), **{names[0]: proxy.url})
        assert fetched(gateway, "http|idp.test|/fine") == 200
        assert [head.split("\r\n")[0] for head in proxy.seen] == ["GET http://idp.test/fine HTTP/1.1"]
        assert server.requests == ["GET /fine HTTP/1.1"]


def test_https_is_tunneled(serve, upstream, prober_component, authority):
    with ScriptedUpstream(answers(), tls=tls_context(authority.issue("idp", "idp.test"))) as secure:
        with ForwardProxy(("127.0.0.1", secure.port)) as proxy:
            config = configuration(upstream, prober_component, ca=authority.ca)
            gateway = serve(config, HTTPS_PROXY=proxy.url)
            assert fetched(gateway, "https|idp.test|/fine") == 200
            [head] = proxy.seen
            assert head.startswith("CONNECT idp.test:443 HTTP/1.1\r\n")
            assert "/fine" not in head


@pytest.mark.parametrize(
    ("url", "grants", "no_proxy"),
    [
        ("http|other.test|/fine", GRANTS, ""),
        ("http|idp.test:81|/fine", GRANTS, ""),
        ("http|idp.test|/fine", GRANTS, "idp.test"),
        ("http|idp.test|/fine", GRANTS, ".test"),
    ],
    ids=["another name", "another port", "excepted", "excepted by its domain"],
)
def test_nothing_else_reaches_the_proxy(serve, upstream, server, prober_component, url, grants, no_proxy):
    with ForwardProxy(("127.0.0.1", server.port)) as proxy:
        gateway = serve(configuration(upstream, prober_component, grants=grants), HTTP_PROXY=proxy.url, NO_PROXY=no_proxy)
        assert fetched(gateway, url) == 503
        assert proxy.seen == []


def test_servers_on_this_machine_are_asked_directly(serve, upstream, server, prober_component):
    grants = f'headers = ["x-do"]\nhttp = ["http://127.0.0.1:{server.port}"]'
    with ForwardProxy(("127.0.0.1", 1)) as proxy:
        gateway = serve(configuration(upstream, prober_component, grants=grants), HTTP_PROXY=proxy.url)
        assert fetched(gateway, f"http|127.0.0.1:{server.port}|/fine") == 200
        assert proxy.seen == []


def test_the_key_wins_and_can_have_a_password(serve, upstream, server, prober_component):
    with ForwardProxy(("127.0.0.1", server.port), credentials="user:secret-pass") as proxy:
        url = proxy.url.replace("://", "://user:secret-pass@")
        key = 'http_proxy = "env:OUR_PROXY"'
        gateway = serve(configuration(upstream, prober_component, key), OUR_PROXY=url, HTTP_PROXY="http://127.0.0.1:1")
        assert fetched(gateway, "http|idp.test|/fine") == 200
        assert "proxy-authorization: basic" in proxy.seen[0].lower()
        assert "proxy-authorization" not in "".join(server.requests)
        assert "secret-pass" not in gateway.child.output()


def test_a_proxy_can_be_turned_off(serve, upstream, server, prober_component):
    with ForwardProxy(("127.0.0.1", server.port)) as proxy:
        gateway = serve(configuration(upstream, prober_component, 'http_proxy = "none"'), HTTP_PROXY=proxy.url)
        assert fetched(gateway, "http|idp.test|/fine") == 503
        assert proxy.seen == []


def test_a_proxy_that_refuses_or_is_gone_is_an_error_of_the_plugin(serve, upstream, server, prober_component, unreachable):
    with ForwardProxy(("127.0.0.1", server.port), credentials="a:b") as proxy:
        for url in [proxy.url, unreachable().url]:
            gateway = serve(configuration(upstream, prober_component), HTTPS_PROXY=url)
            assert fetched(gateway, "https|idp.test|/fine") == 503
    assert server.requests == []


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('http_proxy = "proxy:3128"', "not a forward proxy"),
        ('http_proxy = "socks5://proxy"', "not a forward proxy"),
        ('http_proxy = "http://user:secret-pass@proxy/path"', "not a forward proxy"),
        ("http_proxy = true", "plugins.http_proxy"),
        ('no_proxy = ["x"]', "has no effect without http_proxy"),
    ],
)
def test_mistakes_are_reported(tmp_path, upstream, prober_component, lines, why):
    done = run("check", folder=tmp_path, config=configuration(upstream, prober_component, lines))
    assert done.returncode == 1
    assert why in done.stderr
    assert "secret-pass" not in done.stderr
