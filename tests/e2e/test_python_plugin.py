"""The contract is neutral: a Python class against `wit/` alone, built by componentize-py, authenticates like any other.

Its source is in `tests/plugins/python/`.
"""

import pytest

from harness.config import drop, route
from harness.upstream import values

DESCRIPTION = """
[settings]
badges = { b-1 = "grace" }
[grants]
headers = ["x-badge"]
[limits]
memory = "64MiB"
"""


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, tmp_path_factory, python_component):
    plugins = drop(tmp_path_factory.mktemp("plugins"), "badges", python_component, DESCRIPTION)
    return serve_module(plugins + route(shared_upstream, "badges"))


def test_the_holder_of_a_badge_comes_in(gateway):
    for _ in range(3):
        seen = gateway.send("/", {"X-Badge": "b-1"}).json()
        assert values(seen, "x-forwarded-user") == ["grace"]
        assert values(seen, "x-forwarded-groups") == ["badge-holders"]


@pytest.mark.parametrize("headers", [{}, {"X-Badge": "b-2"}, {"X-Badge": b"\xff\xfe"}, {"X-Other": "b-1"}])
def test_other_badges_are_refused(gateway, upstream, headers):
    answer = gateway.send("/", headers)
    assert answer.status == 401
    assert answer.all("www-authenticate") == ['Badge realm="python"']
    assert upstream.seen == []


