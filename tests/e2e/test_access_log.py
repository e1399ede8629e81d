"""The access log and the metrics of requests (row C6 of the field reports)."""

import re
import subprocess
from http.client import IncompleteRead

import pytest

from harness import http2
from harness.client import ALICE, begin, connect
from harness.config import PEOPLE, protected, route
from harness.gateway import ADMIN, clean, run, write
from harness.misbehaving import MisbehavingUpstream, sends
from harness.paths import PORTCULLIS
from harness.process import eventually

JSON = "[access_log]\n"
COMBINED = '[access_log]\nformat = "combined"\n'


def line(gateway, request_id):
    """The access line of a request."""
    [found] = eventually(lambda: lines(gateway, request_id), "the line is written")
    return found


def lines(gateway, request_id):
    return [found for found in gateway.logged(request_id=request_id) if "bytes" in found]


def test_a_line_says_what_became_of_a_request(serve, upstream):
    gateway = serve(JSON + protected(upstream))
    headers = ALICE | {"Host": "app.example", "User-Agent": 'a"b', "Referer": "https://x.example/a?token=secret-1#secret-1"}
    answer = gateway.send("/a%20b?key=secret-1", headers, method="POST", body=b"hello")
    found = line(gateway, answer.header("x-request-id"))
    assert found["duration_us"] >= found["authenticators_us"] > 0
    assert found["duration_us"] >= found["upstream_us"] > 0
    for name in ["time", "duration_us", "authenticators_us", "upstream_us", "request_id"]:
        found.pop(name)
    assert found == {
        "client": "127.0.0.1",
        "method": "POST",
        "host": "app.example",
        "path": "/a%20b",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": len(answer.body),
        "complete": True,
        "user": "alice",
        "route": "/",
        "user_agent": 'a"b',
        "referer": "https://x.example/a",
    }
    assert "secret-1" not in gateway.child.output()


def test_refused_requests_and_http_2_have_lines_too(serve, upstream):
    gateway = serve(JSON + PEOPLE + route(upstream, "people", path="/app"))
    port = int(gateway.url.rsplit(":", 1)[1])
    for answer, status, place in [
        (gateway.send("/app"), 401, "/app"),
        (gateway.send("/nowhere"), 404, None),
        (http2.send(port, "/app", ALICE.items()), 200, "/app"),
    ]:
        found = line(gateway, answer.header("x-request-id"))
        assert (found["status"], found["route"], found["bytes"]) == (status, place, len(answer.body))
        assert found["user"] == ("alice" if status == 200 else None)


def test_a_response_that_was_cut_off_is_not_complete(serve):
    with MisbehavingUpstream(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")) as server:
        gateway = serve(JSON + protected(server))
        connection = connect(gateway.url)
        begin(connection, "GET", "/", ALICE)
        response = connection.getresponse()
        with pytest.raises((IncompleteRead, ConnectionError)):
            response.read()
        found = line(gateway, response.headers["x-request-id"])
        assert (found["status"], found["bytes"], found["complete"]) == (200, 5, False)


def test_combined_lines_can_be_read_by_usual_programs(serve, upstream):
    gateway = serve(COMBINED + protected(upstream))
    gateway.send("/a?b", ALICE | {"User-Agent": 'curl/8 "x"', "Referer": "https://x.example/"})
    gateway.send("/a")
    time = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]"
    for pattern in [
        rf'127\.0\.0\.1 - alice {time} "GET /a HTTP/1\.1" 200 \d+ "https://x\.example/" "curl/8 \\"x\\""',
        rf'127\.0\.0\.1 - - {time} "GET /a HTTP/1\.1" 401 \d+ "-" "-"',
    ]:
        eventually(lambda pattern=pattern: re.search(f"(?m)^{pattern}$", gateway.child.output()), pattern)


def test_there_is_no_access_log_unless_it_is_configured(serve, upstream):
    gateway = serve(protected(upstream))
    answer = gateway.send("/", ALICE)
    eventually(lambda: gateway.logged(message="decision"), "the audit line is there")
    assert lines(gateway, answer.header("x-request-id")) == []


def test_the_access_log_is_on_standard_output(tmp_path, upstream):
    path = write(tmp_path, '[server]\nlisten = "127.0.0.1:0"\n' + JSON + protected(upstream))
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        command = [PORTCULLIS, "serve", "--config", path]
        child = subprocess.Popen(command, stdout=out, stderr=err, env=clean({}), cwd=tmp_path)
        try:
            address = eventually(lambda: re.search(r"listening address=(\S+)", (tmp_path / "err").read_text()), "it listens")
            connection = connect(f"http://{address[1]}")
            begin(connection, "GET", "/", ALICE)
            assert connection.getresponse().status == 200
            eventually(lambda: '"status":200' in (tmp_path / "out").read_text(), "the line is on standard output")
        finally:
            child.terminate()
            child.wait(30)


def test_requests_are_counted_by_route_and_status(serve, upstream):
    gateway = serve(ADMIN + PEOPLE + route(upstream, "people", path="/app"))
    for headers in [ALICE, ALICE, {}]:
        gateway.send("/app", headers)
    gateway.send("/nowhere")
    for labels, count in [
        ({"route": "/app", "code": "200"}, 2),
        ({"route": "/app", "code": "401"}, 1),
        ({"route": "", "code": "404"}, 1),
    ]:
        eventually(lambda labels=labels, count=count: gateway.metric("portcullis_requests_total", **labels) == count, labels)


@pytest.mark.parametrize(
    ("mistake", "why"),
    [('format = "xml"', '"xml" is not "json" or "combined"'), ("file = 1", "unknown key"), ("format = true", "access_log.format")],
)
def test_mistakes_are_reported(tmp_path, upstream, mistake, why):
    done = run("check", folder=tmp_path, config=f"[access_log]\n{mistake}\n" + protected(upstream))
    assert done.returncode == 1
    assert why in done.stderr
