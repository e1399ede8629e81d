"""Builds plugins and helper programs of the tests. Each is rebuilt only when its source changes."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
from contextlib import contextmanager

from .paths import PEERS, ROOT, STATE, TESTS, VENV_BIN, WIT

TARGET = "wasm32-wasip2"

EMBED = ROOT / "examples" / "embed.mk"
"""The rule by which the examples in Go and C become components."""


def python_component(name="python"):
    """An authenticator of `plugins/` in Python, by the command of the authors' page."""
    return _by_the_page("Python", TESTS / "plugins" / name)


def javascript_component(name="javascript"):
    """An authenticator of `plugins/` in JavaScript, by the command of the authors' page."""
    return _by_the_page("JavaScript", TESTS / "plugins" / name)


def _by_the_page(language, folder):
    """A component by the command of the authors' page, in a folder with the sources, the helper module and `wit/`."""
    section = (ROOT / "docs/authors.md").read_text().split(f"\n## {language}\n")[1].split("\n## ")[0]
    [command] = re.findall(r"(?m)^    (.*app\.wasm)$", section)
    helper = ROOT / "sdk" / language.lower()
    return _componentized([(folder, "."), (helper, "."), (WIT, "wit")], ".", command, "app.wasm", folder.name)


def language_example(language, name):
    """An authenticator of `examples/LANGUAGE/`, by the command of its page."""
    folder = ROOT / "examples" / language / name
    inside = folder.relative_to(ROOT)
    needs = [(path, path.relative_to(ROOT)) for path in (folder, ROOT / "sdk" / language, WIT, EMBED) if path.exists()]
    return _componentized(needs, inside, build_command(folder), f"{name}.wasm", f"{language}-{name}")


def helper_prober(language):
    """The authenticator of `plugins/LANGUAGE`, which uses all of the helper module, built as the example in that language is."""
    folder = ROOT / "examples" / language / "api_key"
    inside = folder.relative_to(ROOT)
    needs = [(path, path.relative_to(ROOT)) for path in (folder, ROOT / "sdk" / language, WIT, EMBED)]
    needs.append((TESTS / "plugins" / language, inside))
    return _componentized(needs, inside, build_command(folder), "api_key.wasm", f"{language}-prober")


def _componentized(needs, inside, command, made, name):
    """Runs a shell command that makes a component, in a copy of what it needs: pairs of a folder or file and of its place there."""
    digest = hashlib.sha256(f"{_digest(*(path for path, _ in needs))} {[str(place) for _, place in needs]} {command}".encode()).hexdigest()[:16]
    built = STATE / "plugins" / f"{name}-{digest}.wasm"
    if not built.exists():
        # Another process of pytest may make the same component.
        copy = STATE / "plugins" / f"{built.stem}-source-{os.getpid()}"
        shutil.rmtree(copy, ignore_errors=True)
        for path, place in needs:
            if path.is_file():
                shutil.copy(path, copy / place)
            else:
                shutil.copytree(path, copy / place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.wasm"))
        (copy / "node_modules").symlink_to(PEERS / "node_modules")
        subprocess.run(command, shell=True, cwd=copy / inside, env=_tools(), check=True, timeout=170)
        (copy / inside / made).rename(built)
        shutil.rmtree(copy)
    return built


def build_command(folder):
    """The line of an example's page that builds the component."""
    [command] = re.findall(rf"(?m)^    (.*{folder.name}\.wasm)$", (folder / "README.md").read_text())
    return command


@contextmanager
def replacing(path):
    """A file to write, which becomes `path` when it is complete. Another process of pytest may make the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    yield partial
    partial.rename(path)


def example_component(name):
    """A plugin of the examples, such as `api_key` or `authorizers/cel`: a crate of its own, outside the workspace."""
    return _cargo_component(ROOT / "examples" / name, name.rpartition("/")[2])


def cedar_oracle(seed, policies, requests):
    """The lines of the program that makes up policies and requests, and asks the crate `cedar-policy` about them."""
    crate = ROOT / "plugins" / "cedar"
    environment = os.environ | {"CARGO_TARGET_DIR": str(STATE / "guests")}
    command = ["cargo", "run", "--quiet", "--locked", "--example", "oracle", "--", str(seed), str(policies), str(requests)]
    ran = subprocess.run(command, cwd=crate, env=environment, check=True, timeout=1200, capture_output=True, text=True)
    return ran.stdout.splitlines()


def guest_component(name):
    return _cargo_component(TESTS / "guests" / name, name)


def contract_component(crate):
    """A component that is built against the text of one version of the contract."""
    # Two versions have crates of the same name, and would otherwise overwrite each other.
    folder = STATE / "contract" / f"{crate.name}-{_digest(crate / 'wit')}"
    environment = os.environ | {"CARGO_TARGET_DIR": str(folder)}
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target", TARGET]
    subprocess.run(command, cwd=crate, env=environment, check=True, timeout=600)
    return folder / TARGET / "release" / "contract.wasm"


@functools.cache
def negotiate_helper():
    """The program that accepts Kerberos tokens: a crate of the gateway's outside of its workspace."""
    return _cargo(ROOT / "host" / "negotiate") / "portcullis-negotiate"


@functools.cache
def encoder():
    """The program that turns WebAssembly's text format into binaries."""
    return _cargo(TESTS / "guests" / "encode") / "encode"


@functools.cache
def rebinder():
    """The library that answers the gateway's look-ups, for `LD_PRELOAD`."""
    source = TESTS / "peers" / "rebind.c"
    built = STATE / "plugins" / f"rebind-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}.so"
    if not built.exists():
        with replacing(built) as partial:
            subprocess.run(["cc", "-shared", "-fPIC", "-o", partial, source, "-ldl"], check=True, timeout=60)
    return built


def _cargo_component(crate, name):
    return _cargo(crate, TARGET) / f"{name}.wasm"


def _cargo(crate, target=None):
    """Builds with cargo, which knows itself what has changed, in a target directory apart from the workspace's."""
    folder = STATE / "guests"
    environment = os.environ | {"CARGO_TARGET_DIR": str(folder)}
    command = ["cargo", "build", "--quiet", "--release"] + (["--target", target] if target else [])
    subprocess.run(command, cwd=crate, env=environment, check=True, timeout=600)
    return folder / (target or "") / "release"


def _tools():
    """The environment in which the commands of the pages find their tools."""
    # Go may not fetch another version of itself, and keeps its cache with the other builds.
    go = {"GOTOOLCHAIN": "local", "GOCACHE": str(STATE / "go")}
    return os.environ | go | {"PATH": f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}"}


def _digest(*folders):
    """A digest of every file's name and content. A folder may be a single file, too."""
    digest = hashlib.sha256()
    for folder in folders:
        found = [folder] if folder.is_file() else folder.rglob("*")
        for path in sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    cedar_oracle(0, 1, 0)
    guests = (guest_component(name) for name in ("hostile", "fetcher", "scripted", "prober"))
    for built in (
        *(python_component(name) for name in ("python", "python_prober")),
        *(javascript_component(name) for name in ("javascript", "javascript_prober")),
        *(language_example(language, "api_key") for language in ("python", "javascript", "go", "c")),
        *(language_example(language, "jwt") for language in ("python", "javascript")),
        *(example_component(name) for name in ("api_key", "authorizers/cel", "authorizers/rego", "github", "htpasswd", "introspection")),
        *guests,
        *(contract_component(crate) for crate in sorted((TESTS / "contract").iterdir()) if crate.is_dir()),
        encoder(),
        negotiate_helper(),
    ):
        print(built.relative_to(ROOT))
