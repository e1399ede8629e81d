"""Requests of plugins to other servers, in a Python program: with the same keys and through the same proxies as the gateway's."""

import json

import pytest

from harness import python_package
from harness.forward_proxy import ForwardProxy
from harness.process import eventually
from harness.scripted import ScriptedUpstream, answers, tls_context
from harness.trap_servers import TrapServer

PROGRAM = """
import json, sys
from portcullis import Authenticator, Chain, Request
chain = Chain(Authenticator("prober", sys.argv[1], limits={"deadline": "20s", "breaker": 0}, **json.loads(sys.argv[2])))
for line in sys.stdin:
    decision = chain.decide_blocking(Request("GET", "/", headers={"X-Do": f"fetch {line.strip()}"}))
    print(decision, "refused" if decision.refusal and decision.refusal.status == 503 else "fetched", flush=True)
"""

GRANTS = {"headers": ["x-do"], "http": ["http://idp.test", "https://idp.test"]}


@pytest.fixture
def server():
    with TrapServer() as server:
        yield server


@pytest.fixture
def fetch(prober_component):
    """Starts a program whose plugin fetches URLs. Returns a function that does so and tells what came of it."""
    running = []

    def start(environment, **keys):
        program = python_package.start(PROGRAM, prober_component, json.dumps({"grants": GRANTS} | keys), **environment)
        running.append(program)

        def fetch(url):
            program.stdin.write(f"{url}\n")
            program.stdin.flush()
            return program.stdout.readline().split()[-1]

        return fetch

    yield start
    for program in running:
        program.stdin.close()
        assert program.wait(60) == 0
        program.stdout.close()


def test_the_environment_names_the_proxy_and_headers_follow_their_file(fetch, server, tmp_path):
    secret = tmp_path / "token"
    secret.write_text("first\n")
    secret.chmod(0o600)
    with ForwardProxy(("127.0.0.1", server.port)) as proxy:
        get = fetch({"HTTP_PROXY": proxy.url}, http_headers={"http://idp.test": {"x-token": f"Bearer file:{secret}"}})
        assert get("http|idp.test|/fine") == "fetched"
        assert proxy.seen[-1].startswith("GET http://idp.test/fine HTTP/1.1\r\n")
        assert "x-token: Bearer first" in proxy.seen[-1]
        secret.write_text("second\n")

        def follows():
            get("http|idp.test|/fine")
            return "x-token: Bearer second" in proxy.seen[-1]

        eventually(follows, "the new secret")


def test_a_server_of_another_authority_is_trusted(fetch, authority):
    with ScriptedUpstream(answers(), tls=tls_context(authority.issue("idp", "idp.test"))) as secure:
        with ForwardProxy(("127.0.0.1", secure.port)) as proxy:
            environment = {"HTTPS_PROXY": proxy.url}
            assert fetch(environment)("https|idp.test|/fine") == "refused"
            assert fetch(environment, http_ca=str(authority.ca))("https|idp.test|/fine") == "fetched"
            assert all(head.startswith("CONNECT idp.test:443 HTTP/1.1\r\n") for head in proxy.seen)
