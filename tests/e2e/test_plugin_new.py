"""`plugin new` writes projects that build, pass their tests and load; `plugin dev` builds one at every change and serves it."""

import os
import re
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path

import psutil
import pytest

from harness import client
from harness.gateway import clean, run
from harness.paths import PEERS, PORTCULLIS, ROOT, STATE, VENV_BIN
from harness.process import Child, eventually

def new(folder, name, *arguments):
    return run("plugin", "new", name, *arguments, folder=folder)


def environment(**more):
    """The programs of the tests first, with the program under test among them. Nothing is fetched."""
    folders = [PORTCULLIS.parent, PEERS / "node_modules/.bin", VENV_BIN, os.environ["PATH"]]
    path = os.pathsep.join(str(folder) for folder in folders)
    # What a project builds for the machine or the sandbox is kept between runs, because it is most of the time.
    target = str(STATE / "projects")
    return clean({"PATH": path, "CARGO_NET_OFFLINE": "true", "CARGO_TARGET_DIR": target}) | more


def shell(command, folder):
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment(), capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL
    )


def commands(readme):
    """The commands of a README: the lines with four spaces, without their comments."""
    block = re.search(r"(?m)(?:^    .*\n)+", readme)[0]
    return [re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines()]


DONE_ALREADY = ("npm ci", "pip install", "python3 -m venv", "portcullis plugin dev")
"""What installs the tools is done; what serves is another test's."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", ["rust", "javascript", "python"])
def test_a_new_project_does_what_its_page_says(tmp_path, language):
    done = new(tmp_path, "zebra-key", "--lang", language)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "zebra-key"
    printed = [line.strip() for line in done.stdout.splitlines()[1:]]
    assert printed[0] == "cd zebra-key" and len(printed) == 4
    page = commands((folder / "README.md").read_text())
    assert set(printed[1:]) <= set(page)
    if language == "javascript":
        (folder / "node_modules").symlink_to(PEERS / "node_modules")
    if language == "rust":
        (folder / "target").symlink_to(STATE / "projects")
    lock = (folder / "Cargo.lock").read_text() if language == "rust" else None
    for command in dict.fromkeys([*page, *printed[1:]]):
        if not command.startswith(DONE_ALREADY):
            ran = shell(command, folder)
            assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]}{ran.stderr[-4000:]}"
    [component] = [path for path in (folder / "target/wasm32-wasip2/release/zebra_key.wasm", folder / "zebra-key.wasm") if path.exists()]
    if lock is not None:
        assert (folder / "Cargo.lock").read_text() == lock, "the lock of the template is out of date"
    inspected = run("plugin", "inspect", component, folder=folder).stdout
    assert inspected.startswith("plugin    zebra-key 0.1.0: Accepts requests that carry an API key\n")
    assert 'asks for  header "x-api-key"\n' in inspected
    assert "\nself-test without a key, the next authenticator is asked\n          no key is empty\n" in inspected
    if language == "rust":  # A copy of an interpreter takes a minute, and adds nothing here.
        conforms = run("plugin", "conformance", component, "cases.toml", folder=folder)
        assert conforms.returncode == 0, conforms.stdout
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(component, plugins / "zebra-key.wasm")
    shutil.copy(folder / "zebra-key.toml", plugins)
    route = '[[routes]]\npath = "/"\nauthenticators = ["zebra-key"]\nupstream = "portcullis:whoami"\n'
    checked = run("check", folder=folder, config=f'[plugins]\ndirectory = "plugins"\n{route}')
    assert (checked.returncode, checked.stdout.count("\n")) == (0, 1), checked.stdout + checked.stderr
    if language == "rust":
        # The self-test that the source declares is asked: one that can't pass keeps the plugin from being used.
        source = folder / "src/lib.rs"
        source.write_text(source.read_text().replace('expect = { verdict = "pass" }', 'expect = { verdict = "grant" }'))
        built = shell("cargo build --release --target wasm32-wasip2", folder)
        assert built.returncode == 0, built.stderr[-4000:]
        shutil.copy(component, plugins / "zebra-key.wasm")
        checked = run("check", folder=folder, config=f'[plugins]\ndirectory = "plugins"\n{route}')
        assert checked.returncode == 1
        assert 'its self-test "without a key, the next authenticator is asked" fails: verdict: expected grant, found pass' in checked.stderr


ROLES = {
    "login": (
        "zebra-forge 0.1.0: Logs people in at a provider that speaks OAuth 2.0",
        "authenticator, login",
        '[[routes]]\npath = "/"\nauthenticators = ["zebra-forge"]\nupstream = "portcullis:whoami"\n',
    ),
    "authorizer": (
        "zebra-editors 0.1.0: Lets everybody read and a group write",
        "authorizer",
        '[authenticators.people]\nplugin = "simple"\n'
        '[[routes]]\npath = "/"\nauthenticators = ["people"]\nauthorizers = ["zebra-editors"]\nupstream = "portcullis:whoami"\n',
    ),
}
"""By role: what `plugin inspect` says of the plugin and of its roles, and a configuration with it."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("language", ["rust", "javascript", "python"])
@pytest.mark.parametrize("role", ROLES)
def test_a_new_plugin_of_another_role_does_what_its_page_says(tmp_path, role, language):
    described, roles, config = ROLES[role]
    name = described.split()[0]
    done = new(tmp_path, name, "--role", role, "--lang", language)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / name
    if language == "javascript":
        (folder / "node_modules").symlink_to(PEERS / "node_modules")
    if language == "rust":
        (folder / "target").symlink_to(STATE / "projects")
    lock = (folder / "Cargo.lock").read_text() if language == "rust" else None
    for command in commands((folder / "README.md").read_text()):
        if not command.startswith(DONE_ALREADY):
            ran = shell(command, folder)
            assert ran.returncode == 0, f"{command}: {ran.stdout[-2000:]}{ran.stderr[-4000:]}"
    if lock is not None:
        assert (folder / "Cargo.lock").read_text() == lock, "the lock of the template is out of date"
    built = f"target/wasm32-wasip2/release/{name.replace('-', '_')}.wasm" if language == "rust" else f"{name}.wasm"
    component = folder / built
    inspected = run("plugin", "inspect", component, folder=folder).stdout
    assert inspected.startswith(f"plugin    {described}\n")
    assert f"\nrole      {roles}\n" in inspected
    if language == "rust":
        conforms = run("plugin", "conformance", component, "cases.toml", folder=folder)
        assert conforms.returncode == 0, conforms.stdout
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(component, plugins / f"{name}.wasm")
    shutil.copy(folder / f"{name}.toml", plugins)
    checked = run("check", folder=folder, config=f'[plugins]\ndirectory = "plugins"\n{config}')
    assert (checked.returncode, checked.stdout.count("\n")) == (0, 1), checked.stdout + checked.stderr


@pytest.mark.parametrize("language", ["rust", "javascript", "python"])
@pytest.mark.parametrize("role", ["authenticator", *ROLES])
def test_a_new_project_is_built_again_when_any_of_its_sources_changes(tmp_path, role, language):
    assert new(tmp_path, "zebra-key", "--role", role, "--lang", language).returncode == 0
    folder = tmp_path / "zebra-key"
    build = tomllib.loads((folder / "build.toml").read_text())
    assert [source for source in build["sources"] if not (folder / source).exists()] == []
    program = {"rust": "src", "javascript": "app.js", "python": "app.py"}[language]
    helpers = {path.name for path in folder.glob("portcullis*") if path.suffix in (".js", ".py")}
    assert {program, *helpers} <= set(build["sources"])
    names = ("target/wasm32-wasip2/release/zebra_key.wasm", "zebra-key.wasm")
    assert (build["name"], build["component"]) == ("zebra-key", names[language != "rust"])


def test_dev_builds_and_serves_a_new_project_in_python(tmp_path):
    assert new(tmp_path, "zebra-editors", "--role", "authorizer", "--lang", "python").returncode == 0
    folder, log = tmp_path / "zebra-editors", tmp_path / "dev.log"
    child = Child([PORTCULLIS, "plugin", "dev", folder, "--listen", "127.0.0.1:0"], log, env=environment(), cwd=tmp_path)
    try:
        url = child.wait_until(lambda: listening(child), "the first build is served", seconds=120)
        alice = client.basic("alice")
        assert [client.send(url, "/", alice, method).status for method in ("GET", "POST")] == [200, 403]
        program = folder / "app.py"
        # Its self-test doesn't know her.
        program.write_text(program.read_text().replace("if is_safe(request):", 'if is_safe(request) or principal.user.name == "alice":'))
        # She may, and the page that shows who she is takes no POST.
        eventually(lambda: client.send(url, "/", alice, "POST").status == 405, "the change is served", seconds=120)
    finally:
        child.kill()


def test_the_tools_of_the_templates_are_those_of_the_tests():
    """So that what the tests build with is what a project gets."""
    templates = ROOT / "host/gateway/templates"
    assert (templates / "python/requirements.txt").read_text().strip() in (ROOT / "tests/requirements.txt").read_text().split()
    ours = {package["name"]: package for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    known = {(package["name"], package["version"]) for package in tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]}
    lock = tomllib.loads((templates / "rust/Cargo.lock").read_text())["package"]
    missing = {(package["name"], package["version"]) for package in lock} - known - {("my-plugin", "0.1.0")}
    assert not missing and "portcullis-sdk" in ours, "copy Cargo.lock into a new project, run cargo metadata there, and keep the result"


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("Api",), 2, "a name has small letters from a to z"),
        (("../x",), 2, "a name has small letters"),
        (("a-b_c",), 2, "not by both"),
        (("self",), 2, "word of Rust"),
        (("key", "--lang", "cobol"), 2, "rust, javascript, python"),
        (("key", "--lang", "python", "--sdk", "."), 1, "--sdk is for Rust"),
        (("key", "--role", "gate"), 2, 'a plugin\'s role is "authenticator", "authorizer" or "login"'),
        (("key", "--sdk", "gone"), 1, "--sdk gone: "),
        (("key", "--sdk", "full"), 1, "Cargo.toml"),
        (("key", "full"), 1, "full: isn't empty, and nothing in it is overwritten"),
        (("full",), 1, "full: isn't empty"),
        (("key", "full/file"), 1, "full/file: "),
    ],
)
def test_what_is_no_project_is_refused_and_nothing_is_written(tmp_path, arguments, code, words):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    done = new(tmp_path, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["full", "full/file"]


@pytest.mark.parametrize("language, files", [("python", ["portcullis.py"]), ("javascript", ["portcullis.js", "portcullis.d.ts"])])
def test_a_project_has_the_helper_module_and_the_plugin_of_the_example(tmp_path, language, files):
    assert new(tmp_path, "key", "--lang", language, "--role", "authenticator").returncode == 0
    for file in files:
        assert (tmp_path / "key" / file).read_bytes() == (ROOT / "sdk" / language / file).read_bytes()
    app = {"python": "app.py", "javascript": "app.js"}[language]
    assert (tmp_path / "key" / app).read_text() == (ROOT / "examples" / language / "api_key" / app).read_text()


def test_the_sdk_may_be_elsewhere(tmp_path):
    done = new(tmp_path, "key", "--sdk", ROOT / "sdk")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "key/vendor").exists()
    manifest = tomllib.loads((tmp_path / "key/Cargo.toml").read_text())
    assert manifest["dependencies"]["portcullis-sdk"] == {"path": str(ROOT / "sdk")}
    metadata = shell("cargo metadata --locked --offline --format-version 1", tmp_path / "key")
    assert metadata.returncode == 0, metadata.stderr


def test_the_copies_are_those_of_the_repository(tmp_path):
    assert new(tmp_path, "key").returncode == 0
    assert new(tmp_path, "other", "--lang", "python").returncode == 0
    for copy, source in [(tmp_path / "key/vendor/portcullis/sdk", ROOT / "sdk"), (tmp_path / "other/wit", ROOT / "wit")]:
        files = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
        assert Path("wit/world.wit" if source.name == "sdk" else "world.wit") in files
        assert all((copy / file).read_bytes() == (source / file).read_bytes() for file in files)
        assert not [file for file in files if "released" in file.parts]


# plugin dev


def listening(child):
    """The address of `plugin dev`. `None` as long as it serves nothing."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", child.output())
    found = re.search(r"listening.*?address=\"?(127\.0\.0\.1:\d+)", plain)
    return found and f"http://{found[1]}"


class Dev:
    """`plugin dev` for a project whose build copies a component, so that a build takes no time."""

    def __init__(self, tmp_path, component, config):
        self.folder = tmp_path / "project"
        self.temporary = tmp_path / "tmp"
        for folder in (self.folder, self.temporary):
            folder.mkdir()
        shutil.copy(component, self.folder / "source.wasm")
        (self.folder / "guard.toml").write_text(config)
        self.build('set -e\n. ./fail\ncp source.wasm guard.wasm')
        (self.folder / "fail").write_text("")
        (self.folder / "build.toml").write_text(
            'name = "guard"\ncommand = ["sh", "build.sh"]\ncomponent = "guard.wasm"\nsources = ["source.wasm", "build.sh", "fail"]\n'
        )
        command = [PORTCULLIS, "plugin", "dev", self.folder, "--listen", "127.0.0.1:0"]
        self.child = Child(command, tmp_path / "dev.log", env=environment(TMPDIR=str(self.temporary)), cwd=tmp_path)

    def build(self, script):
        (self.folder / "build.sh").write_text(script + "\n")

    def says(self, words):
        return self.child.wait_until(lambda: words in self.child.output(), words, seconds=60)

    def status(self, **headers):
        url = self.child.wait_until(lambda: listening(self.child), "listening", seconds=60)
        return client.send(url, "/", {name.replace("_", "-"): value for name, value in headers.items()}).status

    def end(self, number=signal.SIGINT):
        self.child.process.send_signal(number)
        assert self.child.process.wait(30) == 0, self.child.output()[-3000:]
        assert list(self.temporary.iterdir()) == [], "nothing is left behind"


@pytest.fixture
def dev(tmp_path):
    running = []

    def start(component, config):
        running.append(Dev(tmp_path, component, config))
        return running[-1]

    yield start
    for started in running:
        print(started.child.output()[-6000:])
        started.child.kill()


KEY = '[settings]\nkey = "%s"\n[grants]\nheaders = ["x-api-key"]\n'


def test_dev_builds_serves_and_takes_up_changes(dev, api_key_component):
    served = dev(api_key_component, KEY % "one")
    assert served.status(X_Api_Key="one") == 200
    assert served.status(X_Api_Key="two") == 401
    served.says("wrong API key")
    # Another setting.
    (served.folder / "guard.toml").write_text(KEY % "two")
    eventually(lambda: served.status(X_Api_Key="two") == 200, "the new setting")
    # A build that fails: its error is shown, and the last one that worked is served.
    (served.folder / "fail").write_text("echo 'no such word' >&2; exit 3\n")
    served.says("no such word")
    served.says("the build failed: sh: exit status: 3")
    assert served.status(X_Api_Key="two") == 200
    # A component that no gateway loads: likewise.
    (served.folder / "fail").write_text("echo broken > guard.wasm; exit 0\n")
    served.says("this is no WebAssembly")
    assert served.status(X_Api_Key="two") == 200
    # A build that works again, and another plugin.
    (served.folder / "guard.toml").write_text('[settings]\n')
    shutil.copy(PLUGINS["scripted"](), served.folder / "source.wasm")
    (served.folder / "fail").write_text("")
    eventually(lambda: served.status(Authorization="Script grant") == 200, "the other plugin")
    served.end()


def test_dev_asks_an_authorizer_about_anybody(dev, judge):
    """It stands behind an authenticator that takes anybody's word for who they are."""
    served = dev(judge, '[settings]\nheader = "X-Judge"\n[grants]\nheaders = ["x-judge"]\n')
    alice = client.basic("alice")
    assert served.status(X_Judge="permit 0", **alice) == 200
    assert served.status(X_Judge="forbid it is late", **alice) == 403
    served.says("it is late")
    assert served.status(X_Judge="permit 0") == 401
    # What takes its place is another kind of plugin.
    (served.folder / "guard.toml").write_text("[settings]\n")
    shutil.copy(PLUGINS["scripted"](), served.folder / "source.wasm")
    eventually(lambda: served.status(Authorization="Script grant") == 200, "the authenticator")
    served.end()


def test_dev_waits_for_the_first_build_and_ends_cleanly_while_it_runs(dev, api_key_component, tmp_path):
    waiting = dev(api_key_component, KEY % "one")
    (waiting.folder / "fail").write_text("exit 1\n")
    waiting.build("echo $$ > ../pid; exec sleep 600")
    pid = eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the build has begun", 60)
    waiting.end(signal.SIGTERM)
    eventually(lambda: not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == "zombie", "the build has ended")


def test_dev_needs_a_project(tmp_path):
    done = run("plugin", "dev", tmp_path, folder=tmp_path)
    assert done.returncode == 1
    assert "build.toml: can't be opened" in done.stderr and "plugin new" in done.stderr


def scripted():
    from harness import build

    return build.guest_component("scripted")


PLUGINS = {"scripted": scripted}
