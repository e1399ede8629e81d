"""The peers by themselves, without the gateway, so that a fault of theirs is not mistaken for one of ours.

They are the real programs: oidc-provider, JupyterHub behind configurable-http-proxy, dask-gateway-server.
"""

import jwt
import pytest
from dask_gateway.auth import BasicAuth

from harness.dask_server import compute_a_sum
from harness.idp import ALGORITHMS


def verified(provider, token):
    keys = jwt.PyJWKClient(f"{provider.issuer}/jwks")
    key = keys.get_signing_key_from_jwt(token)
    return jwt.decode(token, key, [key.algorithm_name], audience=provider.audience, issuer=provider.issuer)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_provider_signs_with_the_algorithm_of_the_client(provider, algorithm):
    token = provider.service_token(algorithm)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert verified(provider, token)["sub"] == algorithm


def test_a_user_logs_in_at_the_provider_and_gets_a_token(provider):
    claims = verified(provider, provider.user_token("alice"))
    assert claims["sub"] == "alice"
    assert claims["groups"] == ["staff", "ml"]


def test_the_provider_rotates_its_keys_while_running(own_provider):
    own_provider.rotate("RS256-2", drop=["RS256-1"])
    token = own_provider.service_token("RS256")
    assert jwt.get_unverified_header(token)["kid"] == "RS256-2"
    assert verified(own_provider, token)


@pytest.mark.parametrize("user, scoped", [("alice", True), ("bob", False)])
def test_the_hub_reports_access_scopes(hub, user, scoped):
    status, model = hub.whoami(hub.token(user))
    assert status == 200
    assert ("access:services!service=dask-gateway" in model["scopes"]) is scoped


def test_the_hub_forgets_a_revoked_token(hub):
    token, token_id = hub.mint("carol")
    assert hub.whoami(token)[0] == 200
    hub.revoke("carol", token_id)
    assert hub.whoami(token)[0] == 403


def test_dask_gateway_server_computes(dask_server):
    with dask_server.client(dask_server.url, BasicAuth("alice", dask_server.password)) as client:
        assert compute_a_sum(client) == sum(range(1000))
