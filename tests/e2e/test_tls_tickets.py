"""TLS sessions that clients resume: at the gateway that began them, and with `shared_tickets` at every one with the same keys."""

import ssl

import pytest

from harness.config import protected

KEY, OTHER = "00112233" * 8, "44556677" * 8
SESSION = '[session]\nkeys = ["env:KEY"]\n'
SHARED = "shared_tickets = true\n"


@pytest.fixture(scope="module")
def files(authority):
    return authority.issue("server")


@pytest.fixture
def start(serve, upstream, files):
    cert, key = files

    def start(more=SHARED, **environment):
        server = f'[server.tls]\ncert = "{cert}"\nkey = "{key}"\n{more}'
        return serve(SESSION + protected(upstream), server=server, **({"KEY": KEY} | environment))

    return start


class Client:
    """It keeps the session of its last connection."""

    def __init__(self, authority, version, client=None):
        self.context = ssl.create_default_context(cafile=authority.ca)
        self.context.minimum_version = self.context.maximum_version = version
        if client:
            self.context.load_cert_chain(*client)
        self.session = None

    def resumes(self, gateway):
        """Whether a connection resumes the session. The answer is read first, because tickets come after the handshake."""
        with self.context.wrap_socket(gateway.open(), server_hostname="localhost", session=self.session) as socket:
            socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b"".join(iter(lambda: socket.recv(65536), b"")).startswith(b"HTTP/1.1 401 ")
            resumed, self.session = socket.session_reused, socket.session
        return resumed


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("version", VERSIONS)
def test_gateways_with_one_key_resume_each_others_sessions(start, authority, version):
    first, second, other = start(), start(), start(KEY=OTHER)
    client = Client(authority, VERSIONS[version])
    assert [client.resumes(gateway) for gateway in (first, second, first, other, first)] == [False, True, True, False, False]


@pytest.mark.parametrize("version", VERSIONS)
def test_without_shared_tickets_a_session_is_one_gateways(start, authority, version):
    first, second = start(""), start("")
    client = Client(authority, VERSIONS[version])
    assert [client.resumes(gateway) for gateway in (first, first, second)] == [False, True, False]


def test_a_restart_resumes_sessions(start, authority):
    first = start()
    client = Client(authority, ssl.TLSVersion.TLSv1_3)
    client.resumes(first)
    first.stop()
    assert client.resumes(start())


def test_a_session_of_a_client_that_is_accepted_no_more_is_not_resumed(start, authority, stranger):
    """What a gateway accepts from its clients is a part of the keys, or a ticket would outlive the authority that vouched."""

    def accepting(whose):
        return SHARED + f'client_ca = "{whose.ca}"\nclient_certificates = "optional"\n'

    one, same, other, nobody = start(accepting(authority)), start(accepting(authority)), start(accepting(stranger)), start()
    for gateway, resumes in [(same, True), (other, False), (nobody, False)]:
        client = Client(authority, ssl.TLSVersion.TLSv1_3)
        client.resumes(one)
        assert client.resumes(gateway) == resumes
