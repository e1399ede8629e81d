"""Builds plugins and helper programs of the tests. Each is rebuilt only when its source changes."""

import functools
import hashlib
import os
import subprocess

from .paths import PEERS, ROOT, STATE, TESTS, VENV_BIN, WIT

TARGET = "wasm32-wasip2"


def python_component(name="python"):
    """An authenticator in Python, by componentize-py against `wit/` alone."""
    return _kept(name, [VENV_BIN / "componentize-py", "-d", WIT, "-w", "plugin", "componentize", "app", "-o"])


def javascript_component(name="javascript"):
    """An authenticator in JavaScript, by componentize-js against `wit/` alone."""
    program = PEERS / "node_modules" / ".bin" / "componentize-js"
    return _kept(name, [program, "app.js", "-w", WIT, "-n", "plugin", "-o"])


def _kept(name, command):
    """Runs `command` in the source folder of this name, with the file to write as its last argument."""
    source = TESTS / "plugins" / name
    digest = hashlib.sha256(f"{_digest(source, WIT)} {command}".encode()).hexdigest()[:16]
    built = STATE / "plugins" / f"{name}-{digest}.wasm"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        partial = built.with_suffix(".partial")
        subprocess.run([*command, partial], cwd=source, check=True, timeout=170)
        partial.rename(built)
    return built


def example_component(name):
    """An authenticator of the examples: a crate of its own, outside the workspace."""
    return _cargo_component(ROOT / "examples" / name, name)


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
        built.parent.mkdir(parents=True, exist_ok=True)
        partial = built.with_suffix(".partial")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", partial, source, "-ldl"], check=True, timeout=60)
        partial.rename(built)
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


def _digest(*folders):
    """A digest of every file's name and content."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    guests = (guest_component(name) for name in ("hostile", "fetcher", "scripted", "prober"))
    for built in (
        *(python_component(name) for name in ("python", "python_prober")),
        *(javascript_component(name) for name in ("javascript", "javascript_prober")),
        *(example_component(name) for name in ("api_key", "htpasswd", "introspection")),
        *guests,
        *(contract_component(crate) for crate in sorted((TESTS / "contract").iterdir()) if crate.is_dir()),
        encoder(),
        negotiate_helper(),
    ):
        print(built.relative_to(ROOT))
