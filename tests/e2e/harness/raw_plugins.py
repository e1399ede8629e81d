"""Plugins written instruction by instruction, for what no compiler would make: `tests/guests/raw.wat` with some of its
parts replaced."""

import hashlib
import re
import subprocess

from .build import encoder, replacing
from .paths import STATE, TESTS

TEMPLATE = TESTS / "guests" / "raw.wat"
USUAL = {"memory": '(memory (export "memory") 2)'}


def text(**parts):
    """The plugin's text. `parts` are WAT by the name of the place in the template; what isn't named stays as it is."""

    def part(place):
        return parts.pop(place[1], USUAL.get(place[1], ""))

    parts = dict(parts)
    whole = re.sub(r"@@(\w+)@@", part, TEMPLATE.read_text().split("\n", 2)[2])
    assert not parts, f"the template has no place for {parts}"
    return whole


LOOP = "(loop $forever (br $forever))"


def escaped(content):
    """Bytes as WAT has them in quotes."""
    return "".join(f"\\{byte:02x}" for byte in content)


def component(**parts):
    """The plugin as a file, kept until its text or the encoder changes."""
    return encode(text(**parts))


def encode(source):
    """A binary made of any text of WebAssembly."""
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    built = STATE / "plugins" / f"raw-{name}.wasm"
    if not built.exists():
        made = subprocess.run([encoder()], input=source.encode(), capture_output=True, timeout=60)
        assert made.returncode == 0, made.stderr.decode()[:1000]
        with replacing(built) as partial:
            partial.write_bytes(made.stdout)
    return built
