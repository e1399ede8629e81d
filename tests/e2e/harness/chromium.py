"""Chromium without a screen, driven by its own protocol for developers."""

import base64
import json
import os
import shutil
from contextlib import contextmanager

import requests
from websockets.sync.client import connect

from .process import Child, eventually


PROGRAM = shutil.which("google-chrome") or "chromium"
"""Chrome is for Ubuntu, where `chromium` can't read what the tests write."""


@contextmanager
def chromium(folder, *options, **environment):
    """A browser with a profile of its own; what is yielded is its one page."""
    command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]
    command += ["--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}", *options, "about:blank"]
    child = Child(command, folder / "chromium.log", env=os.environ | {"HOME": str(folder)} | environment)
    try:
        told = folder / "profile" / "DevToolsActivePort"
        child.wait_until(lambda: told.exists() and told.read_text().count("\n"), "Chromium says where it listens")
        address = f"http://127.0.0.1:{told.read_text().splitlines()[0]}/json"
        pages = eventually(lambda: [each for each in requests.get(address).json() if each["type"] == "page"], "a page")
        with connect(pages[0]["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Page(socket, address)
    finally:
        child.kill()


class Navigated(Exception):
    """The page has gone while a script ran on it."""


def unless_gone(ask):
    """What a page says, or nothing if it goes meanwhile."""
    try:
        return ask()
    except Navigated:
        return None


class Page:
    def __init__(self, socket, address):
        self._socket, self._address = socket, address
        self._calls = 0

    @contextmanager
    def tab(self):
        """Another page of the same browser."""
        opened = requests.put(f"{self._address}/new?about:blank").json()
        with connect(opened["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            yield Page(socket, self._address)

    def visit(self, url):
        """Goes to a page, and returns its text once it is loaded."""
        self._call("Page.navigate", url=url)
        return eventually(lambda: unless_gone(lambda: self._loaded(url)), f"{url} is loaded")

    def go(self, url):
        """Goes to a page, from which it may be sent on."""
        self._call("Page.navigate", url=url)

    def run(self, script):
        """What a script on the page comes to."""
        value = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in value, value
        return value["result"].get("value")

    def until(self, script):
        """Waits until a script on the page comes to something, on whatever page that is."""
        return eventually(lambda: unless_gone(lambda: self.run(f"document.readyState == 'complete' && ({script})")), script, 30)

    def first(self, script):
        """Runs a script on every page from now on, before its own."""
        self._call("Page.enable")
        self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def prefer(self, scheme):
        """Prefers pages that are `light` or `dark`."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self):
        """The whole page, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text="\r" if key == "Enter" else "")

    def _loaded(self, url):
        script = f"document.readyState == 'complete' && location.href == {json.dumps(url)} && document.body.innerText"
        return self._call("Runtime.evaluate", expression=script)["result"].get("value")

    def _call(self, method, **parameters):
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(20))
            if answer.get("id") == self._calls:
                if "navigated" in answer.get("error", {}).get("message", ""):
                    raise Navigated
                assert "error" not in answer, answer
                return answer["result"]
