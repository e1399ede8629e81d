"""What passes of a request's address: a path with one reading arrives byte for byte. What doesn't pass is in
`test_cases_paths.py` and `test_cases_wire.py`."""

import pytest

from harness.client import ALICE
from harness.config import protected


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream):
    return serve_module(protected(shared_upstream))


KEPT = [
    "/",
    "/a/b/",
    "/a%20b/%61",
    "/caf%C3%A9",
    "/~user/a:b@c,d=e;f!g$h'(i)*+j",
    "/a?",
    "/a?x=1&x=2&&y=%2F..%2f//../b",
    "/a?url=http://b/c?d",
]


@pytest.mark.parametrize("target", KEPT)
def test_path_and_query_arrive_byte_for_byte(gateway, target):
    assert gateway.send(target, ALICE).json()["target"] == target
