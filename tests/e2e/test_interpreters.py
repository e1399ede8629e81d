"""Authenticators whose language brings an interpreter: built as their tools build them, they import files and sockets, and
find neither. Clock, randomness and log are there, and why one fails is told in its own words.

Their sources are in `tests/plugins/`.
"""

import json
import re
import socket
import time

import pytest

from harness import build
from harness.config import drop, whoami
from harness.gateway import LISTEN_ANYWHERE, run
from harness.process import eventually

LANGUAGES = ["python", "javascript"]
DESCRIPTION = '[grants]\nheaders = ["x-do"]\n[limits]\nmemory = "128MiB"\nbreaker = 0\n'


def prober(language):
    made = {"python": build.python_component, "javascript": build.javascript_component}
    return made[language](f"{language}_prober")


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def gateway(language, serve_module, tmp_path_factory):
    return serve_module(config(language, tmp_path_factory.mktemp("gateway")))


def config(language, folder, description=DESCRIPTION):
    folder = folder / "plugins"
    folder.mkdir()
    plugins = drop(folder, language, prober(language), description)
    return plugins + whoami(language)


def found(gateway, deed):
    answer = gateway.send("/", {"X-Do": deed})
    assert answer.status == 200, gateway.log()
    return answer.json()["attributes"]["found"]


def test_it_is_built_without_options_and_imports_files_and_sockets(language, tmp_path):
    inspected = run("plugin", "inspect", prober(language), "--memory", "128MiB", folder=tmp_path)
    assert inspected.returncode == 0, inspected.stderr
    assert "wasi:filesystem/preopens@" in inspected.stdout
    assert ("wasi:sockets/tcp@" in inspected.stdout) == (language == "python")


def test_every_request_has_other_random_numbers(gateway):
    drawn = [json.loads(found(gateway, "random")) for _ in range(3)]
    first, second = (len({str(each[i]) for each in drawn}) for i in (0, 1))
    assert (first, second) == (3, 3)


def test_it_can_read_the_clock(gateway):
    assert abs(float(found(gateway, "time")) - time.time()) < 60


def test_what_it_prints_is_in_the_log(gateway):
    found(gateway, "say hello from inside")
    lines = gateway.logged(target="portcullis::plugin", message="hello from inside")
    assert [(line["level"], line["context"]) for line in lines] == [("INFO", "stdout"), ("WARN", "stderr")]


def test_why_it_fails_is_told_in_its_own_words(gateway):
    """Rows H3 and H5 of the field reports: the cause comes first, and isn't cut off."""
    answer = gateway.send("/", {"X-Do": "fail the printer is on fire"})
    assert answer.status == 503
    assert b"printer" not in answer.body
    asked = {"message": "an authenticator could not decide", "request_id": answer.header("x-request-id")}
    [line] = eventually(lambda: gateway.logged(**asked), "the failure is logged")
    assert "Error: the printer is on fire" in line["why"]


def test_where_it_failed_is_in_the_log(gateway, language):
    """The stack trace names the function and the line."""
    answer = gateway.send("/", {"X-Do": "fail at home"})
    asked = {"message": "an authenticator could not decide", "request_id": answer.header("x-request-id")}
    eventually(lambda: gateway.logged(**asked), "the failure is logged")
    told = "".join(line["message"] for line in gateway.logged(target="portcullis::plugin")) + gateway.logged(**asked)[0]["why"]
    source = {"python": r'File ".*app\.py", line \d+, in fail', "javascript": r"fail@app\.js:\d+"}[language]
    assert re.search(source, told), told
    assert re.search(source, answer.body.decode()) is None


def test_explain_tells_it_too(language, tmp_path):
    request = ["GET", "http://gateway.test/", "-H", "X-Do: fail the printer is on fire"]
    told = run("explain", *request, folder=tmp_path, config=LISTEN_ANYWHERE + config(language, tmp_path))
    assert "Error: the printer is on fire" in told.stdout


def test_check_tells_why_it_can_not_be_configured(language, tmp_path):
    description = DESCRIPTION + '[settings]\nfail = "the printer is on fire"\n'
    told = run("check", folder=tmp_path, config=LISTEN_ANYWHERE + config(language, tmp_path, description))
    assert told.returncode == 1
    assert "the printer is on fire" in told.stderr


@pytest.fixture(scope="module")
def python(serve_module, tmp_path_factory):
    return serve_module(config("python", tmp_path_factory.mktemp("gateway")))


@pytest.mark.parametrize("deed", ["read /etc/passwd", "read app.py", "list /", "list .", "resolve localhost", "resolve 127.0.0.1"])
def test_there_are_no_files_and_no_names(python, deed):
    assert found(python, deed).startswith("denied: ")


def test_it_can_not_write_a_file(python, tmp_path):
    assert found(python, f"write {tmp_path / 'file'}").startswith("denied: ")
    assert list(tmp_path.iterdir()) == []


def test_it_sees_no_environment(python):
    assert found(python, "environment") == "{}"


def test_it_can_not_connect(python):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        assert found(python, f"connect {server.getsockname()[1]}") == "denied: PermissionError"
        assert found(python, f"send {datagrams.getsockname()[1]}") == "denied: PermissionError"
        for listener in (server, datagrams):
            listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
        with pytest.raises(BlockingIOError):
            datagrams.recv(1)


def test_it_tries_everything_and_reaches_nothing(serve, tmp_path, language):
    """A file that everyone may read, an environment variable of the gateway's and servers on this machine stay out of reach
    of every function of the language that leads out."""
    secret = "c2VjcmV0LW9mLXRoZS1ob3N0"
    file = tmp_path / "open" / "stranger.py"
    file.parent.mkdir()
    file.write_text(f"secret = '{secret}'\n")
    before = sorted(tmp_path.rglob("*"))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        port = server.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        for listener in (server, datagrams):
            listener.setblocking(False)
        description = DESCRIPTION + 'deadline = "20s"\n'
        gateway = serve(config(language, tmp_path, description), PROBER_SECRET=secret)
        ways = json.loads(found(gateway, "ways"))
        assert len(ways) > 20
        for number, way in enumerate(ways):
            answer = gateway.send("/", {"X-Do": f"way {number} {file} {port}"})
            # Some functions end the call: the engine knows no way to fail otherwise.
            assert answer.status in (200, 503), way
            assert b"reached" not in answer.body and secret.encode() not in answer.body, (way, answer.body)
        for listener, look in ((server, server.accept), (datagrams, lambda: datagrams.recv(1))):
            with pytest.raises(BlockingIOError):
                look()
    ours = {tmp_path / "plugins", *(tmp_path / "plugins").iterdir(), *tmp_path.glob("gateway-*"), *tmp_path.glob("gateway-*/*")}
    assert sorted(set(tmp_path.rglob("*")) - ours) == sorted(set(before) - ours)


@pytest.mark.parametrize("count", [1, 40, 64, 70])
def test_as_many_requests_as_allowed_can_be_sent_at_once(serve, upstream, tmp_path, count):
    """Row H6 of the field reports: what is too many fails alone, and not the whole call, and the log names the bound."""
    description = DESCRIPTION.replace("[limits]", f'http = ["{upstream.url}"]\n[limits]')
    gateway = serve(config("javascript", tmp_path, description))
    ended = json.loads(found(gateway, f"fetch {count} {upstream.url}/"))
    assert ended.pop("200") == min(count, 64)
    assert sum(ended.values()) == max(count - 64, 0)
    bound = "not sent, because a call may send 64 requests to other servers"
    assert len(gateway.logged(message=bound)) == (count > 64)
