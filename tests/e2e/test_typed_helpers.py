"""The helper modules have types: mypy and tsc, both strict, accept them with the examples that use them, and find mistakes."""

import os
import re
import shutil
import subprocess

import pytest

from harness.paths import PEERS, ROOT, VENV_BIN, WIT

PYTHON = ROOT / "sdk/python/portcullis.py"
JAVASCRIPT = ROOT / "sdk/javascript"

TEMPLATES = "host/gateway/templates"


@pytest.fixture(scope="module")
def bindings(tmp_path_factory):
    """What componentize-py makes of `wit/`, as an editor sees it."""
    return bound(tmp_path_factory, "authenticator-plugin")


@pytest.fixture(scope="module")
def login_bindings(tmp_path_factory):
    return bound(tmp_path_factory, "login-plugin")


@pytest.fixture(scope="module")
def authorizer_bindings(tmp_path_factory):
    return bound(tmp_path_factory, "authorizer-plugin")


def bound(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("bindings")
    subprocess.run([VENV_BIN / "componentize-py", "-d", WIT, "-w", world, "bindings", folder], check=True)
    return folder


def mypy(bindings, folder, *files):
    environment = os.environ | {"MYPYPATH": f"{bindings}:{PYTHON.parent}"}
    command = [VENV_BIN / "mypy", "--strict", "--cache-dir", folder, *files]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("file", ["sdk/python/portcullis.py", "examples/python/api_key/app.py", "examples/python/jwt/app.py"])
def test_mypy(bindings, tmp_path, file):
    done = mypy(bindings, tmp_path, ROOT / file)
    assert done.stdout.startswith("Success"), done.stdout


@pytest.mark.parametrize("file", ["sdk/python/portcullis_login.py", "examples/python/github/app.py", f"{TEMPLATES}/python-login/app.py"])
def test_mypy_of_logins(login_bindings, tmp_path, file):
    done = mypy(login_bindings, tmp_path, ROOT / file)
    assert done.stdout.startswith("Success"), done.stdout


@pytest.mark.parametrize(
    "file", ["sdk/python/portcullis_authorizer.py", "examples/python/writers/app.py", f"{TEMPLATES}/python-authorizer/app.py"]
)
def test_mypy_of_authorizers(authorizer_bindings, tmp_path, file):
    done = mypy(authorizer_bindings, tmp_path, ROOT / file)
    assert done.stdout.startswith("Success"), done.stdout


@pytest.mark.parametrize(
    "written, mistake, error",
    [
        ('return grant("api")', "return grant(7)", 'incompatible type "int"; expected "str"'),
        ("self.key.matches(key)", "self.key.match(key)", '"Secret" has no attribute "match"'),
        ("raise not_mine()", "return not_mine()", 'expected "Grant"'),
        ("export(ApiKey, Settings)", "export(Settings, Settings)", 'expected "Callable'),
    ],
)
def test_mypy_finds_mistakes(bindings, tmp_path, written, mistake, error):
    source = (ROOT / "examples/python/api_key/app.py").read_text()
    assert written in source
    (tmp_path / "app.py").write_text(source.replace(written, mistake))
    assert error in mypy(bindings, tmp_path, "app.py").stdout


def tsc(folder, source):
    for file in JAVASCRIPT.iterdir():
        shutil.copy(file, folder)
    (folder / "app.js").write_text(source)
    options = ["--noEmit", "--strict", "--checkJs", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler"]
    command = [VENV_BIN / "node", PEERS / "node_modules/typescript/bin/tsc", *options, "app.js", *sorted(file.name for file in JAVASCRIPT.glob("*.d.ts"))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    "folder",
    [
        *(f"examples/javascript/{name}" for name in ("api_key", "github", "jwt", "writers")),
        *(f"{TEMPLATES}/javascript-{role}" for role in ("authorizer", "login")),
    ],
)
def test_tsc(tmp_path, folder):
    done = tsc(tmp_path, (ROOT / folder / "app.js").read_text())
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "written, mistake, error",
    [
        ('grant("api")', "grant(7)", "Argument of type 'number' is not assignable to parameter of type 'string'"),
        ("this.key.matches", "this.key.match", "Property 'match' does not exist on type 'Secret'"),
        ("settings.key;", "settings.kye;", "Property 'kye' does not exist"),
        ("throw notMine()", "return notMine()", "is not assignable to type 'Grant | Promise<Grant>'"),
        ("secret(", "text(", "Property 'matches' does not exist on type 'string'"),
    ],
)
def test_tsc_finds_mistakes(tmp_path, written, mistake, error):
    source = (ROOT / "examples/javascript/api_key/app.js").read_text().replace("notMine, secret", "notMine, secret, text")
    assert written in source
    assert error in tsc(tmp_path, source.replace(written, mistake)).stdout


def test_what_javascript_exports_is_typed():
    declared = r"(?m)^export (?:async )?(?:const|function|class) (\w+)"
    exported = re.findall(declared, (JAVASCRIPT / "portcullis.js").read_text())
    typed = re.findall(declared, (JAVASCRIPT / "portcullis.d.ts").read_text())
    assert sorted(exported) == sorted(typed)
