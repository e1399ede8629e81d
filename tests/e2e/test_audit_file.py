"""The file and the socket of the audit log: what is done to them is found, and what can't be written is never lost silently."""

import grp
import gzip
import os
import pwd
import re
import secrets
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from harness import client, reload
from harness.audit import CHECKPOINT, DROPPED, OPENED, Collector, broken, entries, hashed_anew, lines, messages, whole
from harness.client import ALICE
from harness.config import PEOPLE, protected, route
from harness.gateway import ADMIN, Gateway, run
from harness.paths import ROOT
from harness.process import eventually

QUIET = {"PORTCULLIS_LOG": "info,portcullis::audit=off"}
"""The log without the audit log, of which the file has everything."""


def audit(file, more=""):
    return f'[audit]\nfile = "{file}"\n{more}'


@pytest.fixture
def file(tmp_path):
    return tmp_path / "audit.jsonl"


@contextmanager
def killed(folder, config, **environment):
    """A gateway that is killed at the end."""
    folder.mkdir(exist_ok=True)
    gateway = Gateway(folder, '[server]\nlisten = "127.0.0.1:0"\n' + config, **environment)
    try:
        yield gateway
    finally:
        gateway.child.kill()


def ids(*files):
    """The ids of the requests that were decided."""
    return [entry["request_id"] for entry in entries(*files) if entry["message"] == "decision"]


def ask(gateway, target="/"):
    """The status of a request, and its id."""
    answer = gateway.send(target, ALICE)
    return answer.status, answer.header("x-request-id")


# What is in the file


def test_the_file_has_the_lines_of_the_log_in_a_chain(serve, upstream, file):
    gateway = serve(audit(file) + PEOPLE + route(upstream, "people", path="/app"))
    for target, headers, status in [("/app", ALICE, 200), ("/app", {}, 401), ("/nowhere", {}, 404), ("/app/%22", ALICE, 200)]:
        assert gateway.send(target, headers).status == status
    gateway.stop()
    found = entries(file)
    assert [entry["seq"] for entry in found] == [1, 2, 3, 4, 5, 6]
    assert messages(file) == [OPENED, "decision", "decision", "request refused", "decision", CHECKPOINT]
    plain = [{key: value for key, value in entry.items() if key not in ("seq", "hash", "timestamp")} for entry in found[1:5]]
    logged = [line for line in gateway.log() if line["target"] == "portcullis::audit"]
    assert plain == [{key: value for key, value in line.items() if key != "timestamp"} for line in logged]
    assert lines(file) == hashed_anew(lines(file)), "the hashes are as the page says"
    said = whole(file.parent, file)
    assert said.startswith(f"lines: 6, from 1 to 6:{found[-1]['hash']}\ncheckpoints: 1, ")
    assert file.stat().st_mode & 0o777 == 0o640


def test_the_file_has_them_whatever_the_log_has(serve, upstream, file):
    gateway = serve(audit(file) + protected(upstream), **QUIET)
    assert ask(gateway)[0] == 200
    gateway.stop()
    assert messages(file) == [OPENED, "decision", CHECKPOINT]
    assert not [line for line in gateway.log() if line["target"] == "portcullis::audit"]


def test_a_long_text_is_cut(serve, upstream, file):
    gateway = serve(audit(file) + protected(upstream), **QUIET)
    assert ask(gateway, "/" + "x" * 6000)[0] == 200
    gateway.stop()
    assert entries(file)[1]["path"] == "/" + "x" * 4095 + "…"
    whole(file.parent, file)


def test_checkpoints_come_in_time_and_are_in_the_log(serve, upstream, file):
    gateway = serve(audit(file, 'checkpoint = "1s"\n') + protected(upstream))
    ask(gateway)
    [line] = eventually(lambda: gateway.logged(message=CHECKPOINT), "a checkpoint")
    last = entries(file)[-1]
    assert line["checkpoint"] == f"{last['seq']}:{last['hash']}" and last["message"] == CHECKPOINT
    ask(gateway)
    eventually(lambda: len(gateway.logged(message=CHECKPOINT)) == 2, "another, as there are new lines")
    whole(file.parent, "--checkpoint", line["checkpoint"], file)


# What is done to it


@pytest.fixture(scope="module")
def written(serve_module, shared_upstream, tmp_path_factory):
    """The lines of a gateway that signs them, its public key, and its last checkpoint."""
    file = tmp_path_factory.mktemp("written") / "audit.jsonl"
    key = file.with_name("key")
    assert run("keygen", "--out", key, folder=file.parent).returncode == 0
    gateway = serve_module(audit(file, f'key = "file:{key}"\n') + protected(shared_upstream))
    for number in range(10):
        assert gateway.send(f"/{number}", ALICE).status == 200
    gateway.stop()
    [opened], [checkpoint] = gateway.logged(message=OPENED), gateway.logged(message=CHECKPOINT)
    assert entries(file)[0]["public_key"] == opened["public_key"]
    return lines(file), opened["public_key"], checkpoint["checkpoint"]


def changed(lines):
    lines[4] = lines[4].replace(b'"user":"alice"', b'"user":"mallory"')


CHANGES = {
    "a changed line": (changed, ":5: line 5 was changed"),
    "a space": (lambda lines: lines.__setitem__(4, lines[4].replace(b",", b", ", 1)), ":5: line 5 was changed"),
    "a removed line": (lambda lines: lines.pop(4), ":5: line 5 is missing before line 6"),
    "removed lines": (lambda lines: lines.__delitem__(slice(4, 7)), ":5: lines 5 to 7 are missing before line 8"),
    "exchanged lines": (lambda lines: lines.insert(4, lines.pop(5)), ":5: line 5 is missing before line 6"),
    "a repeated line": (lambda lines: lines.insert(5, lines[4]), ":6: line 5 stands after line 5"),
    "a line of something else": (lambda lines: lines.insert(5, b'{"message":"decision"}\n'), ":6: this is no line"),
    "a removed beginning": (lambda lines: lines.pop(0), ":1: the file doesn't begin with"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_done_to_the_file_is_found(written, file, what):
    change, said = CHANGES[what]
    own = list(written[0])
    change(own)
    assert own != written[0]
    file.write_bytes(b"".join(own))
    assert broken(file.parent, file).startswith(f"{file}{said}")


@pytest.mark.parametrize(
    "change", [changed, lambda lines: lines.pop(4), lambda lines: lines.insert(4, lines.pop(5))], ids=["changed", "removed", "moved"]
)
def test_a_log_whose_hashes_are_made_anew_is_found_by_signature_or_checkpoint(written, file, change):
    own, public_key, checkpoint = list(written[0]), *written[1:]
    file.write_bytes(b"".join(own))
    said = whole(file.parent, "--public-key", public_key, "--checkpoint", checkpoint, file)
    assert "\nsigned checkpoints: 1, " in said and said.endswith("lines after it: 0\nthe chain is whole\n")
    change(own)
    for number, line in enumerate(own, 1):
        own[number - 1] = re.sub(rb'^{"seq":\d+,', b'{"seq":%d,' % number, line)
    file.write_bytes(b"".join(hashed_anew(own)))
    whole(file.parent, file)
    assert ": the signature of the checkpoint is not one of the key\n" in broken(file.parent, "--public-key", public_key, file)
    broken(file.parent, "--checkpoint", checkpoint, file)


def test_a_removed_end_is_found_by_a_checkpoint_of_the_log(written, file):
    own, public_key, checkpoint = written
    file.write_bytes(b"".join(own[:7]))
    whole(file.parent, file)
    assert "the log ends with line 7, so its end is missing" in broken(file.parent, "--checkpoint", checkpoint, file)
    assert broken(file.parent, "--public-key", public_key, file) == "no checkpoint is signed by the key\n"


def test_the_command_says_what_it_needs(tmp_path, file):
    file.write_bytes(b"")
    for arguments, code, said in [
        ([tmp_path / "none"], 1, "can't be read: No such file"),
        ([], 2, "<FILE>"),
        (["--public-key", "ab", file], 2, "expected 64 hexadecimal digits"),
        (["--checkpoint", "12", file], 2, "expected NUMBER:HASH"),
        ([file], 1, ""),
    ]:
        done = run("audit", "verify", *arguments, folder=tmp_path)
        assert done.returncode == code and said in done.stderr, done
    assert done.stdout.startswith(f"{file}: the file has no line")


# Rotation


class Load:
    """Clients that send requests until they are stopped, and keep the ids of those that were answered with 200."""

    def __init__(self, gateway, clients=4):
        self.admitted, self._stops = [], threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._sending = [self._pool.submit(self._send, gateway) for _ in range(clients)]

    def _send(self, gateway):
        while not self._stops.is_set():
            status, request_id = ask(gateway)
            assert status == 200
            self.admitted.append(request_id)

    def stop(self):
        self._stops.set()
        for sending in self._sending:
            sending.result()
        return self.admitted


def logrotate(file):
    """Rotates by the lines of the page, with the time and the user of a test."""
    page = (ROOT / "docs/audit-log.md").read_text()
    [text] = re.findall(r"(?ms)^```\n(/var/log/portcullis/audit\.jsonl \{.*?^\})\n```", page)
    config = file.with_name("logrotate.conf")
    config.write_text(text.replace("/var/log/portcullis/audit.jsonl", str(file)).replace("}", f"su {user()}\n}}"))
    config.chmod(0o600)
    command = ["logrotate", "--force", "--state", str(file.with_name("state")), str(config)]
    path = os.environ["PATH"] + ":/usr/sbin"
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert done.returncode == 0, done.stderr


def user():
    return f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"


def test_rotation_under_load_loses_nothing(serve, upstream, file):
    gateway = serve(audit(file) + protected(upstream), **QUIET)
    load = Load(gateway)
    moved = []
    for number in range(4):
        known = len(load.admitted)
        eventually(lambda known=known: file.exists() and len(load.admitted) > known + 20, "requests")
        moved.append(file.with_name(f"audit.{number}"))
        file.rename(moved[-1])
    admitted = load.stop()
    gateway.stop()
    files = [*moved, file]
    assert sorted(ids(*files)) == sorted(admitted)
    for part in files:
        assert messages(part)[0] == OPENED and messages(part)[-1] == CHECKPOINT
    whole(file.parent, *files)
    assert broken(file.parent, files[0], *files[2:]).startswith(f"{files[2]}:1: lines "), "one is missing"


def test_logrotate_needs_no_signal(serve, upstream, file):
    gateway = serve(audit(file) + protected(upstream), **QUIET)
    for number in range(3):
        ask(gateway)
        eventually(lambda number=number: len(gateway.logged(message=OPENED)) == number + 1, "the file is open")
        logrotate(file)
        eventually(file.exists, "a new one")
    gateway.stop()
    packed = [file.with_name(f"audit.jsonl.{number}.gz") for number in (3, 2)]
    for number, part in enumerate(packed):
        part.with_suffix("").write_bytes(gzip.decompress(part.read_bytes()))
    files = [file.with_name(f"audit.jsonl.{number}") for number in (3, 2, 1)] + [file]
    assert len(ids(*files)) == 3
    whole(file.parent, *files)


def test_a_file_that_is_emptied_in_place_goes_on(serve, upstream, file):
    """As `copytruncate` of logrotate does."""
    gateway = serve(audit(file) + protected(upstream), **QUIET)
    ask(gateway)
    eventually(lambda: len(lines(file)) == 2, "the line")
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    os.truncate(file, 0)
    eventually(lambda: len(gateway.logged(message=OPENED)) == 2, "it is opened again")
    ask(gateway)
    gateway.stop()
    assert messages(file) == [OPENED, "decision", CHECKPOINT]
    whole(file.parent, copy, file)


def test_a_file_that_is_moved_while_no_gateway_runs_is_continued(serve, upstream, file):
    first = serve(audit(file) + protected(upstream))
    ask(first)
    first.stop()
    file.rename(file.with_name("before"))
    second = serve(audit(file) + protected(upstream))
    ask(second)
    second.stop()
    assert [entry["seq"] for entry in entries(file)] == [4, 5, 6]
    whole(file.parent, file.with_name("before"), file)


# Crashes


def test_a_chain_goes_on_after_a_crash(tmp_path, upstream, file):
    """Only the last answers before a crash may be missing, and the file may
    have one whose client the crash has robbed of it."""
    config = audit(file) + protected(upstream)
    seen = []
    for number in range(3):
        answered = []
        with ThreadPoolExecutor(1) as pool, killed(tmp_path / f"{number}", config, **QUIET) as gateway:

            def send(gateway=gateway, answered=answered):
                with suppress(OSError):
                    while True:
                        answered.append(ask(gateway)[1])

            sending = pool.submit(send)
            eventually(lambda answered=answered: len(answered) > 30, "requests")
            gateway.child.signal(signal.SIGKILL)
            sending.result()
        found = ids(file)[len(seen) :]
        kept = [request for request in found if request in answered]
        assert kept and kept == answered[: len(kept)]
        assert len(found) - len(kept) <= 1
        seen += found
    assert len(set(seen)) == len(seen)
    whole(file.parent, file)


@pytest.mark.parametrize("rest", [b'{"seq":3,"timest', b"\0" * 4096], ids=["a part", "zeros"])
def test_a_line_that_a_crash_has_cut_off_is_told_and_verified(tmp_path, serve, upstream, file, rest):
    config = audit(file) + protected(upstream)
    with killed(tmp_path / "killed", config) as gateway:
        ask(gateway)
        eventually(lambda: len(lines(file)) == 2, "the line")
    with file.open("ab") as end:
        end.write(rest)
    assert "cut off by a crash, or being written: 1\n" in whole(file.parent, file)
    gateway = serve(config)
    [line] = eventually(lambda: gateway.logged(message="the last audit line was cut off, as by a crash"), "a warning")
    assert line["bytes"] == len(rest)
    ask(gateway)
    gateway.stop()
    assert "cut off by a crash, or being written: 1\n" in whole(file.parent, file)
    content = file.read_bytes()
    file.write_bytes(content.replace(rest + b"\n", rest[:-1] + b"x\n"))
    assert broken(file.parent, file) == f"{file}:3: this is no line of an audit log\n"


def test_a_removed_end_is_told_at_the_next_start(serve, upstream, file):
    config = audit(file) + protected(upstream)
    first = serve(config)
    ask(first)
    first.stop()
    file.write_bytes(b"".join(lines(file)[:1]))
    second = serve(config)
    message = "the end of the audit file was removed or changed while no gateway wrote to it"
    assert len(second.logged(level="ERROR", message=message)) == 1
    second.stop()
    assert broken(file.parent, file) == f"{file}:2: lines 2 to 3 are missing before line 4\n"


# What can't be written


LIMITED = """
import resource, signal, sys, os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, 32 * 1024))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Becomes a program whose files can't grow beyond this, as on a disk that is full until a file is moved away."""


def on_a_full_disk(serve, config):
    """A gateway whose audit file has got as large as it can be, and the ids of requests that it has admitted by then."""
    gateway = serve(ADMIN + config, launcher=[sys.executable, "-c", LIMITED], **QUIET)
    admitted = []

    def is_full():
        status, request_id = ask(gateway)
        if status == 200:
            admitted.append(request_id)
        return gateway.logged(message="audit lines can't be written, and wait in memory")

    eventually(is_full, "the disk is full")
    return gateway, admitted


def test_a_full_disk_drops_lines_which_are_counted_and_told(serve, upstream, file):
    gateway, admitted = on_a_full_disk(serve, audit(file, "queue = 16\n") + protected(upstream))
    assert gateway.metric("portcullis_audit_writable") == 0
    for _ in range(40):
        status, request_id = ask(gateway)
        assert status == 200
        admitted.append(request_id)
    dropped = gateway.metric("portcullis_audit_lines_dropped_total")
    assert dropped >= 20
    assert sum(line["dropped"] for line in eventually(lambda: dropped_lines(gateway), "it is told")) > 0
    file.rename(file.with_name("full"))
    eventually(lambda: gateway.logged(message="audit lines can be written again"), "the disk has room")
    admitted.append(ask(gateway)[1])
    gateway.stop()
    said = whole(file.parent, file.with_name("full"), file)
    assert f"dropped by the gateway: {dropped:.0f}\n" in said
    assert sum(line["dropped"] for line in dropped_lines(gateway)) == dropped
    assert sum(entry["dropped"] for entry in entries(file) if entry["message"] == DROPPED) == dropped
    assert len(ids(file.with_name("full"), file)) == len(admitted) - dropped


def dropped_lines(gateway):
    return gateway.logged(message="audit lines were dropped, because too many wait to be written")


def test_a_full_disk_refuses_requests_before_anybody_is_asked(serve, upstream, file):
    more = 'queue = 16\nwhen_full = "refuse"\n'
    gateway, admitted = on_a_full_disk(serve, audit(file, more) + protected(upstream))

    def is_refused():
        status, request_id = ask(gateway)
        if status == 200:
            admitted.append(request_id)
        return status == 503

    eventually(is_refused, "no further line may wait")
    known = len(upstream.seen)
    for _ in range(20):
        answer = gateway.send("/", ALICE)
        assert (answer.status, answer.header("retry-after")) == (503, "5")
        assert b"Auditing is unavailable" in answer.body
    assert len(upstream.seen) == known
    assert gateway.metric("portcullis_audit_requests_refused_total") >= 21
    readiness = client.send(gateway.admin_url, "/readyz")
    assert (readiness.status, readiness.json()["status"]) == (503, "refusing"), "another gateway should get the requests"
    assert b"It refuses all requests." in client.send(gateway.admin_url, "/").body
    message = "requests were refused, because too many audit lines wait to be written"
    eventually(lambda: gateway.logged(level="ERROR", message=message), "it is told")
    file.rename(file.with_name("full"))
    eventually(lambda: not is_refused(), "they are served again")
    assert client.send(gateway.admin_url, "/readyz").status == 200
    gateway.stop()
    assert sorted(ids(file.with_name("full"), file)) == sorted(admitted), "no line is missing"
    assert gateway.logged(message="audit lines can be written again")
    whole(file.parent, file.with_name("full"), file)


def test_lines_that_wait_at_the_end_are_told(serve, upstream, file):
    gateway, admitted = on_a_full_disk(serve, audit(file) + protected(upstream))
    gateway.stop()
    [line] = gateway.logged(message="audit lines are lost, because they can't be written")
    assert line["lost"] == len(admitted) - len(ids(file)) > 0
    whole(file.parent, file)


def socket(path, more=""):
    return f'[audit]\nsocket = "unix:{path}"\n{more}'


def fill(gateway, is_full):
    """Sends long lines until it holds. Returns the ids of the admitted ones."""
    admitted = []

    def sent():
        status, request_id = ask(gateway, "/" + "x" * 4000)
        if status == 200:
            admitted.append(request_id)
        return is_full(status)

    eventually(sent, "the reader is too slow")
    return admitted


def received(collector, gateway, file):
    """Stops the gateway, and writes what was received to the file."""
    gateway.stop()
    collector.stop()
    file.write_bytes(collector.text())


def test_a_slow_reader_loses_lines_which_are_counted_and_told(serve, upstream, tmp_path, file):
    path = tmp_path / "collector.sock"
    with Collector(path) as collector:
        gateway = serve(ADMIN + socket(path, "queue = 16\n") + protected(upstream), **QUIET)
        admitted = fill(gateway, lambda _: (gateway.metric("portcullis_audit_lines_dropped_total") or 0) >= 5)
        eventually(lambda: dropped_lines(gateway), "it is told while the reader is slow")
        collector.reads.set()
        eventually(lambda: gateway.metric("portcullis_audit_lines_waiting") == 0, "the reader has caught up")
        dropped = gateway.metric("portcullis_audit_lines_dropped_total")
        received(collector, gateway, file)
    assert f"dropped by the gateway: {dropped:.0f}\n" in whole(tmp_path, file)
    assert len(ids(file)) == len(admitted) - dropped


def test_a_slow_reader_refuses_requests(serve, upstream, tmp_path, file):
    path = tmp_path / "collector.sock"
    with Collector(path) as collector:
        more = 'queue = 16\nwhen_full = "refuse"\n'
        gateway = serve(ADMIN + socket(path, more) + protected(upstream), **QUIET)
        admitted = fill(gateway, lambda status: status == 503)
        collector.reads.set()

        def is_served():
            status, request_id = ask(gateway)
            if status == 200:
                admitted.append(request_id)
            return status == 200

        eventually(is_served, "they are served again")
        assert not gateway.metric("portcullis_audit_lines_dropped_total")
        received(collector, gateway, file)
    assert sorted(ids(file)) == sorted(admitted)
    whole(tmp_path, file)


def test_a_reader_that_never_reads_delays_no_end(serve, upstream, tmp_path):
    path = tmp_path / "collector.sock"
    with Collector(path):
        gateway = serve(ADMIN + socket(path, "queue = 16\n") + protected(upstream), **QUIET)
        fill(gateway, lambda _: gateway.metric("portcullis_audit_lines_dropped_total"))
        path.unlink()
        gateway.stop()
    assert gateway.logged(message="audit lines are lost, because they can't be written")


def test_a_reader_that_comes_late_or_again_gets_the_chain(serve, upstream, tmp_path, file):
    path = tmp_path / "collector.sock"
    gateway = serve(ADMIN + socket(path) + protected(upstream), **QUIET)
    admitted = [ask(gateway)[1]]
    eventually(lambda: gateway.logged(message="audit lines can't be written, and wait in memory"), "nobody listens")
    parts = []
    for _ in range(2):
        with Collector(path) as collector:
            collector.reads.set()
            eventually(lambda collector=collector: len(collector.text().splitlines()) >= 2, "the lines are there")
            parts.append(collector)
        path.unlink()
        admitted.append(ask(gateway)[1])
    with Collector(path) as last:
        last.reads.set()
        eventually(lambda: b"decision" in last.text(), "the lines are there")
        received(last, gateway, file)
    file.write_bytes(b"".join(part.text() for part in parts) + file.read_bytes())
    assert ids(file) == admitted
    assert [entry.get("continues") is None for entry in entries(file) if entry["message"] == OPENED] == [True, False, False]
    whole(tmp_path, file)


def test_each_start_begins_a_chain_at_a_socket(serve, upstream, tmp_path, file):
    path = tmp_path / "collector.sock"
    with Collector(path) as collector:
        collector.reads.set()
        for _ in range(2):
            gateway = serve(socket(path) + protected(upstream))
            ask(gateway)
            gateway.stop()
        collector.stop()
        file.write_bytes(collector.text())
    assert "a new chain begins here" in broken(tmp_path, file)
    assert "chains: 2\n" in whole(tmp_path, "--several-chains", file)


# Where it may not be


def test_a_file_has_one_writer(serve, upstream, tmp_path, file):
    config = '[server]\nlisten = "127.0.0.1:0"\n' + audit(file) + protected(upstream)
    gateway = serve(audit(file) + protected(upstream))
    (tmp_path / "other").mkdir()
    done = run("serve", folder=tmp_path / "other", config=config)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"[audit]: {file} can't be used: another process writes to it: each gateway needs a file of its own\n"
    )
    ask(gateway)
    gateway.stop()
    whole(tmp_path, file)


@pytest.mark.parametrize(
    "what, said",
    [
        ("/dev/full", "it is not a regular file: the key socket is for programs that read the lines"),
        ("nowhere/audit.jsonl", "No such file or directory"),
        ("notes.txt", "its end has no line of an audit log: move the file away, or name another one"),
    ],
)
def test_what_is_no_audit_file_is_refused(upstream, tmp_path, what, said):
    (tmp_path / "notes.txt").write_text("mine\n")
    done = run("serve", folder=tmp_path, config='[server]\nlisten = "127.0.0.1:0"\n' + audit(what) + protected(upstream))
    assert done.returncode == 1 and f"[audit]: {tmp_path / what} can't be used: " in done.stderr, done.stderr
    assert said in done.stderr
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


@pytest.mark.parametrize(
    "section, said",
    [
        ("", 'one of the keys "file" and "socket" is needed'),
        ('file = "a"\nsocket = "unix:b"', "file and socket contradict each other"),
        ('file = ""', "the path of a file"),
        ('socket = "b"', '"b" is not unix:PATH'),
        ('file = "a"\nqueue = 15', "must be 16 to 1000000"),
        ('file = "a"\nwhen_full = "block"', '"block" is not "drop" or "refuse"'),
        ('file = "a"\ncheckpoint = "2h"', "must be 1s to 1h"),
        ('file = "a"\nkey = "00"', "a secret can't be written in the configuration"),
        ('file = "a"\nkey = "env:SHORT"', "expected 32 random bytes as 64 hexadecimal digits"),
        ('file = "a"\nformat = "json"', "unknown key"),
    ],
)
def test_mistakes_are_named(tmp_path, upstream, section, said):
    done = run("check", folder=tmp_path, config=f"[audit]\n{section}\n" + protected(upstream), SHORT="0011")
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert not (tmp_path / "a").exists(), "only what serves writes"


# Reloads


def test_a_reload_begins_changes_and_ends_it(serve, upstream, file):
    other = file.with_name("other.jsonl")
    config = protected(upstream)
    gateway = reload.start(serve, config, **QUIET)
    ask(gateway)
    seen = []
    for section, change in [
        (audit(file), "+audit"),
        (audit(file, 'when_full = "refuse"\nqueue = 100\n'), "~audit: queue, when_full"),
        (audit(other), "~audit: file, queue, when_full"),
        (audit(file), "~audit: file"),
    ]:
        assert reload.reload(gateway, section + config) == [change]
        seen.append(ask(gateway)[1])
    assert "can't be used: " in reload.refused(gateway, audit(file.parent) + config)
    seen.append(ask(gateway)[1])
    assert reload.reload(gateway, config) == ["-audit"]
    ask(gateway)
    gateway.stop()
    assert (ids(file), ids(other)) == ([seen[0], seen[1], *seen[3:]], [seen[2]])
    for written in (file, other):
        whole(file.parent, written)


def test_a_new_key_signs_what_comes_after_it(serve, upstream, file):
    config = audit(file, 'key = "file:audit.key"\n') + protected(upstream)
    folder = file.parent / "gateway-0"
    folder.mkdir()
    key = reload.put_secret(folder / "audit.key", secrets.token_hex(32))
    gateway = reload.start(serve, config)
    ask(gateway)
    reload.put_secret(key, secrets.token_hex(32))
    assert reload.reload(gateway) == ["~audit: key"]
    ask(gateway)
    gateway.stop()
    first, second = [line["public_key"] for line in gateway.logged(message=OPENED)]
    assert "signed checkpoints: 2, " in whole(file.parent, "--public-key", first, "--public-key", second, file)
    assert broken(file.parent, "--public-key", second, file).count("\n") == 1
