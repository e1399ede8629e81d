"""The tests that a page names, so that readers find what proves a sentence."""

import re

from .paths import ROOT


def named(text):
    """The tests in a text, each as its file and its name: `file.py::test` of these tests, or `path/to/file.rs::test` from the root."""
    return re.findall(r"`([\w/.-]+)::(\w+)`", text)


def exists(file, name):
    path = ROOT / "tests" / "e2e" / file if file.endswith(".py") else ROOT / file
    return path.is_file() and re.search(rf"^\s*(async )?(def|fn) {name}\(", path.read_text(), re.M) is not None
