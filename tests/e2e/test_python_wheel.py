"""The wheel of the Python package as `deploy/wheel` packs it, around the tests' own build: what is in it, and that it is all that a
user of it needs."""

import functools
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from harness import packages, python_package
from harness.client import basic, bearer, send
from harness.dask_in_process import DaskInProcess
from harness.gateway import run
from harness.in_process import starter
from harness.page import block, replaced
from harness.paths import ROOT, VENV_BIN

PAGE = (ROOT / "docs/python.md").read_text()
NAME = re.compile(r"portcullis-(?P<version>[\d.]+)-cp310-abi3-manylinux_2_(?P<glibc>\d+)_(?P<processor>\w+)\.whl")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    done = packages.wheel(tmp_path_factory.mktemp("wheel"))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def contents(wheel):
    """The files of the wheel, by their names without its version."""
    with zipfile.ZipFile(wheel) as archive:
        return {re.sub(r"^portcullis-[\d.]+\.", "", name): archive.read(name) for name in archive.namelist()}


def needed_glibc():
    """The latest version of glibc of which the module needs something: the number behind 2."""
    symbols = subprocess.run(["objdump", "-T", python_package.MODULE], check=True, capture_output=True, text=True).stdout
    return max(int(number) for number in re.findall(r"GLIBC_2\.(\d+)", symbols))


def test_its_name_says_where_it_runs(wheel, contents):
    name = NAME.fullmatch(wheel.name)
    assert name, wheel.name
    assert name["processor"] == platform.machine()
    installed = int(os.confstr("CS_GNU_LIBC_VERSION").rpartition(".")[2])
    assert needed_glibc() <= int(name["glibc"]) <= installed
    assert f"Tag: cp310-abi3-manylinux_2_{name['glibc']}_{name['processor']}\n" in contents["dist-info/WHEEL"].decode()


def test_the_page_shows_such_a_name():
    shown = re.search(r"(?ms)^deploy/wheel dist\n```\n\n```text\ndist/(\S+)\n", PAGE)[1]
    assert NAME.fullmatch(shown)


def test_it_has_its_types(contents):
    """PEP 561: without the marker, a type checker ignores them."""
    assert {"portcullis/py.typed", "portcullis/_portcullis.pyi"} <= set(contents)


def test_it_has_the_licence_and_what_it_is_made_of(contents):
    assert contents["dist-info/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    [bill] = [name for name in contents if name.startswith("dist-info/sboms/")]
    scopes = {component["name"]: component["scope"] for component in json.loads(contents[bill])["components"]}
    inside = {name for name, scope in scopes.items() if scope == "required"}
    assert {"pyo3", "portcullis-gateway", "wasmtime", "portcullis-plugin-jwt", "cedar-policy-core"} <= inside
    assert "libgssapi" not in scopes and scopes["pyo3-macros"] == "excluded"


def test_no_text_in_it_names_a_folder_of_the_machine_that_built_it(contents):
    for name, content in contents.items():
        if not name.endswith(".so"):
            for folder in (str(ROOT), str(Path.home()), "file://"):
                assert folder.encode() not in content, name


def test_one_that_is_too_large_is_no_result(tmp_path):
    """Without compression it is."""
    done = packages.wheel(tmp_path, "--compression-method", "stored")
    assert done.returncode == 1
    assert re.search(r"^deploy/wheel: the wheel has \d{8} bytes, and at most 30000000 are expected$", done.stderr, re.M)
    assert list((tmp_path / "dist").iterdir()) == []


def pip(*arguments):
    """Runs pip, which asks no index."""
    command = [VENV_BIN / "pip", "--disable-pip-version-check", "--no-color", *arguments, "--no-index", "--no-deps"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of an environment that has the wheel alone."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    done = pip("--python", folder / "bin" / "python", "install", wheel)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.mark.parametrize("command", [["portcullis"], ["python", "-m", "portcullis"]], ids=" ".join)
def test_it_brings_the_command_of_the_gateway(installed, tmp_path, command):
    program = [installed / command[0], *command[1:]]
    ours, other = run("--version", folder=tmp_path, program=program), run("--version", folder=tmp_path)
    assert (ours.returncode, ours.stdout) == (0, other.stdout), ours.stderr


APPLICATION = """
import sys
from wsgiref.simple_server import make_server
from portcullis import Authenticator, Chain, Engine
from portcullis.wsgi import Middleware

def hello(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [f"Hello, {environ['REMOTE_USER']}!".encode()]

Engine(cache_directory=sys.argv[1])
chain = Chain(Authenticator("people", "simple", settings={"password": "secret"}))
with make_server("127.0.0.1", 0, Middleware(hello, chain)) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


def test_an_application_with_nothing_but_the_wheel_lets_its_users_in(installed):
    command = [installed / "python", "-c", APPLICATION, python_package.CACHE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            url = f"http://127.0.0.1:{int(child.stdout.readline())}"
            assert send(url, "/").status == 401
            assert send(url, "/", basic("alice", "guessed")).status == 401
            answer = send(url, "/", basic("alice", "secret"))
            assert (answer.status, answer.body) == (200, b"Hello, alice!")
        finally:
            child.terminate()


@pytest.mark.parametrize("other", ["manylinux_2_17_{processor}", "musllinux_1_2_{processor}", "manylinux_2_40_riscv64"])
def test_on_another_system_pip_says_what_the_page_says(wheel, tmp_path, other):
    system = other.format(processor=platform.machine())
    done = pip("install", wheel, "--platform", system, "--only-binary", ":all:", "--target", tmp_path / "x")
    [told] = re.findall("(?m)^ERROR: .*$", done.stderr)
    [shown] = re.findall("(?m)^ERROR: .*$", PAGE)
    assert done.returncode != 0
    assert NAME.sub("WHEEL", told) == NAME.sub("WHEEL", shown)


class InThePod(DaskInProcess):
    """A server as the Helm chart starts it, in an environment that doesn't have the package."""

    def _launch(self, api, proxy):
        command, environment, url = super()._launch(api, proxy)
        return command, environment | {"PYTHONPATH": ""}, url


@pytest.fixture(scope="module")
def files(wheel):
    """The address of a server that has the wheel."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=wheel.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def chart(wheel, digest, files, folder, provider):
    """What the Helm chart makes of the values on the page: see its `templates/gateway/configmap.yaml`."""
    places = {
        "https://files.example/WHEEL#sha256=DIGEST": f"{files}/{wheel.name}#sha256={digest}",
        "/tmp/portcullis": folder,
        "https://idp.example": provider.issuer,
        "https://gateway.example": provider.audience,
    }
    values = yaml.safe_load(replaced(block(PAGE, "On Kubernetes", "yaml"), places))["gateway"]
    assert values["auth"]["type"] == "custom"
    custom = values["auth"]["custom"]
    return "\n".join([
        f"c.DaskGateway.authenticator_class = {custom['class']!r}",
        f"c[{custom['class'].rsplit('.', 1)[-1]!r}].update({custom['config']!r})",
        *values["extraConfig"].values(),
    ])


def test_the_server_of_the_helm_chart_installs_it_when_it_starts(wheel, files, tmp_path_factory, provider):
    folder = tmp_path_factory.mktemp("pod")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with starter(InThePod, tmp_path_factory) as start:
        server = start(chart(wheel, digest, files, folder / "package", provider))
        assert server.send("/api/v1/clusters/").status == 401
        assert server.send("/api/v1/clusters/", bearer(provider.user_token("alice"))).status == 200
    assert (folder / "package" / "portcullis").is_dir()


def test_the_server_of_the_helm_chart_takes_no_other_file(wheel, files, tmp_path, provider):
    config = tmp_path / "config.py"
    config.write_text("c = get_config()\n" + chart(wheel, "0" * 64, files, tmp_path / "package", provider))
    command = [VENV_BIN / "dask-gateway-server", "-f", config]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stdout + done.stderr
    assert not (tmp_path / "package").exists()
