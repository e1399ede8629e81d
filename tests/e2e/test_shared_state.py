"""State that gateways share by Redis: caches of plugins, rates of clients, and which sessions are over; and what becomes of requests when
the server is killed, stopped, slow or full, when its replica replaces it, and when it rejects the password.
"""

import contextlib
import secrets
import threading

import pytest
from test_session_ends import TOKEN, end, is_in, log_out, logged_in, revoke

from harness import build
from harness.browser import BEHIND_PROXY, LOGIN, Browser, login
from harness.client import ALICE, send
from harness.config import PEOPLE, SESSION, protected, route
from harness.gateway import ADMIN, LISTEN_ANYWHERE, run
from harness.hostile import instruct
from harness.process import eventually
from harness.redis import Cluster, FarAway, Redis, WithSentinel

KEY = secrets.token_hex(32)

AUTHENTICATOR = """
[authenticators.{name}]
plugin = "{prober}"
[authenticators.{name}.grants]
headers = ["x-do"]
"""


@pytest.fixture
def redis(tmp_path):
    server = Redis(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def prober():
    return build.guest_component("prober")


@pytest.fixture
def start(serve, upstream, prober, tmp_path):
    """Starts a gateway that shares this state. `more` are lines of its section, and `rate` is that of its authenticator `rated`."""
    number = iter(range(100))

    def started(url, more="", rate="1000/s", **options):
        config = f"""
{ADMIN}token = "env:TOKEN"
{SESSION}
[shared_state]
url = "{url}"
{more}
{LOGIN}
{login(build.guest_component("scripted"))}
{"".join(AUTHENTICATOR.format(name=name, prober=prober) for name in ("prober", "other", "rated"))}
[authenticators.rated.limits]
rate = "{rate}"
{PEOPLE}
{route(upstream, "scripted")}
{route(upstream, "prober", path="/probed")}
{route(upstream, "other", path="/other")}
{route(upstream, "rated", path="/rated")}
{route(upstream, "people", path="/people")}
"""
        state = str(tmp_path / f"state-{next(number)}")
        return serve(config, server=BEHIND_PROXY, **({"KEY": KEY, "TOKEN": TOKEN, "STATE_DIRECTORY": state} | options))

    return started


def ask(gateway, what, path="/probed"):
    """The status of the plugin's answer."""
    return gateway.send(path, instruct(what)).status


def up(gateway):
    return gateway.metric("portcullis_shared_state_up")


def lost(gateway):
    eventually(lambda: ask(gateway, "recall nothing") == 403 and up(gateway) == 0, "the gateway has noticed")


def back(gateway):
    eventually(lambda: up(gateway) == 1, "the server is back")


@contextlib.contextmanager
def clients(*gateways):
    """Four clients of each gateway that ask all the time. Half of their requests ask a plugin for what it has stored, the others don't
    need the server. Yields the list to which they add the statuses."""
    statuses, stop = [], threading.Event()

    def requests(gateway):
        while not stop.is_set():
            statuses.append(ask(gateway, "recall k"))
            statuses.append(gateway.send("/people", ALICE).status)

    threads = [threading.Thread(target=requests, args=(gateway,)) for gateway in gateways for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def leave(browser):
    """Logs out. Returns the same cookies in another browser, as somebody has them who has stolen them."""
    stolen = browser.copy()
    log_out(browser)
    return stolen


# What is shared


def test_a_plugin_finds_at_one_gateway_what_it_has_stored_at_another(start, redis):
    one, other = start(redis.url), start(redis.url)
    assert ask(one, "remember k") == 200
    assert ask(other, "recall k") == 200
    # Another plugin has another cache, also of the same component.
    assert ask(other, "recall k", "/other") == 403
    assert ask(one, "recall k", "/other") == 403
    assert ask(other, "recall nothing") == 403


def test_a_young_value_costs_no_question(start, redis):
    near, far = start(redis.url, 'near = "1h"'), start(redis.url, 'near = "0s"')
    assert ask(near, "remember k") == 200
    before = redis.count("get")
    for _ in range(5):
        assert ask(near, "recall k") == 200
    assert near.metric("portcullis_shared_state_requests_total", operation="get", result="near") == 5
    # Beside that, the server is only asked whether it is there.
    assert near.metric("portcullis_shared_state_requests_total", operation="get", result="ok") in (None, 0)
    for _ in range(5):
        assert ask(far, "recall k") == 200
    assert redis.count("get") >= before + 5
    assert far.metric("portcullis_shared_state_requests_total", operation="get", result="ok") == 5


def test_caches_and_rates_are_shared_as_configured(start, redis):
    one, other = start(redis.url, "caches = false"), start(redis.url, "caches = false")
    assert ask(one, "remember k") == 200 and ask(one, "recall k") == 200
    assert ask(other, "recall k") == 403


def test_a_client_has_one_rate_at_all_gateways(start, redis):
    one, other = start(redis.url, rate="40/h"), start(redis.url, rate="40/h")
    for _ in range(40):
        assert ask(one, "nothing", "/rated") == 200
    assert ask(one, "nothing", "/rated") == 429
    # What one has counted, the other knows after its own first question at the latest.
    eventually(lambda: redis.count("eval") >= 1, "the server was told")
    statuses = []
    eventually(lambda: statuses.append(ask(other, "nothing", "/rated")) or statuses[-1] == 429, "the other one counts it, too")
    assert statuses.count(200) < 40, statuses


def test_rates_are_those_of_a_gateway_alone_if_it_is_told_so(start, redis):
    gateways = [start(redis.url, "rates = false", rate="2/h") for _ in range(2)]
    for gateway in gateways:
        assert [ask(gateway, "nothing", "/rated") for _ in range(3)] == [200, 200, 429]


def test_rates_are_those_of_a_gateway_alone_while_the_server_is_lost(start, redis):
    gateway = start(redis.url, rate="2/h")
    redis.kill()
    lost(gateway)
    assert [ask(gateway, "nothing", "/rated") for _ in range(3)] == [200, 200, 429]
    redis.start()
    back(gateway)
    assert ask(gateway, "nothing", "/rated") == 429, "nothing is forgotten"


def test_a_session_that_ends_at_one_gateway_ends_at_all(start, redis):
    one, other = start(redis.url), start(redis.url)
    browser, second, third = logged_in(one), logged_in(one, "arrive bob kept session:2"), logged_in(one)
    stolen = leave(browser)
    eventually(lambda: not is_in(stolen.copy(other)), "a logout")
    end(other, "session:2")
    eventually(lambda: not is_in(second), "a notice of the provider")
    assert is_in(third) and is_in(third.copy(other))
    answer = revoke(other, {"user": "alice"})
    assert answer.status == 200 and b"the gateways that share its state are told" in answer.body
    eventually(lambda: not is_in(third), "an operator")
    # One that comes later knows, too.
    late = start(redis.url)
    eventually(lambda: not is_in(third.copy(late)), "the one that has just started")


def test_an_operator_lets_all_gateways_ask_anew(start, redis):
    one, other = start(redis.url), start(redis.url)
    calls = lambda: other.metric("portcullis_authenticator_calls_total", authenticator="people", verdict="grant") or 0  # noqa: E731
    for _ in range(3):
        assert other.send("/people", ALICE).status == 200
    before = calls()
    revoke(one, {"user": "alice"})
    eventually(lambda: other.send("/people", ALICE).status == 200 and calls() > before, "the plugin is asked again")


def test_gateways_without_sessions_are_told_too(serve, redis, upstream):
    config = f'{ADMIN}token = "env:TOKEN"\n[shared_state]\nurl = "{redis.url}"\nkeys = ["env:KEY"]\n{protected(upstream)}'
    environment = {"KEY": KEY, "TOKEN": TOKEN}
    one, other = (serve(config, **environment) for _ in range(2))
    calls = lambda: other.metric("portcullis_authenticator_calls_total", authenticator="people", verdict="grant") or 0  # noqa: E731
    assert other.send("/", ALICE).status == 200
    before = calls()
    assert b"There are no sessions" in revoke(one, {"user": "alice"}).body
    eventually(lambda: other.send("/", ALICE).status == 200 and calls() > before, "the plugin is asked again")


def test_the_server_learns_nothing_of_users(start, redis):
    gateway = start(redis.url)
    browser = logged_in(gateway)
    ask(gateway, "remember alice-secret")
    revoke(gateway, {"user": "alice"})
    log_out(browser)
    eventually(lambda: redis.say("EXISTS", "portcullis:revocations") == "1", "it was told")
    found = redis.everything()
    assert len(found) > 100
    for secret in (b"alice", b"secret", b"prober", b"scripted"):
        assert secret not in found


def test_gateways_with_other_keys_or_another_prefix_share_nothing(start, redis):
    one = start(redis.url)
    others = [start(redis.url, KEY=secrets.token_hex(32)), start(redis.url, 'prefix = "elsewhere"')]
    assert ask(one, "remember k") == 200
    for other in others:
        assert ask(other, "recall k") == 403
    # A gateway ignores entries that it can't open.
    revoke(one, {"all": True})
    assert ask(others[0], "remember other") == 200 and ask(others[0], "recall other") == 200


def test_a_reload_takes_up_another_server(serve, redis, tmp_path, start):
    second = Redis(tmp_path / "second")
    try:
        gateway = start(redis.url)
        other = start(second.url)
        assert ask(other, "remember k") == 200 and ask(gateway, "recall k") == 403
        file = gateway.child.log.parent / "portcullis.toml"
        file.write_text(file.read_text().replace(redis.url, second.url))
        eventually(lambda: ask(gateway, "recall k") == 200, "it has the other one's values")
        redis.kill()
        assert ask(gateway, "recall k") == 200 and up(gateway) == 1
    finally:
        second.stop()


def test_a_reload_changes_how_long_revocations_are_kept(start, redis):
    gateway = start(redis.url)
    kept = lambda: max((int(redis.say("PTTL", name)) for name in redis.say("KEYS", "*").splitlines()), default=0)  # noqa: E731
    revoke(gateway, {"user": "alice"})
    eventually(lambda: kept() > 0, "it is told")
    before, hour = kept(), 3600 * 1000
    file = gateway.child.log.parent / "portcullis.toml"
    file.write_text(file.read_text().replace("[session]", '[session]\nmax_age = "30d"'))
    eventually(lambda: revoke(gateway, {"user": "bob"}).status == 200 and kept() > 29 * 24 * hour, "it is told with the new age")
    assert before < 29 * 24 * hour


# How it is reached


def test_a_password_a_user_and_tls(start, tmp_path, authority):
    certificate, key = authority.issue("redis")
    server = Redis(tmp_path / "secure", tls=(authority.ca, certificate, key), password="a password")
    try:
        acl = "on >other-password ~portcullis:* +get +set +del +eval +time +xadd +xread +xtrim +pexpire +ping +info +client|setname +hello".split()
        server.say("ACL", "SETUSER", "portcullis", *acl)
        for user, password in [("", "a password"), ("portcullis@", "other-password")]:
            secret = tmp_path / f"redis.password-{len(user)}"
            secret.touch(mode=0o600)
            secret.write_text(password)
            more = f'password = "file:{secret}"\nca = "{authority.ca}"'
            one, other = (start(server.url.replace("//", f"//{user}"), more) for _ in range(2))
            assert ask(one, f"remember {user}") == 200 and ask(other, f"recall {user}") == 200
            stolen = leave(logged_in(one))
            eventually(lambda: not is_in(stolen.copy(other)), "it is told")  # noqa: B023
            assert ask(one, "nothing", "/rated") == 200
            eventually(lambda: one.metric("portcullis_shared_state_requests_total", operation="charge", result="ok"), "rates work, too")  # noqa: B023
    finally:
        server.stop()


@pytest.mark.parametrize("kind", [Cluster, WithSentinel])
def test_a_cluster_and_a_sentinel(start, tmp_path, kind):
    servers = kind(tmp_path / "servers")
    try:
        one, other = start(servers.url), start(servers.url)
        for n in range(20):
            assert ask(one, f"remember {n}") == 200 and ask(other, f"recall {n}") == 200
        stolen = leave(logged_in(one))
        eventually(lambda: not is_in(stolen.copy(other)), "it is told")
    finally:
        servers.stop()


def test_a_replica_takes_the_place_of_its_server(start, tmp_path):
    servers = WithSentinel(tmp_path / "servers")
    try:
        one, other = start(servers.url), start(servers.url)
        early, late = logged_in(one), logged_in(one)
        early = leave(early)
        servers.fail_over()
        late = leave(late)
        eventually(lambda: up(one) == 1 and ask(one, "remember k") == 200 and ask(other, "recall k") == 200, "both use the replica", seconds=30)
        eventually(lambda: not is_in(late.copy(other)), "it is told by the replica", seconds=30)
        assert not is_in(early.copy(other))
    finally:
        servers.stop()


def test_servers_that_others_keep_busy_fail_over(start, tmp_path):
    """Other programs write and read as fast as they can, and clients of the gateways ask meanwhile."""
    servers = WithSentinel(tmp_path / "servers")
    try:
        one, other = start(servers.url), start(servers.url)
        assert ask(one, "remember k") == 200
        browser = logged_in(one)
        with contextlib.ExitStack() as busy:
            busy.enter_context(servers.first.load())
            statuses = busy.enter_context(clients(one, other))
            eventually(lambda: len(statuses) > 200, "the clients ask")
            servers.fail_over()
            busy.enter_context(servers.second.load())
            stored = lambda: ask(one, "remember k") == 200 and ask(other, "recall k") == 200  # noqa: E731
            eventually(lambda: up(one) == up(other) == 1 and stored(), "both use the replica", seconds=60)
            before = len(statuses)
            eventually(lambda: len(statuses) > before + 200, "the clients go on")
        assert set(statuses) <= {200, 403} and statuses.count(200) > len(statuses) / 2
        assert is_in(browser)
    finally:
        servers.stop()


def test_a_sentinel_and_its_servers_have_passwords(start, tmp_path):
    servers = WithSentinel(tmp_path / "servers", password="of-the-servers", sentinel_password="of-the-sentinel")
    try:
        more = 'password = "env:PASSWORD"\nsentinel_password = "env:SENTINEL"'
        right = {"PASSWORD": "of-the-servers", "SENTINEL": "of-the-sentinel"}
        one, other = (start(servers.url, more, **right) for _ in range(2))
        assert ask(one, "remember k") == 200 and ask(other, "recall k") == 200
        alone = start(servers.url, more, **(right | {"SENTINEL": "wrong"}))
        assert ask(alone, "remember k") == 200 and ask(alone, "recall k") == 200 and up(alone) == 0
        eventually(lambda: "Failed to connect to all sentinel nodes" in alone.child.output(), "it says so")
        assert "of-the" not in alone.child.output()
        servers.fail_over()
        eventually(lambda: up(one) == 1 and ask(one, "remember l") == 200 and ask(other, "recall l") == 200, "both use the replica", seconds=30)
    finally:
        servers.stop()


@pytest.mark.parametrize(("password", "said"), [("wrong", "WRONGPASS"), (None, "NOAUTH")])
def test_a_wrong_password_is_told_and_nothing_waits(start, tmp_path, password, said):
    server = Redis(tmp_path / "redis", password="right")
    try:
        more = 'password = "env:PASSWORD"' if password else ""
        gateway = start(server.url, more, PASSWORD="wrong")
        assert ask(gateway, "remember k") == 200 and ask(gateway, "recall k") == 200
        eventually(lambda: said in gateway.child.output(), "it says why")
        assert "right" not in gateway.child.output()
        server.say("CONFIG", "SET", "requirepass", password or "")
        server.password = password
        back(gateway)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", 'the key "url" is missing'),
        ('url = "redis://user:secret@127.0.0.1"', "the URL has a password"),
        ('url = "http://127.0.0.1"', "redis://HOST:PORT"),
        ('url = "redis://127.0.0.1"\npassword = "secret"', "file:PATH"),
        ('url = "redis://127.0.0.1"\nca = "portcullis.toml"', "rediss"),
        ('url = "redis://127.0.0.1"\npatience = "1s"', "50ms"),
        ('url = "redis://127.0.0.1"\nprefix = "a b"', "1 to 64"),
        ('url = "redis://127.0.0.1"\nkeys = []', "at least one key"),
        ('url = "redis://127.0.0.1"\nrevocations = true', "unknown key"),
        ('url = "redis://127.0.0.1"', "the same keys"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, upstream, lines, said):
    done = run("check", folder=tmp_path, config=f"{LISTEN_ANYWHERE}[shared_state]\n{lines}\n{protected(upstream)}")
    assert done.returncode == 1 and "shared_state" in done.stderr and said in done.stderr, done.stderr
    assert "secret" not in done.stderr.replace("a secret", "")


def test_check_asks_no_server(tmp_path, upstream):
    done = run("check", folder=tmp_path, config=f'{LISTEN_ANYWHERE}[shared_state]\nurl = "redis://127.0.0.1:1"\nkeys = ["env:KEY"]\n{protected(upstream)}', KEY=KEY)
    assert done.returncode == 0, done.stderr


# When it is lost


def test_a_killed_server_costs_nobody_a_request(start, redis):
    gateway = start(redis.url)
    assert ask(gateway, "remember k") == 200
    browser = logged_in(gateway)
    with clients(gateway) as statuses:
        for _ in range(3):
            redis.kill()
            eventually(lambda: up(gateway) == 0, "the gateway has noticed")
            redis.start()
            back(gateway)
            ask(gateway, "remember k")
    assert len(statuses) > 100
    # While it is empty, the plugin has forgotten. That is an answer, and no failure.
    assert set(statuses) <= {200, 403} and statuses.count(200) > len(statuses) / 2
    assert is_in(browser)


def test_what_is_known_stays_and_what_is_stored_meanwhile_counts_here(start, redis):
    one, other = start(redis.url, 'near = "0s"'), start(redis.url, 'near = "0s"')
    assert ask(one, "remember before") == 200 and ask(other, "recall before") == 200
    redis.kill()
    lost(one)
    lost(other)
    assert ask(one, "remember meanwhile") == 200
    assert ask(one, "recall before") == 200 and ask(one, "recall meanwhile") == 200
    assert ask(other, "recall before") == 200 and ask(other, "recall meanwhile") == 403
    ready = one.metric("portcullis_shared_state_up"), one_problems(one)
    assert ready == (0, [{"part": "shared state", "problem": "its server doesn't answer, so caches and rates are those of this gateway alone"}])
    redis.start()
    back(one)
    # It would hide what others have stored.
    assert ask(one, "recall meanwhile") == 403
    assert one_problems(one) == []


def one_problems(gateway):
    return send(gateway.admin_url, "/readyz").json()["problems"]


@pytest.mark.parametrize("how", ["stopped", "slow"])
def test_a_server_that_does_not_answer_is_waited_for_once(start, redis, how):
    gateway = start(redis.url, 'near = "0s"')
    assert ask(gateway, "remember k") == 200
    if how == "stopped":
        redis.pause()
    else:
        redis.say("CLIENT", "PAUSE", "20000", "ALL")
    for _ in range(50):
        assert ask(gateway, "recall k") == 200
    assert up(gateway) == 0
    # A call has waited, and those that came with it: never fifty.
    assert gateway.metric("portcullis_shared_state_requests_total", operation="get", result="failed") <= 2
    assert [line["why"] for line in gateway.logged(level="WARN") if "shared state is lost" in line["message"]] == ["it did not answer within 50 ms"]
    redis.resume()
    if how == "slow":
        redis.kill()
        redis.start()
    back(gateway)


def test_an_answer_that_is_late_counts(start, redis):
    """As long as it comes within `patience`. On a busy machine it may not, and is then asked for again."""
    with FarAway(redis, seconds=0.03) as way:
        one, other = (start(way.url, 'near = "0s"') for _ in range(2))
        eventually(lambda: up(one) == 1 and ask(one, "remember k") == 200 and ask(other, "recall k") == 200, "it is shared all the same")
        answered = {"operation": "get", "result": "ok"}
        assert other.metric("portcullis_shared_state_requests_total", **answered) >= 1
        assert other.metric("portcullis_shared_state_seconds_sum", operation="get") >= 0.03


def test_an_answer_that_is_too_late_is_not_waited_for_again(start, redis):
    with FarAway(redis) as way:
        gateway = start(way.url, 'near = "0s"')
        assert ask(gateway, "remember k") == 200 and ask(gateway, "recall k") == 200
        way.seconds = 0.08
        lost(gateway)
        for _ in range(50):
            # What it knows itself counts.
            assert ask(gateway, "recall k") == 200
        assert up(gateway) == 0
        # A call has waited, and on a busy machine that thinks of the time too late another one: never fifty.
        assert gateway.metric("portcullis_shared_state_requests_total", operation="get", result="failed") <= 2
        told = [line["why"] for line in gateway.logged(level="WARN") if "shared state is lost" in line["message"]]
        assert set(told) == {"it did not answer within 50 ms"} and len(told) <= 2
        way.seconds = 0.0
        back(gateway)
        assert ask(gateway, "recall k") == 200


def test_a_full_server_refuses_and_is_asked_again(start, redis):
    one, other = start(redis.url), start(redis.url)
    assert ask(one, "remember before") == 200
    browser = logged_in(one)
    redis.say("CONFIG", "SET", "maxmemory", "1")
    assert ask(one, "remember k") == 200 and ask(one, "recall k") == 403
    assert ask(other, "recall before") == 200
    assert up(one) == 1
    assert one.metric("portcullis_shared_state_requests_total", operation="set", result="failed") == 1
    [line] = [line for line in one.logged(level="WARN") if "refuses" in line["message"]]
    assert line["why"].startswith("OOM")
    stolen = leave(browser)
    assert is_in(stolen.copy(other))
    redis.say("CONFIG", "SET", "maxmemory", "0")
    eventually(lambda: not is_in(stolen.copy(other)), "it is told when there is room")
    assert ask(one, "remember k") == 200 and ask(other, "recall k") == 200


def test_what_ended_while_the_server_was_away_is_told_when_it_is_back_and_empty(start, redis):
    one, other = start(redis.url), start(redis.url)
    early, late, stays = logged_in(one), logged_in(one), logged_in(one)
    early = leave(early)
    eventually(lambda: not is_in(early.copy(other)), "it is told")
    redis.kill()
    late = leave(late)
    assert is_in(late.copy(other)) and is_in(stays.copy(other))
    redis.start()
    eventually(lambda: not is_in(late.copy(other)), "it is told afterwards")
    newcomer = start(redis.url)
    eventually(lambda: not is_in(early.copy(newcomer)) and not is_in(late.copy(newcomer)), "everything is there again")
    assert is_in(stays.copy(newcomer))


def test_after_a_while_no_session_is_accepted(start, redis):
    gateway = start(redis.url, 'stale_revocations = "0s"')
    browser = logged_in(gateway)
    assert gateway.send("/people", ALICE).status == 200
    redis.kill()
    answer = eventually(lambda: (answer := browser.open("/")).status == 503 and answer, "it isn't known any more who is in")
    assert answer.header("retry-after") == "5"
    assert gateway.metric("portcullis_sessions_uncertain") == 1
    assert {"part": "sessions", "problem": "none is accepted, because the shared state has been lost for too long (stale_revocations)"} in one_problems(gateway)
    calls = lambda: gateway.metric("portcullis_authenticator_calls_total", authenticator="people", verdict="grant")  # noqa: E731
    before = calls()
    for n in range(1, 4):
        # Credentials count as ever, and are checked each time.
        assert gateway.send("/people", ALICE).status == 200
        assert calls() == before + n
    redis.start()
    eventually(lambda: is_in(browser), "it is known again")
    assert gateway.metric("portcullis_sessions_uncertain") == 0


def test_a_gateway_starts_without_its_server(start, redis):
    redis.kill()
    gateway = start(redis.url)
    assert ask(gateway, "remember k") == 200 and ask(gateway, "recall k") == 200
    browser = Browser(gateway)
    browser.log_in()
    eventually(lambda: is_in(browser), "the server is given up")
    redis.start()
    back(gateway)
    assert is_in(browser)
