"""Requests of plugins to other servers: grants, TLS, added headers, and responses from the cache.

The guest is `tests/guests/fetcher`: it asks for `X-Url` and answers with what it got.
"""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from harness.config import whoami
from harness.fetch_server import FetchServer
from harness.gateway import LISTEN_ANYWHERE, run
from harness.process import eventually

HEADERS = ["x-url", "x-follow", "x-body", "x-authorization", "x-cache-control"]


def fetcher(component, *granted, grants="", more=""):
    """The guest with these servers granted. `more`: further keys of the authenticator."""
    return f"""
[authenticators.fetcher]
plugin = "{component}"
{more}
[authenticators.fetcher.grants]
headers = {HEADERS}
http = {list(granted)}
{grants}
""" + whoami("fetcher")


def fetch(gateway, url, **headers):
    return gateway.send("/", {"X-Url": url} | {f"X-{name.replace('_', '-')}": value for name, value in headers.items()})


def answering(server, **headers):
    """A URL that is answered with these headers."""
    query = "&".join(f"{name.replace('_', '-')}={quote(value)}" for name, value in headers.items())
    return f"{server.url}/?{query}"


# Reached, or not.

SPELLINGS = ["localhost", "127.1", "[::ffff:127.0.0.1]", "169.254.169.254", "user@127.0.0.1"]
"""Some of those that `test_hostile_network.py` tries, for what the log says."""


@pytest.fixture(scope="module")
def strict(serve_module, fetcher_component):
    """A guest that may ask a server on 127.0.0.1 and none else, and the server."""
    server = FetchServer()
    yield serve_module(fetcher(fetcher_component, server.url)), server
    server.stop()


def test_what_is_granted_is_reached(strict):
    gateway, server = strict
    answer = fetch(gateway, server.url + "/path?query")
    assert (answer.status, answer.header("x-status")) == (200, "200")
    assert server.seen[-1][:2] == ("GET", "/path?query")


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_other_spelling_of_an_address_is_within_a_grant(strict, host):
    gateway, server = strict
    before = len(server.seen), len(gateway.log())
    answer = fetch(gateway, f"http://{host}:{server.port}/secret")
    assert (answer.status, len(server.seen)) == (502, before[0])
    lines = [line for line in gateway.log()[before[1] :] if line["message"].startswith("denied: ")]
    if "@" in host:
        assert lines == [], "the SDK sends no such URL"
        return
    [line] = lines
    assert f"http://{host}:{server.port}" in line["message"]
    assert "secret" not in line["message"], "scheme, host and port only"
    [decision] = [line for line in gateway.log()[before[1] :] if line["message"] == "decision"]
    assert "(outbound requests denied: 1)" in decision["steps"]


def test_a_private_name_needs_private_true(serve, tmp_path, fetch_servers, fetcher_component):
    server = fetch_servers()
    by_name = f"http://localhost:{server.port}"
    result = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + fetcher(fetcher_component, by_name))
    assert result.returncode == 1
    assert "grants.http[0]" in result.stderr and "private = true" in result.stderr

    gateway = serve(fetcher(fetcher_component, by_name, grants="private = true"))
    assert fetch(gateway, by_name).status == 200
    assert fetch(gateway, server.url).status == 502, "the address is not granted"


# TLS.


def test_why_a_request_failed_is_told_whether_it_has_a_body_or_not(serve, fetch_servers, unreachable, fetcher_component):
    """Rows B3, B6, D3 and H9 of the field reports, in the words that an author reads."""
    server, gone = fetch_servers(), unreachable()
    # A label of 64 bytes is none (RFC 1035, section 2.3.4), so no name server is asked.
    unknown = f"{'a' * 64}.test"
    many = "&".join(f"x-{number}=1" for number in range(120))
    granted = [server.url, gone.url, f"http://{unknown}"]
    gateway = serve(fetcher(fetcher_component, *granted))
    for url, expected in [
        ("http://127.0.0.2:9/", "the operator has not granted access to this server"),
        (f"{gone.url}/", "the server can't be reached: it refuses the connection"),
        (f"http://{unknown}/", "the server can't be reached: its name doesn't resolve"),
        (answering(server, content_encoding="gzip"), 'it has the content coding "gzip"'),
        (f"{server.url}/?{many}", "its head is larger than 64 KiB, or has more than 100 headers"),
    ]:
        for body in ({}, {"body": "hello"}):
            answer = fetch(gateway, url, **body)
            assert answer.status == 502
            assert expected in answer.header("x-error"), (url, body)


def test_http_ca_decides_which_servers_an_authenticator_trusts(
    serve, authority, stranger, fetch_servers, fetcher_component
):
    server = fetch_servers(authority=authority)
    for more, status in [(f'http_ca = "{authority.ca}"', 200), (f'http_ca = "{stranger.ca}"', 502), ("", 502)]:
        gateway = serve(fetcher(fetcher_component, server.url, more=more))
        assert fetch(gateway, server.url).status == status, more
        failures = [line for line in gateway.log() if "TLS failed" in line["message"]]
        assert len(failures) == (status == 502), more


def test_without_http_ca_the_authorities_of_the_system_decide(
    serve, tmp_path, authority, stranger, fetch_servers, fetcher_component
):
    server, none = fetch_servers(authority=authority), tmp_path / "none"
    none.mkdir()
    (tmp_path / "empty.pem").touch()
    for trusted, status in [(authority.ca, 200), (stranger.ca, 502), (tmp_path / "empty.pem", 502)]:
        system = {"SSL_CERT_FILE": str(trusted), "SSL_CERT_DIR": str(none)}
        gateway = serve(fetcher(fetcher_component, server.url), **system)
        assert fetch(gateway, server.url).status == status, trusted


def test_a_client_certificate_is_shown(serve, authority, fetch_servers, fetcher_component):
    server = fetch_servers(authority=authority, clients=authority)
    certificate, key = authority.issue("client")
    trusted = f'http_ca = "{authority.ca}"\n'
    with_certificate = trusted + f'http_certificate = "{certificate}"\nhttp_key = "{key}"\n'
    assert fetch(serve(fetcher(fetcher_component, server.url, more=with_certificate)), server.url).status == 200
    assert fetch(serve(fetcher(fetcher_component, server.url, more=trusted)), server.url).status == 502
    assert len(server.seen) == 1


def test_mistakes_in_certificate_files_are_reported(tmp_path, authority, fetcher_component):
    certificate, key = authority.issue("client")
    _, other = authority.issue("other")
    nothing = tmp_path / "nothing.pem"
    nothing.touch(mode=0o600)
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    open_key = tmp_path / "open.key"
    open_key.write_bytes(key.read_bytes())
    open_key.chmod(0o644)
    cases = [
        (f'http_ca = "{nothing}"', "http_ca", f"{nothing} has no certificate"),
        (f'http_ca = "{broken}"', "http_ca", f"{broken}: certificate 1 can't be used"),
        (f'http_certificate = "{certificate}"\nhttp_key = "{certificate}"', "http_key", "is accessible to other users"),
        (f'http_certificate = "{certificate}"\nhttp_key = "{nothing}"', "http_key", f"{nothing} has no private key"),
        (f'http_certificate = "{certificate}"\nhttp_key = "{open_key}"', "http_key", "chmod 600"),
        (f'http_certificate = "{certificate}"\nhttp_key = "{other}"', "http_key", "can't be used with http_certificate"),
    ]
    for more, place, message in cases:
        config = LISTEN_ANYWHERE + fetcher(fetcher_component, "https://idp.example", more=more)
        result = run("check", folder=tmp_path, config=config)
        assert result.returncode == 1, more
        assert f"authenticators.fetcher.{place}: " in result.stderr and message in result.stderr, result.stderr


# What the gateway adds, and redirects.


def test_a_secret_goes_to_its_server_and_never_through_the_guest(serve, fetch_servers, tmp_path, fetcher_component):
    server, other = fetch_servers(), fetch_servers()
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("Bearer hunter2\n")
    more = f'http_headers = {{ "{server.url}/api" = {{ Authorization = "file:{secret}" }} }}'
    gateway = serve(fetcher(fetcher_component, server.url, other.url, more=more))

    fetch(gateway, server.url + "/api/keys", authorization="the guest's")
    assert server.seen[-1][2]["authorization"] == "Bearer hunter2"
    fetch(gateway, server.url + "/other", authorization="the guest's")
    assert server.seen[-1][2]["authorization"] == "the guest's"

    # A guest that follows a redirect takes along what it has, which is not the secret.
    answer = fetch(gateway, f"{server.url}/api/?status=302&location={other.url}/x", follow="1")
    assert (answer.status, answer.header("x-status")) == (200, "200")
    assert server.seen[-1][2]["authorization"] == "Bearer hunter2"
    assert other.seen[-1][1] == "/x"
    assert "authorization" not in other.seen[-1][2]
    assert "hunter2" not in gateway.child.output()


def test_a_redirect_is_the_guests_to_follow_and_only_within_its_grant(serve, fetch_servers, fetcher_component):
    server, other = fetch_servers(), fetch_servers()
    gateway = serve(fetcher(fetcher_component, server.url))
    redirect = f"{server.url}/?status=302&location={other.url}/x"
    answer = fetch(gateway, redirect)
    assert (answer.header("x-status"), answer.header("x-location")) == ("302", f"{other.url}/x")
    assert fetch(gateway, redirect, follow="1").status == 502
    assert fetch(gateway, f"{server.url}/?status=302&location=http://169.254.169.254/", follow="1").status == 502
    assert other.seen == []
    denied = [line for line in gateway.log() if line["message"].startswith("denied: ")]
    assert [f"{other.url} is not granted" in line["message"] for line in denied] == [True, False]


def test_a_body_is_posted(serve, fetch_servers, fetcher_component):
    server = fetch_servers()
    gateway = serve(fetcher(fetcher_component, server.url))
    for body in ["token=abc", "x" * 20_000]:
        answer = fetch(gateway, server.url, body=body)
        assert answer.body.decode() == body
        method, _, headers, _ = server.seen[-1]
        assert (method, headers["content-type"], headers["content-length"]) == ("POST", "text/plain", str(len(body)))


# What is answered from store.


def test_a_fresh_answer_is_asked_for_once(serve, fetch_servers, fetcher_component):
    server = fetch_servers()
    gateway = serve(fetcher(fetcher_component, server.url))
    url = answering(server, cache_control="max-age=60")
    first, second = fetch(gateway, url), fetch(gateway, url)
    assert first.body == second.body
    assert (first.header("x-age"), len(server.seen)) == (None, 1)
    assert second.header("x-age").isdigit()
    fetch(gateway, url, authorization="other")
    assert len(server.seen) == 2, "another credential, another answer"
    for _ in range(2):
        fetch(gateway, answering(server, cache_control="no-store"))
    assert len(server.seen) == 4


def test_many_identical_requests_at_once_are_one(serve, fetch_servers, fetcher_component):
    server = fetch_servers()
    gateway = serve(fetcher(fetcher_component, server.url))
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(fetch, gateway, server.url + "/gated?cache-control=max-age%3D60") for _ in range(16)]
        eventually(lambda: server.seen, "the first request")
        server.gate.set()
        assert {answer.result().body for answer in answers} == {b"answer 1"}
    assert len(server.seen) == 1


def test_forced_refreshes_are_rate_limited(serve, fetch_servers, fetcher_component):
    for floor, asked in [("", 1), ('http_refresh_floor = "0s"', 5)]:
        server = fetch_servers()
        gateway = serve(fetcher(fetcher_component, server.url, more=floor))
        for _ in range(5):
            fetch(gateway, answering(server, cache_control="max-age=60"), cache_control="no-cache")
        assert len(server.seen) == asked, floor


def test_a_stale_answer_stands_in_for_a_server_that_is_gone(serve, fetch_servers, fetcher_component):
    server = fetch_servers()
    gateway = serve(fetcher(fetcher_component, server.url))
    lasting, passing = [answering(server, cache_control=f"max-age=0{more}") for more in (", stale-if-error=600", "")]
    for url in (lasting, passing):
        assert fetch(gateway, url).status == 200
    server.stop()
    stale = fetch(gateway, lasting)
    assert (stale.status, stale.body) == (200, b"answer 1")
    assert stale.header("x-age").isdigit()
    assert fetch(gateway, passing).status == 502


def test_a_secret_in_a_file_is_taken_up_when_the_file_changes(serve, tmp_path, fetch_servers, fetcher_component):
    """Row B5 of the field reports: tokens of service accounts are in a folder that is swapped by a symbolic link, and have no
    `Bearer` before them."""
    server = fetch_servers()
    for version in ["one", "two"]:
        (tmp_path / version).mkdir()
        token = tmp_path / version / "token"
        token.touch(0o600)
        token.write_text(f"secret-{version}\n")
    current = tmp_path / "current"
    current.symlink_to("one")
    more = f'http_headers = {{ "{server.url}" = {{ Authorization = "Bearer file:{current}/token" }} }}'
    gateway = serve(fetcher(fetcher_component, server.url, more=more))

    def sent():
        fetch(gateway, f"{server.url}/", cache_control="no-store")
        return server.seen[-1][2]["authorization"]

    def swap(target):
        link = tmp_path / "new"
        link.symlink_to(target)
        link.rename(current)

    assert sent() == "Bearer secret-one"
    swap("two")
    eventually(lambda: sent() == "Bearer secret-two", "the new secret is sent")
    swap("nowhere")
    eventually(lambda: gateway.logged(level="WARN", file=f"{current}/token"), "the missing file is named")
    assert sent() == "Bearer secret-two", "the old one stays"
    swap("one")
    eventually(lambda: sent() == "Bearer secret-one", "the file is there again")
    assert "secret-" not in str(gateway.log())
