"""dask's own client computes through Portcullis on a real dask-gateway-server.

The server trusts one password, which only Portcullis knows; who the user is, Portcullis finds out.
"""

import pytest
from dask_gateway.auth import BasicAuth

from harness.client import basic, bearer, send
from harness.config import PEOPLE, route, tokens
from harness.dask_server import Bearer, compute_a_sum

SUM = sum(range(1000))


def jupyterhub(hub):
    return f"""
[authenticators.hub]
plugin = "jupyterhub"
settings = {{ api_url = "{hub.api_url}", service_name = "dask-gateway" }}
grants = {{ http = ["{hub.api_url.removesuffix("/hub/api")}"] }}
"""


@pytest.fixture(scope="module")
def gateway(serve_module, dask_server, provider, hub):
    """One gateway for users of every kind."""
    identity = '[routes.identity]\nbasic_password = "env:DASK_PASSWORD"'
    authenticators = tokens(provider) + jupyterhub(hub) + PEOPLE
    config = authenticators + route(dask_server, "tokens", "hub", "people", more=identity)
    return serve_module(config, DASK_PASSWORD=dask_server.password)


def test_a_user_with_a_jwt_computes(gateway, dask_server, provider):
    with dask_server.client(gateway.url, Bearer(lambda: provider.user_token("alice"))) as client:
        assert client.list_clusters() == []
        assert compute_a_sum(client) == SUM


def test_a_user_of_jupyterhub_computes(gateway, dask_server, hub, monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", hub.token("alice"))
    with dask_server.client(gateway.url, "jupyterhub") as client:
        assert compute_a_sum(client) == SUM


def test_a_user_with_a_name_computes(gateway, dask_server):
    with dask_server.client(gateway.url, BasicAuth("carol")) as client:
        assert compute_a_sum(client) == SUM


CLUSTERS = "/api/v1/clusters/"


@pytest.fixture
def alices_cluster(gateway, dask_server, provider):
    """The name of a cluster that alice asked for."""
    with dask_server.client(gateway.url, Bearer(lambda: provider.user_token("alice"))) as client:
        name = client.submit()
        yield name
        client.stop_cluster(name)


def test_a_cluster_is_its_owners_alone(gateway, provider, alices_cluster):
    alice, bob = bearer(provider.user_token("alice")), bearer(provider.user_token("bob"))
    assert gateway.send(CLUSTERS + alices_cluster, alice).status == 200
    assert gateway.send(CLUSTERS + alices_cluster, bob).status == 403
    assert gateway.send(CLUSTERS, bob).json() == {}


def test_the_upstreams_cookie_stays_between_it_and_us(gateway, provider):
    answer = gateway.send(CLUSTERS, bearer(provider.user_token("alice")))
    assert answer.status == 200
    assert answer.all("set-cookie") == []


def test_bob_with_alices_cookie_of_the_upstream_is_bob(gateway, dask_server, provider, alices_cluster):
    [cookie] = send(dask_server.url, CLUSTERS, basic("alice", dask_server.password)).set_cookies().items()
    alices_jar = {"Cookie": "=".join(cookie)}
    confused = send(dask_server.url, CLUSTERS, basic("bob", dask_server.password) | alices_jar)
    assert list(confused.json()) == [alices_cluster], (
        "the upstream believes the cookie: otherwise this test would prove nothing"
    )
    assert gateway.send(CLUSTERS, bearer(provider.user_token("bob")) | alices_jar).json() == {}
