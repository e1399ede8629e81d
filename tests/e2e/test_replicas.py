"""Two gateways as one service: one is restarted a hundred times behind nginx, and ten thousand sessions outlive the replacement of a key,
and no user notices.
"""

import re
import secrets
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_session_ends import TOKEN, Nginx, revoke

from harness.client import ALICE, basic
from harness.config import PEOPLE, SESSION, whoami
from harness.gateway import ADMIN
from harness.process import eventually, with_free_ports
from harness.redis import Redis
from harness.reload import reload

RESTARTS = 100
SESSIONS = 10_000
AT_ONCE = 100


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


def test_no_request_of_a_user_is_lost_while_a_gateway_is_restarted_a_hundred_times(serve, redis, tmp_path):
    key = secrets.token_hex(32)
    config = f'{ADMIN}token = "env:TOKEN"\n{SESSION}[shared_state]\nurl = "{redis.url}"\n{PEOPLE}{whoami("people")}'

    def started(port):
        return serve(config, listen=f'"127.0.0.1:{port}"', KEY=key, TOKEN=TOKEN, STATE_DIRECTORY=str(tmp_path / f"state-{port}"))

    one, port, other = with_free_ports(2, lambda *ports: (started(ports[0]), ports[1], started(ports[1])))
    front = Nginx(tmp_path / "nginx", one, other)
    try:
        seen, stop = Counter(), threading.Event()
        users = [session(front.send("/", basic(name))) for name in ("alice", "bob")]

        def use(cookie):
            while not stop.is_set():
                seen[front.send("/", cookie).status] += 1

        with ThreadPoolExecutor(len(users)) as pool:
            used = [pool.submit(use, cookie) for cookie in users]
            try:
                for _ in range(RESTARTS):
                    other.stop()
                    other = started(port)
            finally:
                stop.set()
            for each in used:
                each.result()
        assert set(seen) == {200} and seen[200] > RESTARTS, seen
        # It does what the other one tells it.
        assert revoke(one, {"user": "alice"}).status == 200
        eventually(lambda: [other.send("/", cookie).status for cookie in users] == [401, 200], "the one that was restarted is told")
    finally:
        front.child.stop()


def test_ten_thousand_sessions_outlive_the_replacement_of_a_key(serve):
    """In the order of the documentation: the new key in last place everywhere, then in first place, then alone."""
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    config = lambda *keys: f"[session]\nkeys = {[f'env:{key}' for key in keys]}\n{PEOPLE}{whoami('people')}"  # noqa: E731
    one, other = (serve(ADMIN + config("OLD"), OLD=old, NEW=new) for _ in range(2))
    statuses, cookies = ask(one, [basic(f"user{n}") for n in range(SESSIONS)])
    assert statuses == Counter({200: SESSIONS}) and len({each["Cookie"] for each in cookies}) == SESSIONS
    for keys in (["OLD", "NEW"], ["NEW", "OLD"]):
        reload(one, config(*keys))
        # The other one has the keys of before still.
        for gateway in (one, other):
            assert ask(gateway, cookies)[0] == Counter({200: SESSIONS}), (keys, gateway)
            younger = session(gateway.send("/", ALICE))
            assert one.send("/", younger).status == other.send("/", younger).status == 200
        reload(other, config(*keys))
    younger = session(one.send("/", ALICE))
    for gateway in (one, other):
        reload(gateway, config("NEW"))
        assert ask(gateway, cookies[:AT_ONCE])[0] == Counter({401: AT_ONCE})
        assert gateway.send("/", younger).status == 200


def session(answer):
    [(name, value)] = answer.set_cookies().items()
    return {"Cookie": f"{name}={value}"}


def ask(gateway, headers):
    """Asks with each of these headers, many at once on one connection. Returns how often each status came, and the sessions."""
    statuses, sessions = Counter(), []
    with gateway.open() as wire:
        for start in range(0, len(headers), AT_ONCE):
            some = headers[start : start + AT_ONCE]
            lines = ("".join(f"{name}: {value}\r\n" for name, value in each.items()) for each in some)
            wire.sendall("".join(f"GET / HTTP/1.1\r\nHost: gateway\r\n{each}\r\n" for each in lines).encode())
            answers = b""
            while len(found := re.findall(rb"HTTP/1\.1 (\d+) ", answers)) < len(some) or not answers.rstrip().endswith(b"}"):
                received = wire.recv(1 << 16)
                assert received, "the gateway has closed the connection"
                answers += received
            statuses.update(map(int, found))
            sessions += [{"Cookie": each.decode()} for each in re.findall(rb"set-cookie: ([^;]+)", answers)]
    return statuses, sessions
