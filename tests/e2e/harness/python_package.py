"""The Python package as the tests import it: its sources, and the extension module that cargo has built for the tests of the
workspace. A build by maturin would compile every dependency once more, with fewer features."""

import os
import subprocess
import sys
import tomllib

from .paths import ROOT, STATE

PROJECT = ROOT / "bindings" / "python"
SOURCES = PROJECT / "python" / "portcullis"
CACHE = STATE / "python-cache"
MODULE = ROOT / "target" / "debug" / "deps" / "libportcullis_python.so"


def folder():
    """A folder for `sys.path` that has the package. Its files are links, so that it is never older than what they lead to."""
    parent = STATE / "python"
    package = parent / "portcullis"
    package.mkdir(parents=True, exist_ok=True)
    for name, target in [(path.name, path) for path in SOURCES.iterdir() if path.suffix in (".py", ".pyi", ".typed")] + [
        ("_portcullis.abi3.so", MODULE)
    ]:
        link = package / name
        try:
            link.symlink_to(target)
        except FileExistsError:  # another process of pytest was faster, or an earlier run
            assert link.resolve() == target.resolve(), f"{link} leads to {link.resolve()}: remove it"
    return parent


def load():
    """The package, imported into this process, with an engine that keeps what it compiles."""
    if str(folder()) not in sys.path:
        sys.path.insert(0, str(folder()))
    import portcullis

    try:
        portcullis.Engine(cache_directory=CACHE)
    except portcullis.EngineError:  # another module of the tests has started it
        assert not portcullis.Engine.current().closed
    return portcullis


def environment(**more):
    """The environment of a program that imports the package."""
    return os.environ | {"PYTHONPATH": str(folder())} | more


def console_script(folder):
    """The script `portcullis` in a folder, as an installation makes it of the entry point."""
    [(name, entry)] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"].items()
    module, function = entry.split(":")
    script = folder / name
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    script.chmod(0o755)
    return script


def run(source, *arguments, timeout=60, **more):
    """Runs a program of a process of its own. Returns its completed process, with the output as text."""
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=timeout)


def start(source, *arguments, **more):
    """Starts such a program, with its input and output as texts."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, env=environment(**more), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
