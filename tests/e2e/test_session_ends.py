"""Sessions that end before their time: at once here, after a restart, at other gateways, and for the WebSockets that they opened; and the
key that is made where nobody has configured one."""

import functools
import json
import secrets
import stat
import statistics
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from harness import build, reload
from harness.browser import BEHIND_PROXY, HOST, LOGIN, Browser, login
from harness.client import ALICE, is_closed, open_websocket, send
from harness.config import PEOPLE, SESSION, protected, route
from harness.fronts import listens, program
from harness.gateway import ADMIN, LISTEN_ANYWHERE, Gateway, run
from harness.paths import ROOT
from harness.process import Child, eventually, with_free_ports
from harness.upstream import values

TOLD = "/.portcullis/session/revocations"
REVOKE = "/revocations"
TOKEN = secrets.token_hex(32)
NOTICE = "/.portcullis/login/scripted/notice"
NO_KEY = "[session]\n"


def config(upstream, session=SESSION):
    return ADMIN + 'token = "env:TOKEN"\n' + session + LOGIN + login(build.guest_component("scripted")) + route(upstream, "scripted")


@pytest.fixture
def state(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def start(serve, upstream, state):
    """Starts a gateway with this state folder."""

    def started(session=NO_KEY, **options):
        options = {"STATE_DIRECTORY": str(state), "TOKEN": TOKEN} | options
        return serve(config(upstream, session), server=BEHIND_PROXY, **options)

    return started


def logged_in(gateway, do="arrive alice kept session:1"):
    browser = Browser(gateway)
    browser.log_in(do=do)
    assert is_in(browser)
    return browser


def is_in(browser):
    return browser.open("/").status == 200


def log_out(browser):
    assert browser.post("/.portcullis/logout").status == 200


def end(gateway, *handles):
    """What a provider sends."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Host": HOST}
    answer = gateway.send(NOTICE, form, "POST", f"do=handles+{'+'.join(handles)}".encode())
    assert answer.status == 200, answer.body


# The key that nobody has configured


def test_a_key_is_made_and_kept_so_that_a_restart_logs_nobody_out(start, state):
    first = start()
    browser = logged_in(first)
    key = state / "session.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and stat.S_IMODE(state.stat().st_mode) == 0o700
    text = key.read_text().strip()
    assert len(bytes.fromhex(text)) == 32 and text not in first.child.output()
    first.stop()
    assert is_in(browser.copy(start()))


def test_two_processes_that_start_together_have_one_key(upstream, state, tmp_path):
    def started(name):
        folder = tmp_path / name
        folder.mkdir()
        return Gateway(folder, LISTEN_ANYWHERE + NO_KEY + protected(upstream), STATE_DIRECTORY=str(state / "deep"))

    # A gateway ends with the thread that has started it.
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(started, ["one", "other"])
        try:
            [(name, value)] = one.send("/", ALICE).set_cookies().items()
            assert values(other.send("/", {"Cookie": f"{name}={value}"}).json(), "x-forwarded-user") == ["alice"]
        finally:
            one.stop()
            other.stop()


def test_a_login_needs_no_section_for_its_sessions(start, state):
    logged_in(start(""))
    assert (state / "session.key").exists()


def test_without_logins_and_section_there_is_no_session(serve, upstream, state):
    gateway = serve(protected(upstream), STATE_DIRECTORY=str(state))
    assert gateway.send("/", ALICE).all("set-cookie") == []
    assert not state.exists()


def test_a_kept_key_rotates_as_others_do(start, state):
    first = start()
    browser = logged_in(first)
    first.stop()
    rotated = start(f'[session]\nkeys = ["env:NEW", "file:{state}/session.key"]\n', NEW=secrets.token_hex(32))
    assert is_in(browser.copy(rotated))


def test_a_key_that_others_can_read_stops_the_start(upstream, state):
    state.mkdir()
    (state / "session.key").write_text(secrets.token_hex(32))
    (state / "session.key").chmod(0o644)
    done = run("check", folder=state.parent, config=NO_KEY + protected(upstream), STATE_DIRECTORY=str(state))
    assert done.returncode == 1 and "session.key is accessible to other users" in done.stderr


def test_check_makes_no_key(upstream, state):
    state.parent.mkdir(exist_ok=True)
    done = run("check", folder=state.parent, config=NO_KEY + protected(upstream), STATE_DIRECTORY=str(state))
    assert done.returncode == 0 and not state.exists()


def test_the_state_folder_can_be_configured(upstream, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    gateway = Gateway(own, 'state = "below/it"\n' + LISTEN_ANYWHERE + NO_KEY + protected(upstream))
    try:
        assert gateway.send("/", ALICE).all("set-cookie")
        assert (own / "below" / "it" / "session.key").exists() and not (own / "state").exists()
    finally:
        gateway.stop()


# Ended here


def test_a_copy_of_the_cookie_is_worth_nothing_after_the_logout(start):
    browser = logged_in(start())
    stolen = browser.copy()
    log_out(browser)
    assert stolen.open("/").status == 302
    assert stolen.send("/").status == 401


def test_a_provider_ends_the_sessions_of_a_handle(start):
    gateway = start()
    one, other = logged_in(gateway), logged_in(gateway, "arrive bob kept session:2")
    end(gateway, "session:1")
    assert (is_in(one), is_in(other)) == (False, True)
    assert is_in(logged_in(gateway)), "one that begins later isn't over"


def test_what_was_ended_stays_so_after_a_reload_and_a_restart(start, state):
    gateway = start()
    one, two, three = logged_in(gateway), logged_in(gateway, "arrive bob kept session:2"), logged_in(gateway, "arrive carol kept")
    stolen = one.copy()
    log_out(one)
    end(gateway, "session:2")
    file = state / "revocations"
    eventually(lambda: file.exists() and (file.stat().st_size - 25) // 28 == 2, "both are written")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    gateway.stop()
    next_one = start()
    assert [is_in(browser.copy(next_one)) for browser in (stolen, two, three)] == [False, False, True]


def test_a_file_that_is_damaged_ends_all_sessions(start, state):
    gateway = start()
    one, two = logged_in(gateway), logged_in(gateway)
    log_out(one)
    file = state / "revocations"
    eventually(file.exists, "it is written")
    gateway.stop()
    damaged = bytearray(file.read_bytes())
    damaged[30] ^= 1
    file.write_bytes(damaged)
    after = start()
    assert after.logged(level="ERROR")[0]["why"] == "a checksum is wrong"
    assert not is_in(two.copy(after))
    assert (state / "revocations.broken").read_bytes() == damaged
    assert is_in(logged_in(after))
    eventually(lambda: file.exists(), "it is written anew")
    after.stop()
    again = start()
    assert not is_in(two.copy(again)) and not again.logged(level="ERROR")


def test_processes_with_one_folder_share_what_has_ended(start):
    one, other = start(), start()
    browser = logged_in(one)
    there = browser.copy(other)
    assert is_in(there)
    log_out(browser)
    eventually(lambda: not is_in(there.copy()), "the other process has read it")


def test_the_list_is_bounded_and_forgets_nothing(start):
    """What makes room ends all sessions that began no later."""
    gateway = start('[session]\nrevocations = 2\n')
    browsers = [logged_in(gateway, f"arrive alice kept session:{n}") for n in range(4)]
    stolen = [browser.copy() for browser in browsers]
    for browser in browsers:
        log_out(browser)
    assert [is_in(browser) for browser in stolen] == [False] * 4


def test_a_full_list_takes_little_memory(start, state):
    """`tests/run e2e -k full_list_takes -s` prints how much."""
    now = int(time.time() * 1000)
    records = (secrets.token_bytes(16) + (now - n).to_bytes(8, "big") for n in range(100_000))
    full = b"".join(record + zlib.crc32(record).to_bytes(4, "big") for record in records)
    used = []
    # The first one also compiles the plugins.
    for content in (b"", b"", full):
        state.mkdir(exist_ok=True)
        (state / "revocations").write_bytes(b"portcullis revocations 1\n" + content)
        gateway = start()
        assert not gateway.logged(level="ERROR")
        assert is_in(logged_in(gateway))
        used.append(psutil.Process(gateway.child.process.pid).memory_full_info().uss)
        gateway.stop()
    print(f"100,000 sessions that have ended take {(used[2] - used[1]) / 1e6:.1f} MB")
    assert used[2] - used[1] < 40e6


def test_a_folder_that_can_not_be_written_costs_no_start(serve, upstream, tmp_path):
    """With a key of its own, the gateway runs on a file system that is only read."""
    (tmp_path / "file").write_text("")
    gateway = serve(config(upstream), server=BEHIND_PROXY, KEY=secrets.token_hex(32), TOKEN=TOKEN, STATE_DIRECTORY=str(tmp_path / "file" / "x"))
    assert gateway.logged(level="WARN")
    browser = logged_in(gateway)
    stolen = browser.copy()
    log_out(browser)
    assert not is_in(stolen)


# Ended by an operator


def revoke(gateway, order, token=TOKEN, method="POST"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return send(gateway.admin_url, REVOKE, headers, method, order if isinstance(order, bytes) else json.dumps(order).encode())


SCOPES = {
    # What is revoked, and whether alice, whose session is meant, her other session, and bob are still there.
    "a session": (lambda id: {"session": id}, [False, True, True]),
    "a user": (lambda _: {"user": "alice"}, [False, False, True]),
    "another user": (lambda _: {"user": "Alice"}, [True, True, True]),
    "an authenticator": (lambda _: {"authenticator": "scripted"}, [False, False, False]),
    "everybody": (lambda _: {"all": True}, [False, False, False]),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_an_operator_ends_sessions_at_every_gateway_and_for_good(replicas, scope):
    one, other, start_other = replicas
    order, expected = SCOPES[scope]
    alice, again, bob = (logged_in(one, f"arrive {name} kept session:{n}") for n, name in enumerate(["alice", "alice", "bob"]))
    seen = len(one.logged(message="decision", session=True))
    assert is_in(alice)
    [of_alice] = one.logged(message="decision", session=True)[seen:]
    answer = revoke(one, order(of_alice["session_id"]))
    assert answer.status == 200 and "the gateway in session.peers is told" in answer.body.decode(), answer.body
    browsers = [alice, again, bob]
    assert [is_in(browser.copy()) for browser in browsers] == expected
    is_told = lambda: [is_in(browser.copy(other)) for browser in browsers] == expected  # noqa: E731
    eventually(is_told, "the other one knows")
    other.stop()
    back = start_other()
    assert [is_in(browser.copy(back)) for browser in browsers] == expected
    assert is_in(logged_in(one)), "whoever logs in again is let in"
    assert one.logged(message="an operator has revoked")


def test_only_who_has_the_token_revokes(start):
    gateway = start()
    browser = logged_in(gateway)
    everybody = {"all": True}
    for order, token, method, status in [
        (everybody, None, "POST", 401),
        (everybody, secrets.token_hex(32), "POST", 401),
        (everybody, TOKEN[:-1], "POST", 401),
        (everybody, TOKEN, "GET", 405),
        (b"", TOKEN, "POST", 400),
        (b"[", TOKEN, "POST", 400),
        ({"all": False}, TOKEN, "POST", 400),
        ({"usr": "alice"}, TOKEN, "POST", 400),
        ({"user": "alice", "all": True}, TOKEN, "POST", 400),
        ({"session": "alice"}, TOKEN, "POST", 400),
        ({"user": "x" * 5000}, TOKEN, "POST", 400),
        ({"authenticator": "scriptd"}, TOKEN, "POST", 422),
    ]:
        answer = revoke(gateway, order, token, method)
        assert answer.status == status, (order, answer.body)
        assert TOKEN not in answer.body.decode()
    assert 'did you mean "scripted"' in answer.body.decode()
    assert is_in(browser) and TOKEN not in gateway.child.output()


def test_without_a_token_nothing_is_revoked(serve, upstream):
    gateway = serve(ADMIN + protected(upstream))
    assert revoke(gateway, {"all": True}).status == 403


def test_the_command_revokes(start, upstream, tmp_path, state):
    admin = '[admin]\nlisten = "unix:admin.sock"\ntoken = "env:TOKEN"\n'
    text = admin + NO_KEY + LOGIN + login(build.guest_component("scripted")) + route(upstream, "scripted")
    folder = tmp_path / "own"
    folder.mkdir()
    gateway = Gateway(folder, LISTEN_ANYWHERE.rstrip() + "\n" + BEHIND_PROXY + text, STATE_DIRECTORY=str(state), TOKEN=TOKEN)
    file = folder / "portcullis.toml"
    command = lambda *words, **variables: run("revoke", *words, "--config", file, folder=folder, **variables)  # noqa: E731
    try:
        browser = logged_in(gateway)
        for words, variables, expected in [
            (["user", "alice"], {}, "admin.token"),
            (["user", "alice"], {"TOKEN": secrets.token_hex(32)}, "expected the token of admin.token"),
            (["session", "alice"], {"TOKEN": TOKEN}, "22 characters"),
            (["authenticator", "hub"], {"TOKEN": TOKEN}, "unknown authenticator"),
        ]:
            done = command(*words, **variables)
            assert done.returncode == 1 and expected in done.stderr, (words, done.stderr)
        assert is_in(browser)
        done = command("user", "alice", TOKEN=TOKEN)
        assert (done.returncode, done.stderr) == (0, "")
        shown = f"    $ portcullis revoke user alice --config portcullis.toml\n    {done.stdout}\n"
        assert shown in (ROOT / "docs/operations.md").read_text()
        assert not is_in(browser)
        for words in [["session"], ["authenticator", "scripted"], ["all"]]:
            browser = logged_in(gateway)
            assert is_in(browser)
            own = [gateway.logged(message="decision")[-1]["session_id"]] if words == ["session"] else []
            done = command(*words, *own, TOKEN=TOKEN)
            assert (done.returncode, done.stderr) == (0, ""), words
            assert not is_in(browser), words
    finally:
        gateway.stop()
    done = command("all", TOKEN=TOKEN)
    assert done.returncode == 1 and "can't be asked at unix:" in done.stderr


# Ended at other gateways


@pytest.fixture
def replicas(request, serve, upstream, tmp_path):
    """Two gateways with the same keys, each of which tells the other. The second can be started again at its address. A parameter is
    more of `[session]`."""
    key = secrets.token_hex(32)

    def replica(own, other, name):
        session = SESSION + f'peers = ["http://127.0.0.1:{other}"]\n' + getattr(request, "param", "")
        return serve(
            config(upstream, session) + PEOPLE + route(upstream, "people", path="/people"),
            server=BEHIND_PROXY,
            listen=f'"127.0.0.1:{own}"',
            KEY=key,
            TOKEN=TOKEN,
            STATE_DIRECTORY=str(tmp_path / f"state-{name}"),
        )

    def both(one, other):
        start_other = lambda: replica(other, one, "other")  # noqa: E731
        return replica(one, other, "one"), start_other(), start_other

    return with_free_ports(2, both)


def test_a_logout_at_one_gateway_counts_at_the_other(replicas):
    one, other, _ = replicas
    browser = logged_in(one)
    there = browser.copy(other)
    assert is_in(there)
    log_out(browser)
    eventually(lambda: not is_in(there.copy()), "the other one knows")
    second = logged_in(other)
    end(other, "session:1")
    eventually(lambda: not is_in(second.copy(one)), "and the other way round")
    assert one.metric("portcullis_session_revocations_told_total", result="ok") >= 1


def test_an_operator_lets_the_other_gateway_ask_anew(replicas):
    """It reuses decisions until it is told."""
    one, other, _ = replicas
    calls = lambda: other.metric("portcullis_authenticator_calls_total", authenticator="people", verdict="grant")  # noqa: E731
    for _ in range(3):
        assert other.send("/people", ALICE).status == 200
    before = calls()
    assert before == 1
    assert b"the gateway in session.peers is told" in revoke(one, {"user": "alice"}).body
    eventually(lambda: other.send("/people", ALICE).status == 200 and calls() > before, "the plugin is asked again")


def test_how_soon_a_session_is_over(replicas):
    """`tests/run e2e -k how_soon -s` prints it: from the answer to a provider's notice until the first refusal."""
    one, other, _ = replicas
    taken = {"the same gateway": [], "another gateway": []}
    for n in range(20):
        browser = logged_in(one, f"arrive alice kept session:{n}")
        seen = {"the same gateway": browser.copy(), "another gateway": browser.copy(other)}
        end(one, f"session:{n}")
        ended = time.monotonic()
        for where, stolen in seen.items():
            while stolen.send("/").status != 401:
                assert time.monotonic() < ended + 10, f"the session goes on at {where}"
            taken[where].append(time.monotonic() - ended)
    for where, times in taken.items():
        print(f"over at {where} after {statistics.median(times) * 1000:.1f} ms, at most {max(times) * 1000:.1f} ms")


def test_a_gateway_that_was_away_is_told_when_it_is_back(replicas):
    one, other, start_other = replicas
    browser, second = logged_in(one), logged_in(one)
    other.stop()
    stolen = browser.copy()
    log_out(browser)
    eventually(lambda: one.logged(level="WARN", peer=other.url), "it says that nobody knows there")
    back = start_other()
    eventually(lambda: not is_in(stolen.copy(back)), "it knows what happened meanwhile", seconds=40)
    assert is_in(second.copy(back))
    eventually(lambda: one.logged(level="INFO", peer=other.url), "and so does the operator")


@pytest.mark.parametrize("replicas", ["revocations = 1\n"], indirect=True)
def test_a_gateway_that_was_away_is_told_also_of_what_has_made_room(replicas):
    """The list of the first has room for one of the two that end meanwhile."""
    one, other, start_other = replicas
    ended = [logged_in(one), logged_in(one)]
    stays = logged_in(one)
    stolen = [browser.copy() for browser in ended]
    other.stop()
    for browser in ended:
        log_out(browser)
    back = start_other()
    for browser in stolen:
        eventually(lambda browser=browser: not is_in(browser.copy(back)), "it knows what happened meanwhile", seconds=40)
    assert is_in(stays.copy(back))


def test_only_who_has_the_keys_ends_a_session(replicas):
    one, _, _ = replicas
    browser = logged_in(one)
    sealed = browser.session
    for method, body, status in [
        ("GET", None, 405),
        ("POST", b"", 403),
        ("POST", b"x" * 100, 403),
        ("POST", sealed.encode(), 403),
        ("POST", b"x" * 9000, 400),
    ]:
        assert one.send(TOLD, {}, method, body).status == status, (method, body)
    assert is_in(browser)


# WebSockets


def echoes(socket):
    socket.send("still here")
    return socket.recv(10) == "still here"


def test_a_websocket_ends_when_its_session_is_ended(start):
    gateway = start()
    browser, other = logged_in(gateway), logged_in(gateway, "arrive bob kept session:2")
    with browser.websocket() as socket, other.websocket() as others:
        assert (socket.recv(10), others.recv(10)) == ("alice", "bob")
        log_out(browser)
        assert is_closed(socket)
        assert echoes(others)
        end(gateway, "session:2")
        assert is_closed(others)
    assert gateway.metric("portcullis_session_connections_ended_total") == 2


def test_a_websocket_ends_when_its_session_is_ended_at_another_gateway(replicas):
    one, other, _ = replicas
    browser = logged_in(one)
    with browser.copy(other).websocket() as socket:
        assert socket.recv(10) == "alice"
        log_out(browser)
        assert is_closed(socket)


def test_a_websocket_goes_on_beyond_a_renewal_and_ends_with_the_age_of_its_session(start):
    gateway = start('[session]\nmax_age = "6s"\n')
    browser = logged_in(gateway, "arrive-for 1 alice arrive-for,60,alice,x")
    with browser.websocket() as socket:
        assert socket.recv(10) == "alice"
        renewed = functools.partial(gateway.metric, "portcullis_session_renewals_total", authenticator="scripted", result="renewed")
        eventually(lambda: is_in(browser) and renewed(), "the session was renewed")
        assert echoes(socket)
        assert is_closed(socket)
    assert not is_in(browser.copy())


@pytest.mark.parametrize(
    "says, result, goes_on",
    [
        ("refuse,unauthenticated", "over", False),
        ("refuse,forbidden", "over", False),
        ("refuse,not-mine", "silent", True),
        ("refuse,unavailable", "kept", True),
        ("panic", "kept", True),
        ("arrive-for,60,alice,x", "renewed", True),
        # The same user with another name, or with groups that the route may not let in.
        ("arrive-for,60,bob,x", "renewed", False),
        ("arrive,alice,0,+staff", "renewed", False),
    ],
)
def test_a_websocket_ends_when_its_login_says_that_its_session_is_over(start, says, result, goes_on):
    """No request comes meanwhile: the login is asked when the session is due."""
    gateway = start()
    browser = logged_in(gateway, f"arrive-for 3 alice {says}")
    with browser.websocket() as socket, browser.websocket() as second:
        assert (socket.recv(10), second.recv(10)) == ("alice", "alice")
        renewals = functools.partial(gateway.metric, "portcullis_session_renewals_total", authenticator="scripted", result=result)
        # What the first learns of the end or of a renewal, the second may have from it.
        asked = 2 if result in ("kept", "silent") else 1
        eventually(lambda: (renewals() or 0) >= asked, "the login was asked")
        if goes_on:
            assert echoes(socket) and echoes(second)
            undecided = "a login could not say whether the session of an open connection goes on"
            told = 2 if result == "kept" else 0
            eventually(lambda: len(gateway.logged(message=undecided, login="scripted")) == told, "the log says so")
        else:
            assert is_closed(socket) and is_closed(second)
            assert is_in(browser.copy()) == (result == "renewed"), "the session itself"
            lines = gateway.logged(message="an upgraded connection is closed because of its session", user="alice", authenticator="scripted")
            assert len(lines) == 2 and all(line["request_id"] and line["session_id"] for line in lines)
            # The other may be told first, and that it was ended.
            assert result == "renewed" or "requested by the test" in [line["why"] for line in lines]


@pytest.mark.parametrize("key, goes_on", [("", False), ('after_change = "continue"\n', True)])
def test_a_websocket_ends_with_the_sessions_of_an_authenticator_that_has_changed(start, upstream, key, goes_on):
    gateway = start(NO_KEY + key)
    browser = logged_in(gateway, "arrive alice kept")
    with browser.websocket() as socket:
        assert socket.recv(10) == "alice"
        changed = config(upstream, NO_KEY + key).replace("settings.begin", 'settings.end = "nowhere"\nsettings.begin')
        reload.reload(gateway, changed, server=BEHIND_PROXY, admin="")
        assert is_in(browser.copy()) == goes_on
        assert echoes(socket) if goes_on else is_closed(socket)


def test_a_websocket_by_credentials_is_bound_to_no_session(serve, upstream):
    text = NO_KEY + 'max_age = "1s"\n' + protected(upstream)
    gateway = serve(text)
    with open_websocket(f"{gateway.url}/websocket", ALICE) as socket:
        assert socket.recv(10) == "alice"
        [(name, value)] = gateway.send("/", ALICE).set_cookies().items()
        cookie = {"Cookie": f"{name}={value}"}
        eventually(lambda: send(gateway.url, "/", cookie).status == 401, "a session of that age is over")
        assert echoes(socket)


# Behind nginx

NGINX = """
daemon off; master_process off; pid nginx.pid; error_log stderr info;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream gateways {{ server {one} max_fails=0; server {other} max_fails=0; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://gateways;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-For $remote_addr;
            # The next one gets what the first one didn't accept.
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""


class Nginx:
    """What a `Browser` needs: a place to send requests to."""

    def __init__(self, folder, *gateways):
        folder.mkdir()
        addresses = [gateway.url.removeprefix("http://") for gateway in gateways]

        def started(port):
            (folder / "nginx.conf").write_text(NGINX.format(one=addresses[0], other=addresses[1], port=port))
            command = [program("nginx"), "-p", folder, "-c", folder / "nginx.conf"]
            self.child = Child(command, folder / "nginx.log", cwd=folder)
            self.url = f"http://127.0.0.1:{port}"
            self.child.wait_until(lambda: listens(port), "nginx listens")

        with_free_ports(1, started)

    def send(self, target="/", headers=(), method="GET", body=None):
        return send(self.url, target, headers, method, body)


def test_sessions_go_on_while_one_of_two_gateways_is_restarted(replicas, tmp_path):
    one, other, start_other = replicas
    front = Nginx(tmp_path / "nginx", one, other)
    try:
        browser = Browser(front)
        # Each step may be served by the other gateway.
        browser.log_in(do="arrive-for 1 alice arrive-for,60,bob,x")
        leaver = Browser(front)
        leaver.log_in(do="arrive carol kept")
        stolen = leaver.copy()
        for _ in range(10):
            assert is_in(browser)
        other.stop()
        for _ in range(10):
            assert is_in(browser)
        log_out(leaver)
        back = start_other()
        for _ in range(10):
            assert is_in(browser)
        eventually(lambda: not is_in(stolen.copy(back)), "the one that was away knows of the logout", seconds=40)
        for _ in range(10):
            assert stolen.open("/").status == 302
        eventually(lambda: values(browser.open("/").json(), "x-forwarded-user") == ["bob"], "the session was renewed")
    finally:
        front.child.stop()
