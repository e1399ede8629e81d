"""How long it takes to load plugins, with an empty cache of compiled code and with a filled one, and how much memory they
take when several authenticators share one.

The time is that of `portcullis check`, which reads, compiles and configures everything as `serve` does, less that of a
configuration without plugins. The memory is that of `serve` after the start, with one authenticator and with three. Run it by
`benches/load`, with a release build. It takes some minutes, most of which JavaScript and Python are compiled in.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from programs.built_ins import built_ins, with_route
from programs.portcullis import RELEASE, portcullis, route
from programs.process import CLIENT, ROOT, SERVER, need

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from harness import build

KEY = 'settings.key = "k"\ngrants.headers = ["x-api-key"]\nlimits.memory = "128MiB"\n'
HEAD = '[server]\nlisten = "127.0.0.1:0"\n'


def main():
    arguments = parse()
    components = {"Python": build.language_example("python", "api_key"), "JavaScript": build.language_example("javascript", "api_key")}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "cache").mkdir(mode=0o700)
        plugins = {"all built-in plugins": built_ins(folder)}
        for language, component in components.items():
            size = component.stat().st_size / 1e6
            plugins[f"a plugin in {language}, {size:.0f} MB"] = with_route("key", component, KEY)
        plain = [checked(arguments.portcullis, folder, route()) for _ in range(arguments.rounds)]
        base = statistics.median(plain)
        print(f"{'milliseconds':32} {'cold':>8} {'cached':>8} {'longest':>8}")
        for name, config in plugins.items():
            shutil.rmtree(folder / "cache")
            (folder / "cache").mkdir(mode=0o700)
            cold = checked(arguments.portcullis, folder, config) - base
            cached = [checked(arguments.portcullis, folder, config) - base for _ in range(arguments.rounds)]
            print(f"{name:32} {cold * 1000:8.0f} {statistics.median(cached) * 1000:8.1f} {max(cached) * 1000:8.1f}")
        print(f"a configuration without plugins: {base * 1000:.1f} ms, not counted above")
        os.sched_setaffinity(0, {int(CLIENT)})
        for language, component in components.items():
            share(arguments.portcullis, folder, language, component)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="how often what is cached is loaded (default 20)")
    parser.add_argument("--portcullis", type=Path, default=RELEASE)
    return parser.parse_args()


def checked(binary, folder, config):
    """How long `check` takes, in seconds, on the processor of the servers."""
    file = folder / "checked.toml"
    file.write_text(f'{HEAD}[plugins]\ncache_directory = "{folder}/cache"\n{config}')
    command = ["taskset", "-c", SERVER, binary, "check", "--config", file]
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return taken


def share(binary, folder, language, component):
    """Prints the memory of a gateway with no, one and three authenticators of a component."""
    held = []
    for count in (0, 1, 3):
        names = [f"key{number}" for number in range(count)]
        config = HEAD + route() + "".join(with_route(name, component, KEY) for name in names)
        own = folder / f"{language}-{count}"
        own.mkdir()
        with portcullis(own, binary, config, XDG_CACHE_HOME=str(folder / "serve-cache")) as server:
            held.append(private_bytes(server.pid))
    none, one, three = (each / (1 << 20) for each in held)
    print(f"{language}: {none:.1f} MiB without it, {one:.1f} MiB with one authenticator, {three:.1f} MiB with three that share it")


def private_bytes(pid):
    """The memory of the process that no other has, in bytes, once its start has ended."""
    time.sleep(2)
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Private_"))


if __name__ == "__main__":
    need("taskset")
    main()
