"""Answers of plugins with one invalid field: nothing of it reaches the client, the upstream, or, unescaped, the log."""

import pytest

from harness.client import basic
from harness.hostile import LONG_DEADLINE, assert_contained, authenticator, configuration, instruct, send_misbehaving
from harness.upstream import values

LINE_BREAK = b"x\r\nX-Evil: 1"
CONTROL = {
    "a line break": LINE_BREAK,
    "a line feed": b"x\nX-Evil: 1",
    "a carriage return": b"x\rX-Evil: 1",
    "an end of headers": b"x\r\n\r\n<script>",
    "a NUL": b"x\0",
    "an escape": b"x\x1b[31m",
    "a delete": b"x\x7f",
}
C1 = {"a control of Latin-1": "x\u0085y".encode(), "a sequence of Latin-1": "x\u009b2J".encode()}
NO_TOKEN = {
    "nothing": b"",
    "a space": b"x y",
    "a colon": b"x:y",
    "a pseudo name": b":status",
    "a letter beyond ASCII": "x\u00fc".encode(),
    "a quote": b'x"y',
    "a comma": b"x,y",
}
TRAVEL = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "Transfer-Encoding",
    "upgrade",
]
HOP_BY_HOP = {name: name.encode() for name in TRAVEL}
LONG = 2 << 20


def rows(field, texts, *counted):
    spoilt = [(f"{field} with {what}", f"{field} {text.hex()} 1") for what, text in texts.items()]
    return spoilt + [(f"{field} times {count}", f"{field} 78 {count}") for count in counted]


USERS = dict(
    rows("name", CONTROL | C1 | {"nothing": b""}, 257)
    + rows("group", CONTROL | C1 | {"nothing": b""}, 1025)
    + rows("groups", {}, 4097)
    + rows("attribute-name", CONTROL | C1 | {"nothing": b""}, 257)
    + rows("attribute-value", CONTROL | C1, 4097)
    + rows("attributes", {}, 65)
)
"""Answers about one user. The gateway denies that user and nobody else (row B1 of the field reports)."""

ANSWERS = dict(
    rows("name", {}, LONG)
    + rows("group", {}, LONG)
    + rows("groups", {}, 1_000_000)
    + rows("attribute-name", {}, LONG)
    + rows("attribute-value", {}, LONG)
    + rows("attributes", {}, 50_000)
    + rows("header-name", CONTROL | NO_TOKEN | HOP_BY_HOP, 17_000, LONG)
    + rows("header-value", CONTROL, 17_000, LONG)
    + rows("headers", {}, 33, 20_000)
    + rows("set-cookie", CONTROL, 17_000)
    + rows("respond-header-name", CONTROL | NO_TOKEN | HOP_BY_HOP, 17_000, LONG)
    + rows("respond-header-value", CONTROL, 17_000, LONG)
    + rows("respond-location", CONTROL, 17_000)
    + rows("respond-body", {}, 65_537, LONG)
    + rows("respond-status", {}, 0, 99, 100, 101, 103, 199, 600, 999, 1000, 65_535)
    + rows("scheme", CONTROL | NO_TOKEN, 5000, LONG)
    + rows("parameter-name", CONTROL | NO_TOKEN, 5000, LONG)
    + rows("parameter-value", CONTROL | C1, 5000, LONG)
    + rows("not-mine-scheme", CONTROL | NO_TOKEN, 5000)
    + rows("not-mine-value", CONTROL | C1, 5000)
    + rows("why-unavailable", {}, LONG)
    + rows("why-unauthenticated", {}, LONG)
)
"""Each is a failure of the plugin: 503."""

REASONS = dict(
    rows("why-unavailable", CONTROL | C1, 100_000)
    + rows("why-unauthenticated", CONTROL | C1, 100_000)
    + rows("why-forbidden", CONTROL | C1, 100_000)
)
"""Words for the operator alone: they change nothing for the client, and are cut and cleaned for the log."""

STATUS = {"why-unavailable": 503, "why-unauthenticated": 401, "why-forbidden": 403}


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, prober_component):
    return serve_module(
        configuration(shared_upstream, {"prober": authenticator("prober", prober_component, limits=LONG_DEADLINE)})
    )


def test_what_is_in_order_is_let_through(gateway, upstream):
    """Otherwise the tests below would prove nothing."""
    for field in ("name", "group", "attribute-value", "header-value", "groups", "attributes"):
        assert gateway.send("/prober", instruct(f"answer {field} {b'y'.hex()} 2")).status == 200
    assert values(upstream.seen[0], "x-forwarded-user") == ["yy"]
    assert gateway.send("/prober", instruct(f"answer respond-body {b'y'.hex()} 65536")).body == b"y" * 65536
    assert gateway.send("/prober", instruct(f"answer respond-location {b'/y'.hex()}")).header("location") == "/y"


@pytest.mark.parametrize("row", ANSWERS)
def test_an_invalid_answer_is_a_503(gateway, upstream, row):
    assert_contained(gateway, upstream, "/prober", instruct(f"answer {ANSWERS[row]}"))


@pytest.mark.parametrize("row", USERS)
def test_a_user_out_of_bounds_is_denied(gateway, upstream, row):
    before = len(gateway.child.output())
    answer, lines = send_misbehaving(gateway, upstream, "/prober", instruct(f"answer {USERS[row]}"))
    assert (answer.status, list(answer.json())) == (403, ["error"])
    assert answer.all("x-evil") == []
    assert lines == [], "no failure of the plugin"
    line = next(line for line in reversed(gateway.logged(message="decision")) if line["path"] == "/prober")
    assert (line["outcome"], line["status"]) == ("forbid", 403)
    assert "can't be accepted: the " in line["steps"]
    written = gateway.child.output()[before:]
    assert len(written) < 6000
    assert not any(ord(c) < 32 and c != "\n" or 0x7F <= ord(c) < 0xA0 for c in written)


@pytest.mark.parametrize("row", REASONS)
def test_a_reason_is_cut_and_cleaned(gateway, upstream, row):
    field = row.split(" ")[0]
    before = len(gateway.child.output())
    answer, _ = send_misbehaving(gateway, upstream, "/prober", instruct(f"answer {REASONS[row]}"))
    assert answer.status == STATUS[field]
    assert b"x" not in answer.body.replace(b"x-", b"")
    assert answer.all("x-evil") == []
    written = gateway.child.output()[before:]
    assert len(written) < 6000
    assert not any(ord(c) < 32 and c != "\n" or 0x7F <= ord(c) < 0xA0 for c in written)


def test_the_fields_of_an_answer_stay_separate(gateway, upstream):
    """A user whose name looks like another header's value stays a name."""
    name = "bob, X-Forwarded-Groups: admins"
    assert gateway.send("/prober", instruct(f"answer name {name.encode().hex()}") | basic("bob")).status == 200
    assert values(upstream.seen[0], "x-forwarded-user") == [name]
    assert values(upstream.seen[0], "x-forwarded-groups") == ["staff"]
