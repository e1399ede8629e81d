"""Every front proxy with its documented configuration and well-behaved clients: who is admitted, what the upstream gets, and
how refusals reach the client."""

import pytest
from websockets.exceptions import InvalidStatus

from harness.client import basic, open_websocket
from harness.fronts import CLIENT
from harness.process import eventually
from harness.upstream import values

ALICE = list(basic("alice").items())


def script(words):
    """Credentials that tell the authenticator `scripted` what to answer."""
    return [("Authorization", f"Script {words}")]


def test_the_upstream_gets_the_user_and_no_credentials(front, version):
    answer = front.send("/secret?x=1", ALICE, version=version)
    assert answer.status == 200
    seen = answer.json()
    assert (seen["method"], seen["target"]) == ("GET", "/secret?x=1")
    assert values(seen, "x-forwarded-user") == ["alice"]
    assert values(seen, "x-forwarded-groups") == []
    assert values(seen, "authorization") == []
    assert values(seen, "host") == ["app.example"]
    assert [name for name, _ in seen["headers"] if "portcullis" in name.lower()] == []


def test_a_name_arrives_in_utf_8(front, version):
    [name] = values(front.send("/secret", basic("müller"), version=version).json(), "x-forwarded-user")
    assert name.encode("latin-1").decode() == "müller"


@pytest.mark.parametrize("body", [b"", b"hello", b"\x00\xff" * 100], ids=["empty", "short", "binary"])
def test_a_body_goes_to_the_upstream(front, version, body):
    answer = front.send("/secret", ALICE, method="POST", body=body, version=version)
    assert answer.json()["body"].encode("latin-1") == body
    assert answer.json()["method"] == "POST"


def test_a_client_without_credentials_is_challenged(front, version, upstream):
    answer = front.send("/secret", version=version)
    assert answer.status == 401
    assert [challenge.split(" ")[0] for challenge in answer.all("www-authenticate")] == ["Basic"]
    assert upstream.seen == []


def test_every_challenge_arrives(front, version):
    answer = front.send("/both", version=version)
    assert answer.status == 401
    challenges = ", ".join(answer.all("www-authenticate"))
    assert "Basic realm=" in challenges
    assert "Script" in challenges
    assert challenges.count("Script") == 1


def test_wrong_credentials_are_refused(front, version, upstream):
    for path in ("/secret", "/maybe"):
        assert front.send(path, {"Authorization": "Basic !!!"}, version=version).status == 401
    assert upstream.seen == []


def test_a_known_user_may_be_forbidden(front, version, upstream):
    assert front.send("/scripted", script("forbid"), version=version).status == 403
    assert upstream.seen == []


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_the_upstreams_own_refusals_pass(front, version, status):
    answer = front.send(f"/status/{status}", ALICE, version=version)
    assert (answer.status, answer.body) == (status, b"the upstream's own words")


def test_a_public_route_leaves_the_client_its_own_headers(front, version):
    headers = [("Authorization", "Bearer its-own"), ("Cookie", "a=1; b=2"), ("X-Api-Key", "its-own")]
    seen = front.send("/open", headers, version=version).json()
    assert values(seen, "authorization") == ["Bearer its-own"]
    assert values(seen, "cookie") == ["a=1; b=2"]
    assert values(seen, "x-api-key") == ["its-own"]
    assert values(seen, "x-forwarded-user") == []


def test_forward_authorization_keeps_the_credentials(front, version):
    seen = front.send("/kept", [*ALICE, ("Cookie", "a=1")], version=version).json()
    assert values(seen, "authorization") == [ALICE[0][1]]
    assert values(seen, "cookie") == []


def test_a_session_begins_and_speaks(front, version):
    answer = front.send("/secret", ALICE, version=version)
    session = answer.set_cookies()["portcullis"]
    for cookies in (f"a=1; portcullis={session}; b=2", f"portcullis={session}; a=1; b=2"):
        answer = front.send("/secret", {"Cookie": cookies}, version=version)
        assert answer.status == 200
        assert values(answer.json(), "x-forwarded-user") == ["alice"]
        assert values(answer.json(), "cookie") == ["a=1; b=2"]
    assert front.send("/secret", {"Cookie": f"portcullis={session[:-4]}AAAA"}, version=version).status == 401


def test_the_upstreams_cookie_arrives_beside_the_sessions(front, version):
    answer = front.send("/answer-headers?Set-Cookie=theirs%3D1", ALICE, version=version)
    assert answer.set_cookies()["theirs"] == "1"
    assert "portcullis" in answer.set_cookies()


def test_cookies_of_an_authenticator_arrive_as_far_as_the_front_can(front, version):
    answer = front.send("/scripted", script("grant,set-cookie=a=1,set-cookie=b=2"), version=version)
    assert answer.status == 200
    fewer = {"nginx": {"b"}, "caddy": {"b"}, "traefik": set()}
    assert set(answer.set_cookies()) == fewer.get(front.name, {"a", "b"})
    answer = front.send("/scripted", script("respond 403,set-cookie=a=1,set-cookie=b=2"), version=version)
    assert answer.status == 403
    assert set(answer.set_cookies()) == ({"b"} if front.name == "nginx" else {"a", "b"})


def test_a_large_cookie_passes(front, version):
    cookie = "a=" + "x" * 6000
    answer = front.send("/secret", [*ALICE, ("Cookie", cookie)], version=version)
    assert answer.status == 200
    assert values(answer.json(), "cookie") == [cookie]


def test_a_large_token_passes(front, version):
    """Row C17 of the field reports."""
    token = basic("alice", "x" * 9000)["Authorization"]
    answer = front.send("/secret", [("Authorization", token)], version=version)
    assert answer.status == 200, answer


def test_a_session_ends_on_the_gateways_own_page(front, version):
    answer = front.send("/.portcullis/logout", method="POST", body=b"", version=version)
    assert answer.status == 200
    assert answer.set_cookies()["portcullis"] == ""


# What an authenticator may answer besides yes and no


def test_a_browser_is_redirected(front, version, upstream):
    answer = front.send("/scripted", script("respond 302,location=/login?to=x,set-cookie=state=1"), version=version)
    assert answer.status == 302
    assert answer.header("location") in ("/login?to=x", "http://app.example/login?to=x")
    assert answer.set_cookies()["state"] == "1"
    assert upstream.seen == []


def test_a_response_of_an_authenticator_is_never_taken_for_permission(front, version, upstream):
    """A front takes 2xx for yes."""
    for status in (200, 202, 204, 226, 299):
        answer = front.send("/scripted", script(f"respond {status}"), version=version)
        assert upstream.seen == [], status
        if front.name == "envoy-grpc":
            assert answer.status == status
        else:
            assert answer.status == 403, status


@pytest.mark.parametrize("status", [400, 402, 404, 418, 429, 500, 502, 503])
def test_a_refusal_with_any_status_lets_no_request_through(front, version, upstream, status):
    answer = front.send("/scripted", script(f"respond {status},retry-after=7"), version=version)
    expected = {
        "nginx": status if status in (400, 404, 429, 503) else 403,
        "envoy-http": 403 if status >= 500 else status,
    }
    assert answer.status == expected.get(front.name, status)
    assert upstream.seen == []


def test_an_unavailable_authenticator_refuses_the_request(front, version, upstream):
    answer = front.send("/scripted", script("unavailable"), version=version)
    assert answer.status == (403 if front.name == "envoy-http" else 503)
    assert upstream.seen == []


@pytest.mark.parametrize(
    "words, status",
    {"forbid": 403, "hide": 404, "unavailable": 503, "panic": 503, "respond 200": 403, "respond 418": 418, "attributes 17 1": 503}.items(),
)
def test_what_an_authorizer_denies_is_denied_as_the_front_can(front, version, upstream, words, status):
    answer = front.send("/judged", [*ALICE, ("X-Judge", words)], version=version)
    assert upstream.seen == [], words
    own = {
        "nginx": status if status in (403, 404, 503) else 403,
        "envoy-http": 403 if status >= 500 else status,
        "envoy-grpc": 200 if words == "respond 200" else status,
    }
    assert answer.status == own.get(front.name, status), answer


def test_what_an_authorizer_permits_goes_on_as_the_user(front, version, upstream):
    answer = front.send("/judged/page", [*ALICE, ("X-Judge", "permit 60")], version=version)
    assert (answer.status, values(answer.json(), "x-forwarded-user")) == (200, ["alice"])
    for headers in ([("X-Judge", "permit 60")], [("Authorization", "Basic !!!"), ("X-Judge", "permit 60")]):
        assert front.send("/judged/page", headers, version=version).status == 401
    assert len(upstream.seen) == 1


def test_response_headers_of_an_authenticator_do_not_reach_the_upstream(front, version):
    """Its headers are for the client, whatever they are called."""
    words = "grant,x-forwarded-user=mallory,x-forwarded-groups=admin,x-envoy-auth-headers-to-remove=host"
    answer = front.send("/scripted", script(words + ",x-portcullis-set=x-evil,x-evil=1"), version=version)
    assert answer.status == 200
    assert values(answer.json(), "x-forwarded-user") == ["alice"]
    assert values(answer.json(), "x-forwarded-groups") == []
    assert values(answer.json(), "x-evil") == []


# Upgrades


def dial(front, headers=()):
    return open_websocket(f"http://127.0.0.1:{front.http1}/websocket", headers, source_address=(CLIENT, 0))


def test_a_websocket_is_asked_about_first(upgrading_front, upstream):
    for headers in ({}, {"X-Forwarded-User": "mallory"}, {"Authorization": "Basic !!!"}):
        with pytest.raises(InvalidStatus) as refusal:
            dial(upgrading_front, headers)
        assert refusal.value.response.status_code == 401
    assert upstream.seen == []
    with dial(upgrading_front, ALICE) as websocket:
        assert websocket.recv(10) == "alice"
        websocket.send("echo")
        assert websocket.recv(10) == "echo"
    eventually(lambda: not upstream.close_codes.empty(), "the upstream hears the close")


# Who may ask


def test_a_front_that_proves_itself_is_believed(front_with_token, upstream):
    assert values(front_with_token.send("/secret", ALICE).json(), "x-forwarded-user") == ["alice"]
    assert front_with_token.send("/secret").status == 401
    for name in ("X-Portcullis-Token", "X_Portcullis_Token"):
        assert front_with_token.send("/secret", [*ALICE, (name, "0" * 64)]).status == 200, "the front's own word counts"
    assert front_with_token.token not in str(upstream.seen)


def test_a_front_proxy_with_a_wrong_token_forwards_nothing(front_with_wrong_token, upstream):
    for headers in ([], ALICE, [("X-Portcullis-Token", "0" * 64)]):
        assert front_with_wrong_token.send("/secret", headers).status == 403
        assert front_with_wrong_token.send("/open", headers).status == 403
    assert upstream.seen == []


def test_no_answer_makes_a_front_fail_open(front_that_fails_open, version, upstream):
    """The gateway answers before Envoy loses patience, and with nothing that Envoy takes for a failure."""
    front = front_that_fails_open
    assert front.send("/secret", ALICE, version=version).status == 200
    upstream.forget()
    for words in ("slow", "unavailable", "respond 500", "respond 503", "respond 599"):
        answer = front.send("/scripted", script(words), version=version)
        assert answer.status in (403, 500, 503, 599), words
        assert upstream.seen == [], words
    front.send("/scripted", [*script("slow"), ("X-Envoy-Expected-Rq-Timeout-Ms", "100000")], version=version)
    assert upstream.seen == [], "a client doesn't say how long Envoy waits"
    for path in ("/open/../secret%00", "/secret%2f", "//open", "/secret?" + "x" * 50_000):
        front.send(path, version=version)
        assert upstream.seen == [], path[:20]
    for headers in ([("X-Large", "x" * 50_000)], [("X-Many", "x")] * 85, [("X-Large", "x" * 8_000)] * 6):
        assert front.send("/secret", headers, version=version).status in (0, 400, 401, 403, 431)
        assert upstream.seen == [], headers[0][0]


def test_without_the_gateway_every_request_is_refused(front_without_gateway, upstream):
    for path in ("/secret", "/open"):
        assert 400 <= front_without_gateway.send(path, ALICE).status < 600
    assert upstream.seen == []
