"""Plugins that do their worst while they are loaded, or that could never run: each is an error that names it.

All of them are in one configuration, since `check` reports every mistake at once.
"""

import json
import re
import socket

import pytest

from harness import raw_plugins
from harness.config import PEOPLE, route
from harness.gateway import LISTEN_ANYWHERE, run
from harness.hostile import authenticator
from harness.raw_plugins import LOOP, escaped


def says(schema):
    """The plugin says this of its settings."""
    schema = schema.encode()
    place = (4096).to_bytes(4, "little") + len(schema).to_bytes(4, "little")
    return {
        "memory": '(memory (export "memory") 80)',
        "module": f'(data (i32.const 128) "{escaped(place)}") (data (i32.const 4096) "{escaped(schema)}")',
    }


def refuses(why):
    """The plugin refuses its settings in these words."""
    why = why.encode()
    return {
        "module": f'(data (i32.const 1024) "{escaped(why)}")',
        "configure": f"""(i32.store (i32.const 192) (i32.const 1)) (i32.store (i32.const 196) (i32.const 1024))
            (i32.store (i32.const 200) (i32.const {len(why)}))""",
    }


def importing(name, kind="(instance)"):
    return {"imports": f'(import "{name}" {kind})'}


EXIT = {
    "imports": """(import "wasi:cli/exit@0.2.12" (instance $cli
        (export "exit" (func (param "status" (result))))))""",
    "components": """(core func $exit (canon lower (func $cli "exit")))
        (core module $quitter
          (import "" "exit" (func $exit (param i32)))
          (func $start (call $exit (i32.const 1)))
          (start $start))
        (core instance (instantiate $quitter (with "" (instance (export "exit" (func $exit))))))""",
}


def modules(count):
    """Core modules, each instantiated."""
    return "(core module $m)" + "(core instance (instantiate $m))" * count


DOUBLING = json.dumps(
    {
        "$ref": "#/$defs/0",
        "$defs": {n: {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(100)} | {"100": {}},
    }
)
"""Small to read, and 2^100 steps to check."""

LENGTHY = json.dumps({"not": {"$comment": "x" * 500_000}, "required": ["\x1b[31m" * 10_000]})

DEADLINE, TRAP, INVALID, GIVEN = "deadline", "panicked or aborted", "not a valid one", "no plugin is given"
OFF = "a feature of WebAssembly that plugins don't have: .*"
OUT = "out of bounds|beyond|larger than"
POOL = "limit|exceed|too many|maximum|not a valid one"

BAD = {
    # The instance's life before the first request.
    "loop in settings-schema": (DEADLINE, dict(schema=LOOP)),
    "loop in configure": (DEADLINE, dict(configure=LOOP)),
    "loop at the start": (DEADLINE, dict(module=f"(func $start {LOOP}) (start $start)")),
    "loop in realloc": (DEADLINE, dict(realloc=LOOP)),
    "trap in settings-schema": (TRAP, dict(schema="(unreachable)")),
    "trap in configure": (TRAP, dict(configure="(unreachable)")),
    "trap at the start": (TRAP, dict(module="(func $start (unreachable)) (start $start)")),
    "trap in realloc": (TRAP, dict(realloc="(unreachable)")),
    "recursion at the start": ("stack", dict(module="(func $start (call $start)) (start $start)")),
    "exit at the start": (r"exit\(1\)", EXIT),
    "data out of bounds": ("out of bounds", dict(module='(data (i32.const 131071) "ab")')),
    "schema beyond memory": (OUT, dict(schema="(return (i32.const 0x7ffffffc))")),
    "schema that is no text": ("utf-8", dict(module=r'(data (i32.const 520) "\ff\fe")')),
    "schema of 2 MiB": (OUT + "|fuel|exceed", says("{" + " " * (2 << 20) + "}")),
    "schema that is no JSON": ("no JSON", says("{")),
    "schema that is no object": ("no JSON object", says("[1]")),
    "schema that is deeper than any": ("no JSON", says('{"a":' * 100_000)),
    "schema that is no schema": ("no JSON Schema", says('{"type":12}')),
    "schema that asks another server": ("no JSON Schema", None),
    "schema that reads a file": ("no JSON Schema", says('{"$ref":"file:///etc/hostname"}')),
    "schema of an impossible pattern": ("no JSON Schema", says('{"properties":{"a":{"pattern":"("}}}')),
    "settings refused with rubbish": (
        r"no +\]0;title.*error: everything",
        refuses("\x1b[31mno\x1b]0;title\x07\r\nerror: everything else is fine\u0085\u009b2J"),
    ),
    "settings refused at length": ("x{100}", refuses("x" * 100_000)),
    "schema that takes for ever": ("in time", says(DOUBLING)),
    "schema that names everything": (r"settings: .*1b\[31m", says(LENGTHY)),
    # What no plugin is given.
    "import of nothing known": ("evil:corp/backdoor@1.0.0.*" + GIVEN, importing("evil:corp/backdoor@1.0.0")),
    "import of other files": (r"wasi:filesystem/types@0\.3\.0.*" + GIVEN, importing("wasi:filesystem/types@0.3.0")),
    "import of unknown files": ("wasi:filesystem/disks.*" + GIVEN, importing("wasi:filesystem/disks@0.2.12")),
    "import of other sockets": (r"wasi:sockets/types@0\.3\.0.*" + GIVEN, importing("wasi:sockets/types@0.3.0")),
    "import of a server": ("wasi:http/incoming-handler.*" + GIVEN, importing("wasi:http/incoming-handler@0.2.12")),
    "import of threads": ("wasi:threads/spawn.*" + GIVEN, importing("wasi:threads/spawn@0.2.0")),
    "import of a plain function": ("backdoor.*" + GIVEN, importing("backdoor", "(func)")),
    "import of another WASI": (
        r"wasi:random/random@0\.9\.0",
        importing("wasi:random/random@0.9.0", '(instance (export "get-random-u64" (func (result u64))))'),
    ),
    "import of a function too many": (
        "hand-over-the-keys",
        importing("wasi:random/random@0.2.12", '(instance (export "hand-over-the-keys" (func)))'),
    ),
    "import of another type": (
        "get-random-u64",
        importing("wasi:random/random@0.2.12", '(instance (export "get-random-u64" (func (result string))))'),
    ),
    # Row H15 of the field reports: WebAssembly that is switched off, or that no gateway has room for.
    "memory of 64 bits": (OFF + "memory64", dict(module="(memory i64 1)")),
    "memory shared by threads": (OFF + "threads", dict(module="(memory 1 2 shared)")),
    "threads of its own": (
        "shared-everything-threads proposal",
        dict(components="(core type $t (func (param i32))) (core func (canon thread.spawn-ref $t))"),
    ),
    "stacks of its own": (OFF + "stack switching", dict(module="(type $f (func)) (type (cont $f))")),
    "exceptions": (OFF + "exceptions", dict(module="(tag)")),
    "garbage collection": (OFF + "gc", dict(module="(type (struct))")),
    "an answer that comes later": (OFF + "async", dict(components="(type $s (stream u8)) (core func (canon stream.new $s))")),
    "memory of 2 GiB": (POOL + "|memory", dict(module="(memory 32768)")),
    "memory above its limit": ("memory|limit", dict(module="(memory 300)")),
    "memories without number": (POOL, dict(module="(memory 0)" * 20)),
    "tables without number": (POOL, dict(module="(table 0 funcref)" * 150)),
    "table of a billion": (POOL + "|table", dict(module="(table 1000000000 funcref)")),
    "table of a million": (POOL + "|table", dict(module="(table 1000000 funcref)")),
    "more instances than there are": (POOL, dict(components=modules(300))),
    "instances without number": (POOL, dict(components=modules(5000))),
    "locals without number": (INVALID, dict(module=f"(func {'(local i64)' * 60000})")),
    "parameters without number": (INVALID, dict(module=f"(func (param {'i32 ' * 2000}))")),
    "types without number": (INVALID, dict(module="(type (func (param i32)))" * 1_000_001)),
}
TEXTS = {
    "no WebAssembly": ("no WebAssembly", b"#!/bin/sh\nid\n"),
    "nothing at all": ("empty", b""),
    "a core module": ("core module", b"\0asm\1\0\0\0"),
    "a truncated component": (INVALID, None),
}


def broken(name):
    """The content of a file of `TEXTS`."""
    content = TEXTS[name][1]
    return raw_plugins.component().read_bytes()[:700] if content is None else content


@pytest.fixture(scope="module")
def forbidden_port():
    """A server on loopback to which no connection may be made."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def slug(name):
    return name.replace(" ", "-")


@pytest.fixture(scope="module")
def errors(forbidden_port, shared_upstream, tmp_path_factory):
    """What `check` says about each plugin."""
    folder = tmp_path_factory.mktemp("load")
    port = forbidden_port.getsockname()[1]
    files = {}
    for name, (_, parts) in BAD.items():
        files[name] = raw_plugins.component(**(parts or says(f'{{"$ref":"http://127.0.0.1:{port}/schema"}}')))
    for name in TEXTS:
        files[name] = folder / f"{slug(name)}.wasm"
        files[name].write_bytes(broken(name))
    plugins = "".join(authenticator(slug(name), file) for name, file in files.items())
    names = [slug(name) for name in files]
    result = run("check", folder=folder, config=LISTEN_ANYWHERE + PEOPLE + plugins + route(shared_upstream, *names))
    assert result.returncode == 1, result
    return result.stderr


@pytest.mark.parametrize("name", BAD | TEXTS)
def test_it_is_refused_and_named(errors, name):
    found = [line for line in errors.splitlines() if f"authenticators.{slug(name)}" in line]
    assert found, errors[:3000]
    why = (BAD | TEXTS)[name][0]
    assert re.search("(?i)" + why, " ".join(found)), found


def test_nothing_of_a_plugin_reaches_the_terminal_as_it_is(errors):
    assert not re.search(r"[^\n\x20-\x7e]", errors)
    assert not re.search("^error: everything", errors, re.MULTILINE)
    assert max(map(len, errors.splitlines())) < 4096


def test_a_schema_leads_nowhere(errors, forbidden_port):
    with pytest.raises(BlockingIOError):
        forbidden_port.accept()
