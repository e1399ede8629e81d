"""The gateway of the Python package: the console script, and `python -m portcullis`. It is the program that cargo builds."""

import os
import signal
import sys

import pytest

from harness import python_package
from harness.client import ALICE, begin, connect
from harness.config import protected
from harness.gateway import clean, run
from harness.paths import PORTCULLIS, ROOT
from harness.process import Child, eventually

ENVIRONMENT = {"PYTHONPATH": str(python_package.folder())}


@pytest.fixture(params=["script", "module"])
def program(request, tmp_path):
    """How the gateway is started, and with which environment."""
    script = python_package.console_script(tmp_path)
    command = [script] if request.param == "script" else [sys.executable, "-m", "portcullis"]
    return {"program": command} | ENVIRONMENT


COMMANDS = [
    ["--version"],
    ["--help"],
    ["serve", "--help"],
    [],
    ["sreve"],
    ["serve", "--listen", "nowhere"],
    ["check", "--config", "no/such/file.toml"],
    ["check", "--config", ROOT / "examples" / "nowhere.toml"],
    ["plugin", "list"],
    ["plugin", "inspect", "jwt"],
    ["explain", "http://localhost/"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: " ".join(map(str, words)) or "nothing")
def test_a_command_does_what_that_of_the_binary_does(program, tmp_path, arguments):
    ours = run(*arguments, folder=tmp_path, **program)
    other = run(*arguments, folder=tmp_path)
    for outcome in (ours, other):
        # How long a plugin takes differs from call to call.
        outcome.stdout = [line.split("(")[0] for line in outcome.stdout.splitlines()]
    assert (ours.stdout, ours.stderr, ours.returncode) == (other.stdout, other.stderr, other.returncode)
    assert ours.stdout or ours.stderr


def test_an_argument_may_have_any_byte(program, tmp_path):
    done = run("check", "--config", b"no\xff.toml".decode(errors="surrogateescape"), folder=tmp_path, **program)
    assert done.returncode == 1 and "no\ufffd.toml" in done.stderr.encode(errors="surrogateescape").decode(errors="replace")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_last_response(serve, upstream, program, number):
    gateway = serve(protected(upstream), **program)
    connection = connect(gateway.url)
    begin(connection, "GET", "/stream/down", ALICE)
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    gateway.child.process.send_signal(number)

    def stopped_listening():
        try:
            gateway.open().close()
        except ConnectionError:
            return True
        return False

    eventually(stopped_listening, "it no longer listens")
    upstream.may_go_on.set()
    assert response.read() == b"second\n"
    assert gateway.child.process.wait(20) == 0
    assert "Traceback" not in gateway.child.output() and "KeyboardInterrupt" not in gateway.child.output()


def test_sigint_that_python_was_told_to_ignore_still_ends_it(serve, upstream, program):
    """As of a shell's job in the background, whose SIGINT an operator can send anyway."""
    gateway = serve(protected(upstream), launcher=["env", "--ignore-signal=INT"], **program)
    gateway.child.process.send_signal(signal.SIGINT)
    assert gateway.child.process.wait(20) == 0


def test_it_reloads_its_configuration(serve, upstream, program):
    gateway = serve(protected(upstream), **program)
    assert gateway.send("/", ALICE).status == 200
    file = gateway.child.log.parent / "portcullis.toml"
    file.write_text(file.read_text() + '\n[[routes]]\npath = "/new"\npublic = true\nupstream = "portcullis:whoami"\n')
    gateway.child.process.send_signal(signal.SIGHUP)
    eventually(lambda: gateway.send("/new").status == 200, "the new route")


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_no_connection_becomes_a_standard_stream_that_is_closed(tmp_path, program, closed):
    """Its client would get the log, or what it sends would be read as input."""
    listens = tmp_path / "socket"
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
    command = [*shell, *program["program"], "serve", "--listen", f"unix:{listens}"]
    child = Child(command, tmp_path / "log", env=clean(ENVIRONMENT), cwd=tmp_path)
    try:
        child.wait_until(listens.exists, "listening", seconds=60)
        numbers = [2] if closed == "2>&-" else [1, 2] if closed == "1>&- 2>&-" else [0, 1, 2]
        leads = {os.readlink(f"/proc/{child.process.pid}/fd/{number}") for number in numbers}
        assert leads == {"/dev/null"}
    finally:
        assert child.stop() == 0


def test_a_result_that_can_not_be_written_is_an_error(tmp_path, program):
    shell = ["sh", "-c", 'exec "$@" >/dev/full', "sh"]
    for command in ({"program": program["program"]} | ENVIRONMENT, {"program": [PORTCULLIS]}):
        done = run("plugin", "list", folder=tmp_path, launcher=shell, **command)
        assert (done.returncode, done.stderr) == (1, "No space left on device (os error 28)\n"), command


def test_helper_programs_lie_beside_the_script(tmp_path):
    """Beside the interpreter, nobody would put them."""
    script = python_package.console_script(tmp_path)
    (tmp_path / "keytab").write_bytes(b"\5\2")
    (tmp_path / "keytab").chmod(0o600)
    config = f"""
[negotiate.corp]
keytab = "{tmp_path}/keytab"
[[routes]]
path = "/"
public = true
upstream = "portcullis:whoami"
"""

    def told():
        return run("check", folder=tmp_path, config=config, program=[script], **ENVIRONMENT).stderr

    assert "there is no portcullis-negotiate next to this program" in told()
    (tmp_path / "portcullis-negotiate").symlink_to("/bin/true")
    assert "there is no portcullis-negotiate" not in told()


def test_a_process_that_has_an_engine_serves_no_gateway():
    """They would share what a process has once: logs and metrics."""
    done = python_package.run("""
import sys
from portcullis import Engine
from portcullis.__main__ import main
Engine()
sys.argv = ["portcullis", "serve", "--listen", "127.0.0.1:0"]
sys.exit(main())
""")
    assert done.returncode == 1 and "EngineError: this process has an engine, and the gateway has one of its own" in done.stderr
