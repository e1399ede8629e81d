"""Plugins inside real servers in Python: uvicorn, gunicorn and aiohttp, with the programs of the page and some of the tests' own."""

import re
import socket
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from os import environ

import pytest
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from harness import build, python_package
from harness.client import basic, send
from harness.page import block, replaced
from harness.paths import ROOT
from harness.process import Child, eventually, with_free_ports

PAGE = (ROOT / "docs/python.md").read_text()


UVICORN = [sys.executable, "-m", "uvicorn", "--no-access-log", "--port", "{port}", "app:app"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "8", "app:app"]
AIOHTTP = [sys.executable, "-c", "import app; from aiohttp import web; web.run_app(app.app, host='127.0.0.1', port={port})"]


class Server:
    def __init__(self, folder, command, source, **more):
        folder.mkdir(exist_ok=True)
        # The engine of a program keeps nothing that it compiled, unless it says so.
        prepared = f"from portcullis import Engine\nEngine(cache_directory={str(python_package.CACHE)!r})\n"
        (folder / "app.py").write_text(prepared + textwrap.dedent(source))

        def start(port):
            self.url = f"http://127.0.0.1:{port}"
            environment = environ | python_package.environment(**more)
            filled = [part.replace("{port}", str(port)) for part in command]
            self.child = Child(filled, folder / "server.log", env=environment, cwd=folder)
            self.child.wait_until(lambda: self._listens(port), "listening", seconds=60)

        with_free_ports(1, start)

    @staticmethod
    def _listens(port):
        with socket.socket() as wire:
            return wire.connect_ex(("127.0.0.1", port)) == 0

    def send(self, target="/", headers=(), method="GET"):
        return send(self.url, target, headers, method)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    running = []

    def start(command, source, **more):
        running.append(Server(tmp_path_factory.mktemp("server") / "program", command, source, **more))
        return running[-1]

    yield start
    for server in running:
        print(server.child.output()[-8000:])
        server.child.stop()


ALICE = basic("alice", "secret")


@pytest.fixture(scope="module", params=["ASGI", "WSGI", "aiohttp"])
def on_the_page(request, start):
    command = {"ASGI": UVICORN, "WSGI": GUNICORN, "aiohttp": AIOHTTP}[request.param]
    return start(command, block(PAGE, request.param))


def test_the_programs_of_the_page_serve_users_and_refuse_others(on_the_page):
    assert on_the_page.send("/", ALICE).body == b"Hello, alice!"
    for headers in ({}, basic("alice", "guessed"), {"Authorization": "Basic \xff"}, {"Authorization": "Basic"}):
        answer = on_the_page.send("/", headers)
        assert (answer.status, answer.schemes()) == (401, ["Basic"]), headers
        assert answer.json() == {"error": "Authentication required"}
        assert answer.header("cache-control") == "no-store"


def test_odd_requests_get_in_if_their_user_may(on_the_page):
    for many in ([("Cookie", f"c{n}={n}") for n in range(60)], [("Cookie", "; ".join(f"c{n}={n}" for n in range(100)))]):
        assert on_the_page.send("/?a=%00&b=%ff", [*many, ("X-Odd", "\xe4\xff"), *ALICE.items()]).status == 200
    assert on_the_page.send("/", [*ALICE.items(), *basic("bob", "guessed").items()]).status == 401
    assert on_the_page.send("/", method="HEAD").status == 401


RULES = """
from portcullis import Authenticator, Chain

chain = Chain(Authenticator("people", "simple", settings={"password": "secret"}))
team = Chain(Authenticator("team", "simple", settings={"password": "shared"}))
rules = {"/": chain, "/start": Visitors(chain), "/health": None, "/team": team}

def greet(user):
    return f"Hello, {user.name if user else 'guest'}!"
"""

BY_PATH = {
    "starlette": (
        UVICORN,
        replaced(
            block(PAGE, "ASGI"),
            {
                'Route("/health", hello)': 'Route("/health", hello), Route("/team", hello)',
                '"/health": None': '"/health": None, "/team": Chain(Authenticator("team", "simple", settings={"password": "shared"}))',
            },
        ),
    ),
    "fastapi": (
        UVICORN,
        "from portcullis.asgi import Middleware, Visitors"
        + RULES
        + """
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI(default_response_class=PlainTextResponse)
app.add_middleware(Middleware, protection=rules)

@app.get("/")
@app.get("/start")
@app.get("/health")
@app.get("/team")
def hello(request: Request):
    return greet(request.user)
""",
    ),
    "flask": (
        GUNICORN,
        "from portcullis.wsgi import Middleware, Visitors"
        + RULES
        + """
from flask import Flask, request

app = Flask(__name__)

@app.get("/")
@app.get("/start")
@app.get("/health")
@app.get("/team")
def hello():
    return greet(request.environ["portcullis.user"])

app.wsgi_app = Middleware(app.wsgi_app, rules)
""",
    ),
    "aiohttp": (
        AIOHTTP,
        "from portcullis.aiohttp import Visitors, setup"
        + RULES
        + """
from aiohttp import web

async def hello(request):
    return web.Response(text=greet(request["user"]))

app = web.Application()
app.add_routes([web.get(path, hello) for path in ("/", "/start", "/health", "/team")])
setup(app, rules)
""",
    ),
}


@pytest.fixture(scope="module", params=BY_PATH)
def by_path(request, start):
    return start(*BY_PATH[request.param])


def test_each_path_has_its_rule(by_path):
    server = by_path
    assert server.send("/", ALICE).body == b"Hello, alice!"
    assert server.send("/health").body == b"Hello, guest!"
    assert server.send("/start").body == b"Hello, guest!"
    assert server.send("/start", ALICE).body == b"Hello, alice!"
    assert server.send("/start", basic("alice", "guessed")).status == 401, "wrong credentials are no visitor"
    for path in ("/healthy", "/Health", "/nowhere"):
        assert server.send(path).status == 401, path
    # The rule of a path can't be that of one and its page that of another.
    for path in ("/health/../", "/health/%2e%2e/", "/health/..;/", "/health//..", "//health", "/health/%5c..", "/health/%252e"):
        assert server.send(path).status == 400, path
    assert server.send("/health/%2e", ALICE).status == 400


def test_a_path_may_have_a_chain_of_its_own(by_path):
    """Whom it knows, the chain of the other paths doesn't know, and the other way round."""
    mate = basic("alice", "shared")
    assert by_path.send("/team", mate).body == b"Hello, alice!"
    for path, headers in (("/team", ALICE), ("/team/x", ALICE), ("/team", {}), ("/", mate), ("/teams", mate), ("/start", mate)):
        assert by_path.send(path, headers).status == 401, (path, headers)


OWN = """
import asyncio, os
from portcullis import Authenticator, Chain, Sessions

chain = Chain(
    Authenticator("scripted", os.environ["PLUGIN"], limits={"deadline": "400ms", "breaker": 0}),
    sessions=Sessions(os.environ["KEY"], secure=False),
)
"""

PROGRAMS = {
    "asgi": (
        UVICORN,
        OWN
        + """
from portcullis.asgi import Middleware
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

async def who(request):
    return PlainTextResponse(request.user.name, headers={"x-more": "the application's", "set-cookie": "own=1"})

async def socket(socket):
    await socket.accept()
    await socket.send_text(socket.user.name)
    await socket.close()

app = Middleware(Starlette(routes=[Route("/", who), WebSocketRoute("/socket", socket)]), chain)
""",
    ),
    "wsgi": (
        GUNICORN,
        OWN
        + """
from portcullis.wsgi import Middleware

def who(environ, start_response):
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("content-type", "text/plain")])
        return [b"not found"]
    start_response("200 OK", [("x-more", "the application's"), ("set-cookie", "own=1")])
    return [environ["REMOTE_USER"].encode("latin-1")]

app = Middleware(who, chain)
""",
    ),
    "aiohttp": (
        AIOHTTP,
        OWN
        + """
from aiohttp import web
from portcullis.aiohttp import setup

async def who(request):
    response = web.StreamResponse(headers={"x-more": "the application's", "set-cookie": "own=1"})
    await response.prepare(request)
    await response.write(request["user"].name.encode())
    return response

app = web.Application()
app.router.add_get("/", who)
setup(app, chain)
""",
    ),
}


@pytest.fixture(scope="module")
def own_key():
    return "".join(f"{n:02x}" for n in range(32))


@pytest.fixture(scope="module", params=PROGRAMS)
def own(request, start, own_key):
    return start(*PROGRAMS[request.param], PLUGIN=str(build.guest_component("scripted")), KEY=own_key)


def script(words):
    return {"Authorization": f"Script {words}"}


def test_what_a_plugin_adds_is_on_every_response(own):
    reply = script("grant,www-authenticate=Negotiate abc,x-more=the plugin's")
    for target, status in (("/", 200), ("/nowhere", 404)):
        answer = own.send(target, reply)
        assert (answer.status, answer.all("www-authenticate"), answer.all("x-more")) == (status, ["Negotiate abc"], ["the plugin's"])
    assert own.send("/", reply).all("set-cookie") == ["own=1"]


@pytest.mark.parametrize(
    "words, status, headers",
    [
        ("forbid", 403, {}),
        ("unavailable", 503, {"retry-after": "5"}),
        ("slow", 503, {"retry-after": "5"}),
        ("respond 302,location=/login", 302, {"location": "/login"}),
        ("respond 418,x-a=b", 418, {"x-a": "b"}),
    ],
)
def test_a_refusal_arrives_as_the_plugin_means_it(own, words, status, headers):
    answer = own.send("/", script(words))
    assert answer.status == status and {name: answer.header(name) for name in headers} == headers
    assert answer.body == b"a page of its own" or not words.startswith("respond")


def test_the_server_goes_on_beside_plugins_that_compute(own):
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(own.send, "/", script("slow")) for _ in range(4)]
        while not all(each.done() for each in slow):
            assert own.send("/", script("grant")).body == b"alice"
        assert [each.result().status for each in slow] == [503] * 4


SOCKETS = [
    ("grant", None),
    ("forbid", 403),
    ("slow", 503),
]


@pytest.mark.parametrize("words, status", SOCKETS)
def test_a_websocket_is_protected(start, own_key, words, status):
    server = start(*PROGRAMS["asgi"], PLUGIN=str(build.guest_component("scripted")), KEY=own_key)
    url = server.url.replace("http", "ws") + "/socket"
    if status is None:
        with connect(url, additional_headers=script(words)) as wire:
            assert wire.recv() == "alice"
    else:
        with pytest.raises(InvalidHandshake) as refused:
            connect(url, additional_headers=script(words))
        assert refused.value.response.status_code == status


@pytest.mark.parametrize("command, page", [(GUNICORN, "WSGI"), (UVICORN, "ASGI")], ids=["gunicorn", "uvicorn"])
def test_workers_have_engines_of_their_own(start, command, page):
    """Those of gunicorn are forked, and those of uvicorn are spawned."""
    server = start([*command[:-1], "--workers", "2", "app:app"], SAYS_WHO + block(PAGE, page))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.send("/", ALICE).body, range(40)))
    assert answers == [b"Hello, alice!"] * 40
    eventually(lambda: len(set(re.findall(r"process \d+ loads", server.child.output()))) == 2, "two workers")


SAYS_WHO = """
import os
print(f"process {os.getpid()} loads", flush=True)
"""


def test_an_engine_that_gunicorn_preloaded_refuses_and_says_why(start):
    command = [*GUNICORN[:-1], "--preload", "app:app"]
    server = start(command, block(PAGE, "WSGI"))
    answer = server.send("/", ALICE)
    assert (answer.status, answer.header("retry-after")) == (503, "5")
    eventually(lambda: "start the engine after the fork (gunicorn: without --preload" in server.child.output(), "the reason")


def test_a_peer_without_an_address(start, tmp_path):
    """Clients of a Unix socket have none."""
    path = tmp_path / "socket"
    server = Child(
        [sys.executable, "-m", "uvicorn", "--uds", str(path), "app:app"],
        tmp_path / "log",
        env=python_package.environment(),
        cwd=_program(tmp_path, block(PAGE, "ASGI")),
    )
    try:
        server.wait_until(path.exists, "listening", seconds=60)
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(path))
            wire.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\nConnection: close\r\n\r\n")
            received = b"".join(iter(lambda: wire.recv(65536), b""))
        assert received.startswith(b"HTTP/1.1 200") and received.endswith(b"Hello, alice!"), received
    finally:
        server.stop()


def _program(folder, source):
    (folder / "app.py").write_text(source)
    return folder


def test_the_program_of_the_page_without_a_server():
    done = python_package.run(block(PAGE, "Anything else"))
    assert (done.stdout, done.returncode) == (block(PAGE, "Anything else", "text"), 0), done.stderr


@pytest.mark.parametrize("command, page", [(UVICORN, "ASGI"), (GUNICORN, "WSGI"), (AIOHTTP, "aiohttp")], ids=["ASGI", "WSGI", "aiohttp"])
def test_a_session_of_the_gateway_is_one_here_and_the_other_way_round(serve, start, upstream, own_key, command, page):
    """With the same key, plugin, settings and name."""
    gateway = serve(
        f"""
[session]
keys = ["env:KEY"]
secure = false
[authenticators.people]
plugin = "simple"
settings = {{ password = "env:PASSWORD" }}
[[routes]]
path = "/"
authenticators = ["people"]
upstream = "{upstream.url}"
""",
        KEY=own_key,
        PASSWORD="secret",
    )
    with_sessions = f'{{"password": "secret"}}), sessions=Sessions("{own_key}", secure=False))'
    source = replaced(block(PAGE, page), {'{"password": "secret"}))': with_sessions})
    server = start(command, "from portcullis import Sessions\n" + source)
    for one, other in ((gateway, server), (server, gateway)):
        [cookie] = one.send("/", ALICE).all("set-cookie")
        answer = other.send("/", {"Cookie": cookie.split(";")[0]})
        assert answer.status == 200 and answer.set_cookies() == {}
