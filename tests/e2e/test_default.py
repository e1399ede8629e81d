"""The gateway with no configuration at all: `simple` in front of a page that says who you are.

Whatever stands in the `Authorization` header, the answer is the page or 401.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.client import basic, begin, connect
from harness.config import protected
from harness.gateway import Gateway
from harness.process import eventually


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("default"))
    yield running
    running.stop()


def test_it_asks_for_basic_credentials_first(gateway):
    answer = gateway.send("/")
    assert answer.status == 401
    assert answer.schemes() == ["Basic"]
    assert answer.header("content-type") == "application/json"
    assert list(answer.json()) == ["error"]


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("name", ["alice", "al ice@example.test", "müller", "王小明"])
def test_the_page_shows_the_user(gateway, name):
    page = gateway.send("/", basic(name, "any password") | BROWSER)
    assert page.status == 200
    assert page.header("content-type").startswith("text/html")
    assert name in page.body.decode()
    assert gateway.send("/", basic(name, "any password")).json()["name"] == name


def test_a_name_in_latin_1_is_the_same_name(gateway):
    """dask's client encodes so."""
    assert gateway.send("/", basic("müller", encoding="latin-1")).json()["name"] == "müller"


def test_a_name_is_text_not_markup(gateway):
    page = gateway.send("/", basic("<script>alert(1)</script>") | BROWSER).body.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def credentials(value):
    return [("Authorization", value)]


ALICE = "Basic YWxpY2U6"
NOT_CREDENTIALS = {
    "an empty header": credentials(""),
    "a scheme alone": credentials("Basic"),
    "a scheme and a space": credentials("Basic "),
    "no base64": credentials("Basic !!!"),
    "no base64 after a name": credentials(ALICE + "!!"),
    "broken padding": credentials("Basic YWxpY2U6="),
    "no colon": credentials("Basic YWxpY2U="),
    "no name": credentials("Basic OnBhc3N3b3Jk"),
    "a line break in the name": credentials(basic("al\nice")["Authorization"]),
    "NUL in the name": credentials(basic("al\0ice")["Authorization"]),
    "a name of 257 bytes": credentials(basic("a" * 257)["Authorization"]),
    "another scheme": credentials("Bearer YWxpY2U6"),
    "no scheme": credentials("YWxpY2U6"),
    "two names": credentials(f"{ALICE}, Basic Ym9iOg=="),
    "two headers": credentials(ALICE) + credentials("Basic Ym9iOg=="),
    "the same header twice": credentials(ALICE) * 2,
    "bytes that are no text": credentials(b"Basic \xff\xfe\x80"),
    "20 KB": credentials("Basic " + "YWxp" * 5000),
}


@pytest.mark.parametrize("case", NOT_CREDENTIALS)
def test_malformed_credentials_are_a_401(gateway, case):
    answer = gateway.send("/", NOT_CREDENTIALS[case])
    assert answer.status == 401
    assert answer.schemes() == ["Basic"]


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_a_scheme_has_no_case(gateway, scheme):
    """RFC 9110, section 11.1."""
    assert gateway.send("/", credentials(f"{scheme} YWxpY2U6")).status == 200


def test_one_connection_serves_many_users(gateway):
    """Nothing of one request stays for the next."""
    connection = connect(gateway.url)
    for name in ("alice", "bob", "carol"):
        begin(connection, "GET", "/", basic(name))
        assert json.loads(connection.getresponse().read())["name"] == name
    begin(connection, "GET", "/", {})
    assert connection.getresponse().status == 401


def test_concurrent_users_are_not_mixed_up(gateway):
    names = [f"user-{number}" for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda name: gateway.send("/", basic(name)).json()["name"], names)
        assert list(answers) == names


def test_no_credential_reaches_the_log(gateway):
    gateway.send("/?token=the-secret", basic("alice", "the-secret") | {"Cookie": "a=the-secret", "X-Key": "the-secret"})
    gateway.send("/", {"Authorization": "Basic the-secret"})
    gateway.send("/", {"Authorization": "Bearer the-secret"})
    assert "the-secret" not in gateway.child.output()
    assert basic("alice", "the-secret")["Authorization"].split()[1] not in gateway.child.output()


def test_a_decision_leaves_a_line_that_names_the_user(gateway):
    gateway.send("/", basic("dorothy"))
    [line] = gateway.logged(user="dorothy")
    assert (line["outcome"], line["authenticator"], line["method"], line["path"]) == ("grant", "simple", "GET", "/")


NO_CONFIGURATION = "no configuration is given: a client is admitted under any name that it gives"


def test_it_warns_that_any_name_will_do_and_says_where_to_point_a_browser(gateway):
    """Row E2 of the field reports."""
    assert gateway.logged(level="WARN", message=NO_CONFIGURATION)
    eventually(lambda: gateway.logged(message=f"open {gateway.url}/ in a browser"), "an address for the browser")


def test_with_a_configuration_it_says_neither(serve, upstream):
    gateway = serve(protected(upstream))
    assert gateway.send("/", basic("alice")).status == 200
    assert not [line for line in gateway.log() if line["message"] == NO_CONFIGURATION or "browser" in line["message"]]
