"""The same tokens for Portcullis and for Apache's mod_auth_gssapi, with the same keys: what one accepts the other does."""

import gssapi
import pytest

from harness.apache import Apache
from harness.client import send
from harness.config import route
from harness.kdc import KRB5, MUTUAL, OTHER_REALM, REALM, SPNEGO
from harness.kerberos import acceptor, ask, authenticator, negotiate, reply
from harness.upstream import values

FLAG = gssapi.RequirementFlag

SETTINGS = f"""
realms = ["{REALM}", "{OTHER_REALM}"]
rules = [{{ principal = "(.*)", user = "$1" }}]
"""
"""Every principal is a user under its own name, as with Apache."""


@pytest.fixture(scope="module")
def gateway(serve_module, shared_upstream, keytab):
    return serve_module(acceptor(keytab) + authenticator(SETTINGS) + route(shared_upstream, "kerberos"))


@pytest.fixture(scope="module")
def apache(tmp_path_factory, keytab, kdc):
    server = Apache(tmp_path_factory.mktemp("apache") / "log", keytab)
    yield server
    server.stop()


TOKENS = {
    "SPNEGO": lambda kdc: kdc.token(),
    "bare Kerberos": lambda kdc: kdc.token(mech=KRB5),
    "no mutual authentication": lambda kdc: kdc.token(mech=KRB5, flags=FLAG.integrity),
    "delegated": lambda kdc: kdc.token(flags=MUTUAL | FLAG.delegate_to_peer),
    "an instance": lambda kdc: kdc.token(cache=kdc.login("alice/admin")),
    "another realm": lambda kdc: kdc.token(cache=kdc.login("alice", realm=OTHER_REALM)),
    "another service": lambda kdc: kdc.token(service="HTTP@other.localhost"),
    "bytes": lambda kdc: b"\x60\x03abc",
    "NTLM": lambda kdc: b"NTLMSSP\0\1\0\0\0\x97\x82\x08\xe2" + bytes(24),
    "DCE style": lambda kdc: kdc.token(mech=KRB5, flags=MUTUAL | FLAG.dce_style),
    "half": lambda kdc: kdc.token()[:300],
    "a changed byte": lambda kdc: (token := kdc.token())[:400] + bytes([token[400] ^ 1]) + token[401:],
}


@pytest.mark.parametrize("what", TOKENS)
def test_apache_and_the_gateway_agree_on_a_token(kdc, gateway, apache, what):
    token = TOKENS[what](kdc)
    ours, theirs = ask(gateway, token), send(apache.url, "/", negotiate(token))
    assert ours.status == theirs.status, (ours.body, theirs.body)
    if ours.status == 200:
        assert values(ours.json(), "x-forwarded-user") == theirs.all("x-user")
        assert (reply(ours) is None) == (reply(theirs) is None)
    again = ask(gateway, token), send(apache.url, "/", negotiate(token))
    assert [answer.status for answer in again] == [401, 401], "a replay to both, if it was not bad before"


def test_clients_believe_the_reply_of_both(kdc, gateway, apache):
    for mech in (KRB5, SPNEGO):
        for url in (gateway.url, apache.url):
            client = kdc.initiator(mech=mech)
            client.step(reply(send(url, "/", negotiate(client.step()))))
            assert client.complete
