"""An authenticator in JavaScript, against `wit/` alone, built by componentize-js. It asks a server with `fetch`.

Its source is in `tests/plugins/javascript/`.
"""

import pytest

from harness.config import drop, route
from harness.upstream import values

DESCRIPTION = """
[settings]
badges = {{ b-1 = "grace", b-403 = "404", b-503 = "500" }}
directory = "{directory}"
[grants]
headers = ["x-badge"]
http = [{granted}]
"""


def badges(folder, component, upstream, directory, *granted):
    granted = ", ".join(f'"{url}"' for url in granted)
    plugins = drop(folder, "badges", component, DESCRIPTION.format(directory=directory, granted=granted))
    return plugins + route(upstream, "badges")


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, tmp_path_factory, javascript_component):
    """The upstream is the directory, too, and knows every user."""
    folder, url = tmp_path_factory.mktemp("plugins"), shared_upstream.url
    return serve_module(badges(folder, javascript_component, shared_upstream, f"{url}/people", url))


def test_the_holder_of_a_badge_comes_in(gateway, upstream):
    for _ in range(3):
        seen = gateway.send("/", {"X-Badge": "b-1"}).json()
        assert values(seen, "x-forwarded-user") == ["grace"]
        assert values(seen, "x-forwarded-groups") == ["badge-holders"]
    assert [seen["target"] for seen in upstream.seen] == ["/people/grace", "/", "/", "/"], "the decision is reused"


@pytest.mark.parametrize("headers", [{}, {"X-Badge": "b-2"}, {"X-Badge": b"\xff\xfe"}, {"X-Other": "b-1"}])
def test_other_badges_are_refused(gateway, upstream, headers):
    answer = gateway.send("/", headers)
    assert answer.status == 401
    assert answer.all("www-authenticate") == ['Badge realm="javascript"']
    assert upstream.seen == []


@pytest.mark.parametrize(("badge", "status"), [("b-403", 403), ("b-503", 503)])
def test_the_directorys_answer_counts(serve, upstream, tmp_path, javascript_component, badge, status):
    directory = f"{upstream.url}/status"
    gateway = serve(badges(tmp_path, javascript_component, upstream, directory, upstream.url))
    assert gateway.send("/", {"X-Badge": badge}).status == status
    assert len(upstream.seen) == 1, "the directory's own request"


def test_without_a_directory_the_badge_is_enough(serve, upstream, tmp_path, javascript_component):
    description = '[settings]\nbadges = { b-1 = "grace" }\n[grants]\nheaders = ["x-badge"]\n'
    gateway = serve(drop(tmp_path, "badges", javascript_component, description) + route(upstream, "badges"))
    assert [gateway.send("/", {"X-Badge": badge}).status for badge in ("b-1", "b-2")] == [200, 401]
    assert [seen["target"] for seen in upstream.seen] == ["/"], "no directory is asked"


def test_a_server_that_is_not_granted_is_out_of_reach(serve, upstream, tmp_path, javascript_component):
    gateway = serve(badges(tmp_path, javascript_component, upstream, f"{upstream.url}/people"))
    assert gateway.send("/", {"X-Badge": "b-1"}).status == 503
    assert upstream.seen == []


def test_what_it_logs_is_in_the_gateways_log(serve, upstream, tmp_path, javascript_component, unreachable):
    directory = unreachable().url
    gateway = serve(badges(tmp_path, javascript_component, upstream, directory, directory))
    assert gateway.send("/", {"X-Badge": "b-1"}).status == 503
    [line] = gateway.logged(target="portcullis::plugin")
    assert (line["level"], line["authenticator"], line["context"]) == ("WARN", "badges", "directory")
    assert line["message"].startswith(f"{directory}/grace: ")
