"""dask-gateway's own Kerberos client computes behind Portcullis, on a real dask-gateway-server.

It sends bare Kerberos tokens, and gives up on any answer to one that has no reply.
"""

import secrets

import pytest
from dask_gateway import GatewayClusterError
from dask_gateway.auth import KerberosAuth

from harness.config import SESSION, route
from harness.dask_server import compute_a_sum
from harness.kerberos import acceptor, authenticator

SUM = sum(range(1000))


@pytest.fixture
def gateway(kdc, serve, dask_server, keytab, monkeypatch):
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{kdc.login('alice')}")
    identity = '[routes.identity]\nbasic_password = "env:DASK_PASSWORD"'
    config = SESSION + acceptor(keytab) + authenticator() + route(dask_server, "kerberos", more=identity)
    return serve(config, KEY=secrets.token_hex(32), DASK_PASSWORD=dask_server.password)


def client(gateway, dask_server, auth="kerberos"):
    return dask_server.client(gateway.url.replace("127.0.0.1", "localhost"), auth)


def negotiated(gateway):
    """The users of all tokens, in order."""
    decisions = gateway.logged(message="decision")
    return [line.get("user") for line in decisions if "negotiate http" in line["steps"]]


def test_a_user_with_a_ticket_computes_and_negotiates_once(gateway, dask_server):
    with client(gateway, dask_server) as dask:
        for _ in range(3):
            assert dask.list_clusters() == []
        assert negotiated(gateway) == ["alice"]
        assert compute_a_sum(dask) == SUM
    assert negotiated(gateway) == ["alice", "alice"], "dask's cluster has a client of its own"
    carried = gateway.logged(message="decision", session=True)
    assert len(carried) > 5 and {line["user"] for line in carried} == {"alice"}


def test_an_error_of_the_server_reaches_the_client_unchanged(gateway, dask_server):
    """dask-gateway's own authenticator answers such a request without a reply, and its client then says that the
    negotiation failed."""
    with client(gateway, dask_server, KerberosAuth()) as dask:
        with pytest.raises((ValueError, GatewayClusterError), match="nowhere"):
            dask.connect("nowhere")
    assert negotiated(gateway) == ["alice"]


def test_a_user_without_a_ticket_is_refused(gateway, dask_server, monkeypatch, tmp_path):
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path / 'none'}")
    with client(gateway, dask_server) as dask:
        with pytest.raises(Exception, match="(?i)credential|no kerberos"):
            dask.list_clusters()
