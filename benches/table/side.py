"""A side of a comparison: a program with the work that it is given."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from programs.process import Server


@dataclass
class Running:
    """A side that has been started. `server` is the program whose processor time counts; `url` with `script` or `headers` is
    the load."""

    server: Server
    url: str
    script: Path | None = None
    headers: tuple = ()
    refused: tuple | None = None
    """Headers that must be answered 401: a program that lets them in does not do the work. `None`: there are none."""
    warm_up: int = 0
    """How many requests come before what is measured holds."""
    warm_up_script: Path | None = None
    """The script of these requests. `None`: they are those of the load."""
    settle: Callable = lambda: None
    """Waits, after these requests, for what they set off."""


@dataclass(frozen=True, eq=False)
class Side:
    """`start` makes a context in which the side runs, and yields a `Running`."""

    name: str
    start: Callable


def side(name):
    """Turns a generator, which starts a program on a stage and yields a `Running`, into a side."""
    return lambda start: Side(name, contextlib.contextmanager(start))
