"""Components that the tests build for themselves, as somebody outside the project would, each kept until its source
changes."""

import hashlib
import os
import subprocess

from .paths import PEERS, ROOT, STATE, TESTS, VENV_BIN, WIT

TARGET = "wasm32-wasip2"


def python_component():
    """The Python authenticator, by componentize-py against `wit/` alone.

    `-s` replaces the imports of WASI, which a Python interpreter wants and this authenticator doesn't.
    """
    command = [VENV_BIN / "componentize-py", "-d", WIT, "-w", "plugin", "componentize", "app", "-s", "-o"]
    return _kept("python", command)


def javascript_component():
    """The JavaScript authenticator, by componentize-js against `wit/` alone.

    `-d stdio` leaves out standard output, and with it the files that the interpreter would import for that.
    """
    program = PEERS / "node_modules" / ".bin" / "componentize-js"
    return _kept("javascript", [program, "app.js", "-w", WIT, "-n", "plugin", "-d", "stdio", "-o"])


def _kept(language, command):
    """What `command` makes of the source in this language, its last word being the file to write."""
    source = TESTS / "plugins" / language
    built = STATE / "plugins" / f"{language}-{_digest(source, WIT)}.wasm"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        partial = built.with_suffix(".partial")
        subprocess.run([*command, partial], cwd=source, check=True, timeout=170)
        partial.rename(built)
    return built


def example_component(name):
    """An authenticator of the SDK's examples: a crate of its own, outside the workspace."""
    return _cargo_component(ROOT / "sdk" / "examples" / name, name)


def guest_component(name):
    return _cargo_component(TESTS / "guests" / name, name)


def _cargo_component(crate, name):
    """Builds with cargo, which knows itself what has changed, in a target directory apart from the workspace's."""
    target = STATE / "guests"
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    command = ["cargo", "build", "--quiet", "--release", "--target", TARGET]
    subprocess.run(command, cwd=crate, env=environment, check=True, timeout=600)
    return target / TARGET / "release" / f"{name}.wasm"


def _digest(*folders):
    """A digest of every file's name and content."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    guests = (guest_component(name) for name in ("hostile", "fetcher", "scripted"))
    for component in (python_component(), javascript_component(), example_component("api_key"), *guests):
        print(component.relative_to(ROOT))
