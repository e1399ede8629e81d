"""The commands of docs/start.md, word for word, with their output. Only ports, times and ids differ."""

import os
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.gateway import Gateway, clean
from harness.page import blocks, comparable, sessions
from harness.paths import PORTCULLIS, ROOT

PAGE = (ROOT / "docs" / "start.md").read_text()
PASSWORD = "open sesame"


@pytest.fixture
def files(tmp_path):
    """What `python3 -m http.server` serves."""
    folder = tmp_path / "files"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_shows_what_happens(tmp_path, files):
    [config] = [block for block in blocks(PAGE, "toml") if block.startswith("# portcullis.toml\n")]
    config = config.replace("8001", str(files))
    (tmp_path / "portcullis.toml").write_text(config)
    ran = 0
    gateway = None
    environment = clean({"PASSWORD": PASSWORD}) | {"PATH": f"{PORTCULLIS.parent}{os.pathsep}{os.environ['PATH']}"}
    try:
        for command, lines in sessions(PAGE):
            if command.startswith("python3"):
                continue
            if command.startswith("export"):
                assert command == f"export PASSWORD='{PASSWORD}'"
                continue
            if command.startswith("portcullis serve"):
                folder = tmp_path / "gateway"
                folder.mkdir()
                served = f'[server]\nlisten = "127.0.0.1:0"\n{config}'
                gateway = Gateway(folder, served, PASSWORD=PASSWORD)
                continue
            if gateway:
                command = command.replace("http://127.0.0.1:8000", gateway.url)
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
            )
            expected = [line.replace("8001", str(files)) for line in lines]
            assert comparable(done.stdout.splitlines(), None) == comparable(expected, None), (command, done.stderr)
            ran += 1
    finally:
        if gateway:
            gateway.stop()
    assert ran == 5
