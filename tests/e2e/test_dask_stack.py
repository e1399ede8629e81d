"""dask-gateway whole, through one TLS port of Portcullis: API, schedulers, dashboards, and the schedulers' own reports.

Both programs run with the files of `docs/dask-gateway`; nothing here knows another address of dask-gateway's, but where a
test says so to show what would be without Portcullis.
"""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import aiohttp
import cloudpickle
import pytest
from dask_gateway.auth import BasicAuth, JupyterHubAuth
from websockets.exceptions import InvalidStatus

from harness.chromium import chromium
from harness.client import basic, bearer, open_websocket, send
from harness.dask_server import Bearer, compute_a_sum
from harness.process import eventually

# What runs in a scheduler goes there as it is: this module isn't there.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SUM = sum(range(1000))
CLUSTERS = "/api/v1/clusters/"


@pytest.fixture(scope="module")
def auth(dask_stack, hub, provider):
    """Fresh credentials of each kind of user."""
    return {
        "jwt": lambda: Bearer(lambda: provider.user_token("alice")),
        "jupyterhub": lambda: JupyterHubAuth(hub.token("alice")),
        "simple": lambda: BasicAuth("carol", dask_stack.team),
    }


@pytest.mark.parametrize("kind", ["jwt", "jupyterhub", "simple"])
def test_a_user_computes_through_the_one_address(dask_stack, auth, kind):
    with dask_stack.client(auth[kind]()) as client:
        assert client.list_clusters() == []
        assert compute_a_sum(client) == SUM
        assert client.list_clusters() == []


SCRIPT = """
import sys
from dask_gateway import Gateway
from dask_gateway.auth import BasicAuth

with Gateway(sys.argv[1], auth=BasicAuth("dave", sys.argv[2])) as gateway:
    with gateway.new_cluster(shutdown_on_close=True) as cluster:
        cluster.adapt(minimum=1, maximum=1)
        with cluster.get_client() as client:
            print(client.submit(sum, range(1000)).result(timeout=60))
"""


def test_a_program_of_a_users_own_needs_nothing_but_the_address(dask_stack):
    environment = os.environ | {"SSL_CERT_FILE": str(dask_stack.authority.ca)}
    words = [sys.executable, "-c", SCRIPT, dask_stack.url, dask_stack.team]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.stdout.split() == [str(SUM)], ran.stderr[-4000:]


USERS = {
    "jwt": {"name": "alice", "groups": ["ml", "staff"], "admin": False},
    "jupyterhub": {"name": "alice", "groups": ["ml", "staff"], "admin": False},
    "simple": {"name": "carol", "groups": [], "admin": False},
}


@pytest.mark.parametrize("kind", USERS)
def test_the_options_of_a_cluster_depend_on_the_user(dask_stack, auth, kind):
    with dask_stack.client(auth[kind]()) as client:
        assert json.loads(client.cluster_options().user) == USERS[kind]


def test_an_administrator_is_admin_in_dask_gateway(dask_stack, hub):
    with dask_stack.client(JupyterHubAuth(hub.token("root-admin", scopes=["access:services", "admin:users"]))) as client:
        assert json.loads(client.cluster_options().user)["admin"] is True


@pytest.mark.parametrize("name", ["müller", "Ελένη", "a b", "alice@example.com", "x,y", "q\"u'o"])
def test_names_of_every_kind_arrive(dask_stack, name):
    answer = dask_stack.send("/api/v1/options", basic(name, dask_stack.team))
    [option] = answer.json()["cluster_options"]
    assert json.loads(option["default"])["name"] == name


def test_a_name_with_a_colon_arrives(dask_stack, hub):
    with dask_stack.client(JupyterHubAuth(hub.service_tokens["etl"])) as client:
        assert json.loads(client.cluster_options().user)["name"] == "service:etl"


def test_a_group_with_a_comma_is_one_group(dask_stack, provider):
    token = provider.sign(provider.claims(groups=["a,b", "c%2C", "größe"]))
    with dask_stack.client(Bearer(lambda: token)) as client:
        assert json.loads(client.cluster_options().user)["groups"] == ["a,b", "c%2C", "größe"]


@pytest.mark.parametrize("headers", [{}, basic("carol", "wrong"), {"X-Forwarded-User": "carol"}])
def test_requests_without_valid_credentials_are_refused(dask_stack, headers):
    for method, path in [("GET", CLUSTERS), ("POST", CLUSTERS), ("GET", "/api/v1/options"), ("GET", "/clusters/x/status")]:
        assert dask_stack.send(path, headers, method=method).status == 401


def test_the_secret_of_the_gateways_own_opens_nothing_for_a_client(dask_stack):
    """Known or not: Portcullis lets no client say it."""
    forged = {
        "X-Forwarded-User": "mallory",
        "X-Portcullis-Secret": dask_stack.secret,
        "X_Portcullis_Secret": dask_stack.secret,
    }
    assert dask_stack.send(CLUSTERS, forged).status == 401
    direct = send(
        dask_stack.server.url, CLUSTERS, {"X-Forwarded-User": "mallory", "X-Portcullis-Secret": dask_stack.secret}
    )
    assert direct.status == 200, "dask-gateway believes it: otherwise this test would prove nothing"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-User": "mallory"},
        {"X-Forwarded-User": "mallory", "X-Portcullis-Secret": ""},
        {"X-Forwarded-User": "mallory", "X-Portcullis-Secret": "0" * 64},
        [("X-Forwarded-User", "mallory"), ("X-Portcullis-Secret", "{}"), ("X-Portcullis-Secret", "{}")],
        [("X-Forwarded-User", "mallory"), ("X-Forwarded-User", "alice"), ("X-Portcullis-Secret", "{}")],
        {"X-Portcullis-Secret": "{}"},
        basic("mallory"),
        {"Cookie": "dask-gateway=1"},
    ],
)
def test_dask_gateway_refuses_identities_from_others(dask_stack, headers):
    pairs = [(name, value.format(dask_stack.secret)) for name, value in dict(headers).items()]
    if isinstance(headers, list):
        pairs = [(name, value.format(dask_stack.secret)) for name, value in headers]
    assert send(dask_stack.server.url, CLUSTERS, pairs).status == 401


# One cluster of alice's, for all that follows


@pytest.fixture(scope="module")
def cluster(dask_stack, provider):
    with dask_stack.client(Bearer(lambda: provider.user_token("alice"))) as client:
        with client.new_cluster(shutdown_on_close=True) as running:
            yield running


LOADED = "window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents[0].roots().length > 0"
"""A page of Bokeh gets its document by a WebSocket."""


KEEP_SOCKETS = """
    var sockets = [];
    WebSocket = class extends WebSocket {
        constructor(...of) { super(...of); sockets.push(this); }
    };
"""
"""Lets a test see the WebSockets that a page opens."""


@contextmanager
def at_the_dashboard(dask_stack, cluster, folder, name="alice"):
    """A browser in which somebody has followed the link to the dashboard, and has logged in at the hub. Its page, and the link."""
    options = [f"--host-resolver-rules=MAP gateway.example {dask_stack.address}", "--ignore-certificate-errors"]
    link = f"https://gateway.example/clusters/{cluster.name}/status"
    with chromium(folder, *options) as page:
        page.first(KEEP_SOCKETS)
        page.go(link)
        page.until("location.pathname == '/hub/login' && document.querySelector('#username_input') != null")
        page.run(f"document.querySelector('#username_input').value = '{name}'")
        page.run("document.querySelector('form').submit()")
        page.until(f"location.href == '{link}'")
        yield page, link


@pytest.mark.parametrize("name, shown", [("alice", LOADED), ("carol", "document.body.innerText.includes('Forbidden')")])
def test_a_dashboard_opens_in_a_browser_after_a_login_at_the_hub(dask_stack, cluster, tmp_path, name, shown):
    """With its WebSocket. Somebody else gets 403, and no dashboard."""
    with at_the_dashboard(dask_stack, cluster, tmp_path, name) as (page, _):
        page.until(shown)


@pytest.mark.parametrize("where", ["hub", "gateway"])
def test_a_logout_ends_the_dashboard(dask_stack, cluster, hub, tmp_path, where):
    """At the hub: when it is asked again. At the gateway: at once, and at the hub too."""
    with at_the_dashboard(dask_stack, cluster, tmp_path) as (page, link), page.tab() as other:
        page.until(f"{LOADED} && sockets[0].readyState == WebSocket.OPEN")
        if where == "hub":
            other.go(f"{hub.public_api_url.removesuffix('/api')}/logout")
        else:
            other.go("https://gateway.example/.portcullis/logout")
            other.until("document.querySelector('button') != null")
            other.run("document.querySelector('button').click()")
        other.until("location.pathname == '/hub/login'")
        page.until("sockets.every(socket => socket.readyState == WebSocket.CLOSED)")
        page.go(link)
        page.until("location.pathname == '/hub/login'")


@pytest.fixture
def alice(provider):
    return bearer(provider.user_token("alice"))


@pytest.fixture
def bob(provider):
    return bearer(provider.user_token("bob"))


def test_a_dashboard_is_its_owners_alone(dask_stack, cluster, alice, bob):
    # Without bokeh the scheduler has no page at /status, but it has this one.
    page = f"/clusters/{cluster.name}/info/main/workers.html"
    answer = dask_stack.send(page, alice)
    assert (answer.status, b"Scheduler" in answer.body) == (200, True)
    assert dask_stack.send(page, bob).status == 403
    assert dask_stack.send(page).status == 401
    assert dask_stack.send(page.replace(cluster.name, "0" * 32), alice).status == 404
    direct = send(dask_stack.server.url, page)
    assert direct.status == 200, "without Portcullis it is public: otherwise this test would prove nothing"


def test_a_page_whose_name_is_an_address_opens_by_its_link(dask_stack, cluster, alice, bob):
    pages = f"/clusters/{cluster.name}/info"
    cluster.scale(1)

    def link():
        workers = dask_stack.send(f"{pages}/main/workers.html", alice).body.decode()
        return re.search(r'href="\.\.(/worker/[^"]+)"', workers)

    page = pages + eventually(link, "the scheduler's page links to its worker's", seconds=60)[1]
    assert "%2F%2F" in page
    assert (dask_stack.send(page, alice).status, dask_stack.send(page, bob).status) == (200, 403)
    assert dask_stack.send(page.replace(cluster.name, cluster.name + "%2F"), alice).status == 400


def test_an_owner_of_one_cluster_sees_no_other_by_it(dask_stack, cluster, bob, provider):
    with dask_stack.client(Bearer(lambda: provider.user_token("bob"))) as client:
        own = client.submit()
        try:
            for path in (f"{own};x/../{cluster.name}", f"{own}%2F..%2F{cluster.name}", f"{own}/../{cluster.name}"):
                answer = dask_stack.send(f"/clusters/{path}/info/main/workers.html", bob)
                assert answer.status == 400, path
        finally:
            client.stop_cluster(own)


def dial(dask_stack, cluster, headers):
    return open_websocket(f"{dask_stack.url}/clusters/{cluster.name}/eventstream", headers, ssl=dask_stack.context)


def test_a_dashboards_websocket_is_its_owners_alone(dask_stack, cluster, alice, bob):
    with dial(dask_stack, cluster, alice) as ws:
        ws.send(json.dumps({"name": "ping"}))
        # Workers come and go meanwhile, and each is an event of its own.
        assert "pong" in iter(lambda: json.loads(ws.recv(60))["name"], None)
    for headers, status in [(bob, 403), ({}, 401)]:
        with pytest.raises(InvalidStatus) as refused:
            dial(dask_stack, cluster, headers)
        assert refused.value.response.status_code == status


def heartbeats(dask_stack, cluster):
    return dask_stack.gateway.logged(
        outcome="upstream_credentials", method="POST", path=f"{CLUSTERS}{cluster.name}/heartbeat"
    )


def test_a_schedulers_reports_come_through_the_same_port(dask_stack, cluster):
    before = len(heartbeats(dask_stack, cluster))
    eventually(lambda: len(heartbeats(dask_stack, cluster)) >= before + 2, "it reports again and again", seconds=30)


def test_a_cluster_that_stops_itself_reports_it_with_its_token(dask_stack, provider):
    with dask_stack.client(Bearer(lambda: provider.user_token("alice"))) as client:
        own = client.new_cluster(shutdown_on_close=False)
        try:
            with own.get_client() as workers:
                workers.run_on_scheduler(stop_the_gateways_cluster)
            path = f"{CLUSTERS}{own.name}"
            eventually(
                lambda: dask_stack.gateway.logged(outcome="upstream_credentials", method="DELETE", path=path), "it says so"
            )
            eventually(lambda: own.name not in [each.name for each in client.list_clusters()], "it is gone", seconds=30)
        finally:
            own.close(shutdown=True)


def stop_the_gateways_cluster():
    """Runs in the scheduler, with what it was given."""
    from dask_gateway.scheduler_preload import make_gateway_client
    from tornado.ioloop import IOLoop

    IOLoop.current().add_callback(make_gateway_client().shutdown)


WRONG = {"Authorization": "token of-nobody"}


def test_a_wrong_token_is_refused_by_dask_gateway_itself(dask_stack, cluster, alice):
    answer = dask_stack.send(f"{CLUSTERS}{cluster.name}/heartbeat", WRONG, method="POST", body=b"{}")
    assert (answer.status, answer.schemes()) == (401, ["token"])
    answer = dask_stack.send(f"{CLUSTERS}{cluster.name}", WRONG, method="DELETE")
    assert (answer.status, answer.schemes()) == (401, ["Portcullis"])
    assert dask_stack.send(f"{CLUSTERS}{cluster.name}", alice).json()["status"] == "RUNNING"


def test_a_token_opens_nothing_else(dask_stack, cluster):
    """Not even a cluster's real token, and not the one of dask-gateway's proxy."""
    with cluster.get_client() as workers:
        own = workers.run_on_scheduler(lambda: __import__("os").environ["DASK_GATEWAY_API_TOKEN"])
    for token in (own, dask_stack.proxy_token):
        for method, path in [
            ("GET", CLUSTERS),
            ("GET", f"{CLUSTERS}{cluster.name}"),
            ("POST", f"{CLUSTERS}{cluster.name}/scale"),
            ("GET", "/api/v1/routes"),
            ("GET", f"/clusters/{cluster.name}/info/main/workers.html"),
        ]:
            assert dask_stack.send(path, {"Authorization": f"token {token}"}, method=method).status == 401, (method, path)
    direct = send(dask_stack.server.url, "/api/v1/routes", {"Authorization": f"token {dask_stack.proxy_token}"})
    assert direct.status == 200, "it opens the table of routes: otherwise this test would prove nothing"


def test_a_user_sees_no_table_of_routes(dask_stack, alice):
    assert dask_stack.send("/api/v1/routes", alice).status == 401


def test_a_dashboard_never_sees_what_dask_gateway_knows_portcullis_by(dask_stack, cluster, alice):
    """A scheduler is its user's program: it could keep what it is sent."""
    with cluster.get_client() as workers:
        workers.run_on_scheduler(record_requests)
        assert dask_stack.send(f"/clusters/{cluster.name}/health", alice | {"X-Shown": "yes"}).status == 200
        seen = workers.run_on_scheduler(recorded_requests)
    shown = {name.lower(): value for name, value in seen}
    assert shown["x-shown"] == "yes" and shown["x-forwarded-user"] == "alice"
    assert "authorization" not in shown and "x-portcullis-secret" not in shown
    assert dask_stack.secret not in str(shown) and alice["Authorization"] not in str(shown)


def record_requests():
    """Runs in the scheduler: from now on it keeps the headers of what its HTTP server is asked."""
    import distributed
    from tornado import web

    kept = distributed.kept_by_the_test = []
    answered = web.RequestHandler.prepare

    def prepare(handler):
        kept.extend(handler.request.headers.get_all())
        return answered(handler)

    web.RequestHandler.prepare = prepare


def recorded_requests():
    import distributed

    return distributed.kept_by_the_test


def test_a_cookie_of_the_upstream_has_no_effect(dask_stack, cluster, bob):
    """dask-gateway's own authenticator would set one, and believe it before it looks at anything else."""
    answer = dask_stack.send(CLUSTERS, bob | {"Cookie": "dask-gateway-1=alices"})
    assert answer.json() == {} and set(answer.set_cookies()) <= {"__Host-portcullis"}


@pytest.mark.parametrize("user, status", [("alice", 401), ("bob", 403)])
def test_dasks_client_gets_the_reason_of_a_refusal(dask_stack, hub, user, status):
    """alice's token was revoked; bob may not use the service."""
    text, token_id = hub.mint(user)
    if user == "alice":
        hub.revoke(user, token_id)
    with dask_stack.client(JupyterHubAuth(text)) as client:
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            client.list_clusters()
    assert refused.value.status == status


def test_the_health_endpoint_is_public(dask_stack):
    assert dask_stack.send("/api/health").json()["status"] == "pass"
