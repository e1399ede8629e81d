"""The helper that accepts Kerberos tokens: how requests end when it is killed, stopped, slow or broken, and which errors
an operator gets when it can't work at all.

Most of these use a fake helper, which does what a token tells it.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from harness.build import negotiate_helper
from harness.config import route
from harness.gateway import ADMIN, run
from harness.kerberos import acceptor, ask, authenticator, helpers, is_refused, protected
from harness.paths import PEERS
from harness.process import eventually
from harness.upstream import values

ENVIRONMENT = ["GSS_MECH_CONFIG", "KRB5CCNAME", "KRB5RCACHEDIR", "KRB5RCACHENAME", "KRB5_CONFIG", "KRB5_KTNAME"]


@pytest.fixture
def fake_helper(tmp_path):
    """A fake helper, in a folder where it logs what it does."""
    helper = tmp_path / "helper"
    helper.write_text(f"#!{sys.executable}\n" + (PEERS / "negotiate_helper.py").read_text())
    helper.chmod(0o700)
    return helper


def noted(helper):
    log = helper.parent / "helper.log"
    return [line for line in log.read_text().splitlines() if not line.startswith("started")] if log.exists() else []


def starts(helper):
    return [line for line in (helper.parent / "helper.log").read_text().splitlines() if line.startswith("started")]


def user(answer):
    return values(answer.json(), "x-forwarded-user") if answer.status == 200 else None


def is_unavailable(answer):
    return answer.status == 503 and answer.header("retry-after") is not None and answer.all("set-cookie") == []


# Killed, stopped, slow


def test_an_idle_helper_that_was_killed_is_replaced_without_a_failed_request(kdc, serve, upstream, keytab):
    gateway = serve(protected(keytab, upstream))
    for _ in range(3):
        [helper] = helpers(gateway)
        helper.kill()
        eventually(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, "it is gone")
        assert user(ask(gateway, kdc.token())) == ["alice"]


def test_a_helper_that_was_stopped_is_a_503_in_time_and_then_replaced(kdc, serve, upstream, keytab):
    gateway = serve(protected(keytab, upstream, more='deadline = "3s"\nworkers = 1'))
    [helper] = helpers(gateway)
    helper.suspend()
    assert is_unavailable(ask(gateway, kdc.token()))
    assert user(ask(gateway, kdc.token())) == ["alice"]
    eventually(lambda: helper.pid not in [each.pid for each in helpers(gateway)], "the stopped one is gone")
    [line] = gateway.logged(context="negotiate")
    assert "didn't answer in time" in line["message"]


def test_a_helper_that_is_busy_is_not_taken_for_one_that_hangs(serve, upstream, keytab, fake_helper):
    gateway = serve(protected(keytab, upstream, helper=fake_helper, more='deadline = "1s"\nworkers = 1'))
    waiting = [BackgroundRequest(gateway, b"slow") for _ in range(10)]
    for each in waiting:
        each.join(20)
    served = [user(each.answer) for each in waiting if not is_unavailable(each.answer)]
    assert 1 <= len(served) < len(waiting) and set(map(str, served)) == {"['slow']"}
    assert len(starts(fake_helper)) == 1, "who waited in vain ended no helper"
    assert any("no helper was free in time" in line["message"] for line in gateway.logged(context="negotiate"))


def test_a_helper_that_starts_slowly_serves_later_requests(serve, upstream, keytab, fake_helper):
    gateway = serve(protected(keytab, upstream, helper=fake_helper, more='deadline = "200ms"\nworkers = 1'))
    (fake_helper.parent / "slow-start").touch()
    assert is_unavailable(ask(gateway, b"crash"))
    assert is_unavailable(ask(gateway, b"bob"))
    eventually(lambda: user(ask(gateway, b"bob")) == ["bob"], "the second helper is ready")
    assert len(starts(fake_helper)) == 2, "it was not ended for those who didn't wait"


def test_a_helper_that_hangs_holds_up_its_own_request_alone(serve, upstream, keytab, fake_helper):
    gateway = serve(protected(keytab, upstream, helper=fake_helper, more='deadline = "30s"\nworkers = 2'))
    waiting = BackgroundRequest(gateway, b"hang")
    eventually(lambda: "hang" in noted(fake_helper), "it hangs")
    for _ in range(5):
        assert user(ask(gateway, b"bob")) == ["bob"]
    assert waiting.is_alive()
    for helper in psutil.Process(gateway.child.process.pid).children():
        helper.kill()
    waiting.join(20)
    assert is_unavailable(waiting.answer)


@pytest.mark.parametrize("word", ["crash", "garbage", "huge", "half"])
def test_what_breaks_a_helper_is_a_503_for_that_token_alone(serve, upstream, keytab, fake_helper, word):
    gateway = serve(ADMIN + protected(keytab, upstream, helper=fake_helper, more='deadline = "20s"\nworkers = 3'))
    waiting = BackgroundRequest(gateway, b"hang")
    eventually(lambda: "hang" in noted(fake_helper), "another token is asked about meanwhile")
    for _ in range(2):
        assert is_unavailable(ask(gateway, word.encode()))
        assert user(ask(gateway, b"bob")) == ["bob"]
    assert waiting.is_alive(), "whose helper is another process"
    assert gateway.metric("portcullis_negotiate_tokens_total", acceptor="http", outcome="unavailable") == 2
    assert gateway.metric("portcullis_negotiate_tokens_total", acceptor="http", outcome="accepted") == 2
    for helper in psutil.Process(gateway.child.process.pid).children():
        helper.kill()
    waiting.join(20)


class BackgroundRequest(threading.Thread):
    """A request whose answer is waited for elsewhere."""

    def __init__(self, gateway, token):
        super().__init__(daemon=True)
        self.gateway, self.token, self.answer = gateway, token, None
        self.start()

    def run(self):
        self.answer = ask(self.gateway, self.token)


def test_a_helper_that_keeps_breaking_is_given_time(serve, upstream, keytab, fake_helper):
    gateway = serve(protected(keytab, upstream, helper=fake_helper, more="workers = 1"))
    before = len(starts(fake_helper))
    for _ in range(60):
        assert is_unavailable(ask(gateway, b"crash"))
    assert len(starts(fake_helper)) - before < 15, "most of these requests started none"
    eventually(lambda: user(ask(gateway, b"bob")) == ["bob"], "and it recovers by itself", seconds=20)


def test_output_of_a_helper_is_escaped_in_the_log(serve, upstream, keytab, fake_helper):
    gateway = serve(protected(keytab, upstream, helper=fake_helper))
    assert is_refused(ask(gateway, b"words \x1b[2J\xff\r\nlevel: ERROR"))
    eventually(lambda: [line for line in gateway.log() if "a helper says" in line["message"]], "its output is logged")
    log = gateway.child.output()
    assert log.isascii()
    assert all(line["message"].isprintable() for line in gateway.log())


def test_a_keytab_that_is_taken_away_is_a_503_until_it_is_back(kdc, serve, upstream, tmp_path):
    keytab = kdc.keytab(tmp_path / "keytab", "HTTP/localhost")
    gateway = serve(protected(keytab, upstream))
    elsewhere = keytab.rename(tmp_path / "elsewhere")
    assert is_unavailable(ask(gateway, kdc.token()))
    elsewhere.rename(keytab)
    assert user(ask(gateway, kdc.token())) == ["alice"]
    [line] = gateway.logged(context="negotiate")
    assert line["level"] == "WARN" and "can't be opened" in line["message"]


# Its surroundings


def test_a_helper_gets_an_environment_of_the_gateways_making(serve, upstream, keytab, fake_helper):
    evil = {"KRB5_TRACE": "/dev/stderr", "KRB5RCACHENAME": "none:", "LD_LIBRARY_PATH": "/tmp", "SECRET": "x"}
    evil |= {"KRB5_KTNAME": "/nowhere", "GSS_MECH_CONFIG": "/tmp/evil"}
    serve(protected(keytab, upstream, helper=fake_helper), **evil)
    [started] = starts(fake_helper)
    names = [name for name in eval(started.removeprefix("started ")) if name not in ("LC_CTYPE", "PWD", "SHLVL", "_")]
    assert names == ENVIRONMENT


def test_a_helper_holds_nothing_of_the_gateways_and_leaves_no_core(kdc, serve, upstream, keytab):
    gateway = serve(protected(keytab, upstream))
    ask(gateway, kdc.token())
    [helper] = helpers(gateway)
    proc = Path(f"/proc/{helper.pid}")
    held = sorted(os.readlink(each).split(":")[0] for each in (proc / "fd").iterdir())
    assert held == ["/dev/null", "pipe", "socket", "socket"], "its standard streams, and standard input once more"
    assert helper.net_connections("inet") == []
    assert "NoNewPrivs:\t1" in (proc / "status").read_text()
    [core] = [line.split() for line in (proc / "limits").read_text().splitlines() if line.startswith("Max core")]
    assert core[4:6] == ["0", "0"]


def test_a_variable_of_the_gateways_changes_nothing(kdc, serve, upstream, keytab):
    """`none:` would disable the replay cache."""
    gateway = serve(protected(keytab, upstream), KRB5RCACHENAME="none:", KRB5_KTNAME="/nowhere", GSS_MECH_CONFIG="/nowhere")
    token = kdc.token()
    assert user(ask(gateway, token)) == ["alice"]
    assert is_refused(ask(gateway, token))


def test_helpers_end_with_the_gateway_even_when_it_is_killed_and_they_are_stopped(serve, upstream, keytab, kdc):
    gateway = serve(protected(keytab, upstream, more="workers = 2"))
    [helper] = helpers(gateway)
    helper.suspend()
    waiting = BackgroundRequestIgnoringErrors(gateway, kdc.token())
    eventually(lambda: len(helpers(gateway)) >= 1, "there is a helper")
    remaining = helpers(gateway)
    os.kill(gateway.child.process.pid, signal.SIGKILL)
    gateway.child.process.wait()
    eventually(lambda: not any(is_there(each) for each in remaining), "no helper is left")
    waiting.join(20)
    gateway.child.process.returncode = 0


class BackgroundRequestIgnoringErrors(BackgroundRequest):
    def run(self):
        try:
            super().run()
        except OSError:
            pass


def is_there(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_helpers_end_when_the_gateway_stops(kdc, serve, upstream, keytab):
    gateway = serve(protected(keytab, upstream))
    ask(gateway, kdc.token())
    remaining = helpers(gateway)
    assert remaining
    gateway.stop()
    eventually(lambda: not any(is_there(each) for each in remaining), "no helper is left")


# Errors for operators


def check(folder, config, **environment):
    done = run("check", folder=folder, config=config, **environment)
    return done.returncode, done.stdout + done.stderr


def everything(keytab, helper=None, **options):
    class Upstream:
        url = "http://127.0.0.1:9"

    return acceptor(keytab, helper=helper, **options) + authenticator() + route(Upstream, "kerberos")


def test_a_good_configuration_is_good(keytab, tmp_path):
    code, said = check(tmp_path, everything(keytab, replay_cache=tmp_path / "replay"))
    assert (code, "good: 1 route, 1 authenticator" in said) == (0, True), said
    assert stat.S_IMODE((tmp_path / "replay").stat().st_mode) == 0o700


WRONG_KEYTABS = {
    "missing": (lambda path: path.unlink(), "can't be opened"),
    "open to all": (lambda path: path.chmod(0o644), "chmod 600"),
    "writable for its group": (lambda path: path.chmod(0o660), "chmod 600"),
    "empty": (lambda path: path.write_bytes(b""), "is not a keytab"),
    "something else": (lambda path: path.write_bytes(b"-----BEGIN PRIVATE KEY-----"), "is not a keytab"),
    "without a key": (lambda path: path.write_bytes(b"\x05\x02"), "the keytab can't be used"),
    "a folder": (lambda path: (path.unlink(), path.mkdir(0o700)), "can't be read"),
}


@pytest.mark.parametrize("what", WRONG_KEYTABS)
def test_a_keytab_that_cannot_be_used_fails_the_check(keytab, tmp_path, what):
    own = tmp_path / "own.keytab"
    shutil.copy(keytab, own)
    own.chmod(0o600)
    spoil, words = WRONG_KEYTABS[what]
    spoil(own)
    code, said = check(tmp_path, everything(own))
    assert code == 1 and "negotiate.http.keytab" in said and words in said, said


def test_a_keytab_for_another_service_fails_the_check(kdc, tmp_path):
    own = kdc.keytab(tmp_path / "own.keytab", "host/localhost")
    code, said = check(tmp_path, everything(own))
    assert code == 1 and "the keytab can't be used" in said, said
    code, said = check(tmp_path, everything(own, more='service = "host"'))
    assert code == 0, said
    code, said = check(tmp_path, everything(own, more='service = "host@elsewhere"'))
    assert code == 1 and "the keytab can't be used" in said, said


def test_check_names_the_package_of_a_missing_helper(keytab, tmp_path):
    for helper, words in [("/nowhere/helper", "/nowhere/helper can't be run"), (str(tmp_path), "it is not an executable file")]:
        code, said = check(tmp_path, everything(keytab, helper=helper))
        assert code == 1 and words in said and "libkrb5-dev" in said, said
    config = everything(keytab).replace(f'helper = "{negotiate_helper()}"', "")
    alone = tmp_path / "bin"
    alone.mkdir()
    code, said = check(tmp_path, config, PATH=str(alone))
    assert code == 1 and "there is no portcullis-negotiate" in said and "libkrb5-dev" in said, said
    shutil.copy(negotiate_helper(), alone)
    code, said = check(tmp_path, config, PATH=str(alone))
    assert code == 0, said


def test_the_error_of_a_helper_that_cannot_start_is_shown(keytab, tmp_path, fake_helper):
    (tmp_path / "no-start").touch()
    code, said = check(tmp_path, everything(keytab, helper=fake_helper))
    assert code == 1 and "cannot open shared object file" in said and "\x1b" not in said, said


@pytest.mark.parametrize(
    "more, words",
    [
        ("workers = 0", "negotiate.http.workers: must be 1 to 64"),
        ('deadline = "1h"', "negotiate.http.deadline: must be 10ms to 30s"),
        ('channel_bindings = "yes"', 'negotiate.http.channel_bindings: "yes" is not "off", "if-sent" or "require"'),
        ('service = "HTTP/localhost"', "negotiate.http.service: "),
        ('krb5_config = "/nowhere"', "negotiate.http.krb5_config: /nowhere can't be opened"),
        ('keytabs = "x"', 'unknown key; did you mean "keytab"?'),
    ],
)
def test_a_mistake_is_found(keytab, tmp_path, more, words):
    code, said = check(tmp_path, everything(keytab, more=more))
    assert code == 1 and words in said, said


def test_a_grant_of_no_acceptor_is_a_mistake(keytab, tmp_path):
    code, said = check(tmp_path, everything(keytab).replace('negotiate = "http"', 'negotiate = "htp"'))
    assert code == 1 and 'grants.negotiate names "htp"' in said and 'did you mean "http"?' in said, said


def test_a_replay_cache_that_others_can_change_is_refused(keytab, tmp_path):
    open_to_all = tmp_path / "replay"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    code, said = check(tmp_path, everything(keytab, replay_cache=open_to_all))
    assert code == 1 and "chmod 700" in said, said


def test_an_authenticator_without_the_grant_is_a_503_and_counted(kdc, serve, upstream, keytab):
    config = ADMIN + protected(keytab, upstream).replace('negotiate = "http"', "")
    gateway = serve(config)
    assert is_unavailable(ask(gateway, kdc.token()))
    assert gateway.metric("portcullis_authenticator_denied_total", authenticator="kerberos", kind="negotiate") == 1
    assert any("set grants.negotiate" in str(line) for line in gateway.log())


@pytest.mark.parametrize(
    "acceptor_name, tokens, heard, reached",
    [
        ("http", [1], ["14"], 1),
        ("http", [0, 65537, 1], ["rejected", "rejected", "14"], 1),
        ("http", [65536], ["65549"], 1),
        ("http", [1] * 6, ["14"] * 4 + ["unavailable"] * 2, 4),
        ("other", [1], ["denied"], 0),
        ("HTTP", [1], ["denied"], 0),
        ("", [1], ["denied"], 0),
    ],
)
def test_a_plugin_asks_within_its_grant_and_its_bounds(
    serve, upstream, keytab, fake_helper, prober_component, acceptor_name, tokens, heard, reached
):
    """`other` is an acceptor, too, and not this plugin's."""
    other = acceptor(keytab, helper=fake_helper).replace("[negotiate.http]", "[negotiate.other]")
    config = (
        acceptor(keytab, helper=fake_helper)
        + other
        + f"""
[authenticators.prober]
plugin = "{prober_component}"
grants = {{ headers = ["x-do"], negotiate = "http" }}
"""
        + route(upstream, "prober")
    )
    gateway = serve(config)
    told = " ".join(["negotiate", acceptor_name, *map(str, tokens)])
    answer = gateway.send("/", {"X-Do": told})
    assert answer.status == 200, answer.body
    assert values(answer.json(), "x-forwarded-groups") == [",".join(heard)]
    assert len(noted(fake_helper)) == reached
    [line] = gateway.logged(message="decision")
    assert "negotiate" in line["steps"] and "xx" not in line["steps"]


def test_the_helper_explains_that_it_is_not_run_by_hand(tmp_path):
    done = subprocess.run([negotiate_helper()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "[negotiate.NAME]" in done.stderr, done
