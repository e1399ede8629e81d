"""The commands of `docs/authors.md` as written, and what they print: from nothing to the first 200, and from the source in Rust to a
signed plugin in a gateway."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from harness import build
from harness.gateway import clean
from harness.page import blocks, is_printed, section, sessions
from harness.paths import PORTCULLIS, ROOT, STATE
from harness.process import Child

PAGE = (ROOT / "docs/authors.md").read_text()

VARIES = re.compile(
    r"\d+\.\d+(?:s|ms|µs)\b|\b[0-9a-f]{64}\b|\b[0-9A-F]{16}\b|\b\d{4,}(?= bytes\b)|\b[0-9A-Za-z+/]{76,}=*"
)
"""What each run prints anew: times, digests, ids of keys, the sizes of components, and signatures."""


def pattern(line):
    return r"[\w.+/=]+".join(re.escape(part) for part in VARIES.split(line))


def environment():
    path = os.pathsep.join([str(PORTCULLIS.parent), os.environ["PATH"]])
    return clean({"PATH": path, "CARGO_NET_OFFLINE": "true", "CARGO_TARGET_DIR": "", "PORTCULLIS_LOG": "info"})


@pytest.mark.timeout(900)
def test_the_commands_of_the_page_lead_from_nothing_to_the_first_200(tmp_path):
    # The folder is the same each time, so that cargo builds the dependencies once.
    folder = STATE / "author-page"
    kept = folder / "target"
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "work").mkdir()
    here, served = folder / "work", None
    variables = {name: value for name, value in environment().items() if name != "CARGO_TARGET_DIR"}
    try:
        for command, shown in sessions(section(PAGE, "Start a project")):
            if command.startswith("cd "):
                here = here / command.removeprefix("cd ")
                kept.mkdir(exist_ok=True)
                (here / "target").symlink_to(kept)
                continue
            if command.startswith("portcullis plugin dev"):
                words = shlex.split(command.replace("127.0.0.1:8000", "127.0.0.1:0"))
                served = Child([PORTCULLIS, *words[1:]], tmp_path / "dev.log", env=variables, cwd=here)
                found = served.wait_until(lambda: address(served), "listening", seconds=600)
                continue
            if served:
                command = command.replace("127.0.0.1:8000", found)
            done = subprocess.run(
                ["sh", "-c", command], cwd=here, env=variables, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr[-4000:]}"
            assert is_printed(shown, done.stdout, pattern), f"{command}:\n{done.stdout}"
        assert served and "outcome" in plain(served) and "grant" in plain(served)
    finally:
        if served:
            served.stop()


def plain(child):
    return re.sub(r"\x1b\[[0-9;]*m", "", child.output())


def address(child):
    found = re.search(r"listening.*?address=\"?(127\.0\.0\.1:\d+)", plain(child))
    return found and found[1]


@pytest.mark.parametrize("title", ["Test the component", "The manifest"])
def test_the_commands_of_a_section_print_what_it_shows(tmp_path, api_key_component, title):
    text = section(PAGE, title).split("\n### The self-test\n")[0]
    shutil.copy(api_key_component, tmp_path / "api_key.wasm")
    shutil.copy(api_key_component, tmp_path / "app.wasm")
    shutil.copy(build.example_component("github"), tmp_path / "github.wasm")
    for manifest in blocks(text, "json"):
        (tmp_path / "manifest.json").write_text(manifest)
    shown = [(command, lines) for command, lines in sessions(re.sub(r"(?m)^    (?!\$ )(warning|FAILED).*\n(    (?!\$ ).*\n)*", "", text))]
    assert shown
    for command, lines in shown:
        words = shlex.split(command.replace("plugin bench", "plugin bench --calls 20"))
        assert words[0] == "portcullis"
        # Each example has cases of its own.
        shutil.copy(ROOT / "examples" / ("github" if "github.wasm" in words else "api_key") / "cases.toml", tmp_path)
        done = subprocess.run([PORTCULLIS, *words[1:]], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert is_printed(lines, done.stdout, pattern), f"{command}:\n{done.stdout}"


@pytest.mark.timeout(900)
def test_the_authenticator_in_rust_is_built_tried_debugged_and_signed(tmp_path):
    page = section(PAGE, "Rust").split("\n### ")[0]
    crate, here = tmp_path / "crate", tmp_path / "here"
    (crate / "src").mkdir(parents=True)
    [manifest], [source] = blocks(page, "toml"), blocks(page, "rust")
    (crate / "Cargo.toml").write_text(manifest.replace('"…"', f'"{ROOT}/sdk"'))
    # The versions that are there already, since nothing is fetched, and what is built of them.
    shutil.copy(ROOT / "examples/api_key/Cargo.lock", crate)
    (crate / "target").symlink_to(STATE / "projects")
    variables = {name: value for name, value in environment().items() if name != "CARGO_TARGET_DIR"}

    def run(command, folder):
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr[-4000:]}"
        return done.stdout

    def follow(title):
        for command, shown in sessions(section(PAGE, title)):
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                variables[name] = value
                continue
            printed = run(command, here)
            assert is_printed(shown, printed, pattern), f"{command}:\n{printed}"

    [command] = re.findall(r"(?m)^    (cargo build .*)$", page)

    def built(text, *places):
        (crate / "src/lib.rs").write_text(text)
        run(command, crate)
        for place in places:
            shutil.copy(crate / "target/wasm32-wasip2/release/api_key.wasm", place / "keys.wasm")

    (here / "plugins").mkdir(parents=True)
    shutil.copy(build.python_component(), here / "app.wasm")
    built(source, here, here / "plugins")
    for block in blocks(section(PAGE, "Try it"), "toml"):
        (here / block.splitlines()[0].removeprefix("# ")).write_text(block)
    follow("Try it")

    [wrong] = blocks(section(PAGE, "Debug it"), "rust")
    mistaken, replaced = re.subn(r"(?sm)^    fn authenticate.*?^    }\n", lambda _: wrong, source)
    assert replaced == 1
    built(mistaken, here / "plugins")
    follow("Debug it")

    follow("Sign it")
    for name in ("keys.wasm", "keys.wasm.minisig"):
        shutil.copy(here / name, here / "plugins")
    [trusting] = blocks(section(PAGE, "Sign it"), "toml")
    key = (here / "vendor.pub").read_text().splitlines()[1]
    trusting, replaced = re.subn(r"RW[\w+/]{54}", key, trusting)
    config = (here / "portcullis.toml").read_text()
    assert replaced == 1 and config.count('[plugins]\ndirectory = "plugins"\n') == 1
    (here / "portcullis.toml").write_text(config.replace('[plugins]\ndirectory = "plugins"\n', trusting))
    follow("A new build")
    assert "verified" in run("portcullis plugin inspect --authenticator keys --config portcullis.toml", here)


@pytest.mark.parametrize("tool", ["componentize-py", "componentize-js", "jco"])
def test_the_version_of_a_tool_is_the_same_wherever_it_is_named(tool):
    """On the pages, in the templates, and in what the tests install."""
    named = re.compile(rf"{tool}(?:==|@|\": \"| \(\w+\) \| | )(\d+\.\d+\.\d+)")
    places = ("docs/**/*.md", "examples/**/*.md", "sdk/**/*.md", "host/gateway/templates/**/*.*", "tests/*.md", "tests/*.txt", "tests/peers/*.json")
    files = [file for place in places for file in ROOT.glob(place) if file.is_file() and "node_modules" not in file.parts]
    versions = {str(file.relative_to(ROOT)): set(named.findall(file.read_text())) for file in files}
    found = {file: each for file, each in versions.items() if each}
    assert len(found) > 4, found
    assert len(set.union(*found.values())) == 1, found
