"""Where things lie: the checkout, what `tests/run` prepared, and the programs in it."""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
ROOT = TESTS.parent
STATE = TESTS / ".state"
PEERS = TESTS / "peers"
WIT = ROOT / "wit"

PORTCULLIS = Path(os.environ.get("PORTCULLIS_BIN", ROOT / "target" / "debug" / "portcullis"))
"""The gateway under test."""

VENV_BIN = Path(sys.executable).parent
"""The Python peers' programs and Node.js, beside the interpreter that runs the tests."""

# The Node peers' programs look for `node` there.
os.environ["PATH"] = f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}"
