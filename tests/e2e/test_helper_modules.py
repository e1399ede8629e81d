"""The helper modules of Python and JavaScript, within their components: settings, credentials, log. `test_token_helpers.py` has
the tokens.

The tables are in `tests/data/`, and the components are the probers of `tests/plugins/`.
"""

import json

import pytest

from harness import build
from harness.config import drop, whoami
from harness.paths import TESTS
from harness.process import eventually

CREDENTIALS = json.loads((TESTS / "data/credentials.json").read_text())
SETTINGS = json.loads((TESTS / "data/settings.json").read_text())
DESCRIPTION = """
[grants]
headers = ["x-do", "authorization"]
[limits]
memory = "128MiB"
breaker = 0
reuse_decisions = "0s"
"""
LANGUAGES = {"python": build.python_component, "javascript": build.javascript_component}


@pytest.fixture(scope="module", params=LANGUAGES)
def prober(request, serve_module, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    component = LANGUAGES[request.param](f"{request.param}_prober")
    plugins = drop(folder, "prober", component, DESCRIPTION)
    return serve_module(plugins + whoami("prober"), PORTCULLIS_LOG="info")


def ask(prober, deed, headers=()):
    return prober.send("/", [("X-Do", deed), *headers])


def found(prober, deed):
    answer = ask(prober, deed)
    assert answer.status == 200, prober.log()[-3:]
    return json.loads(answer.json()["attributes"]["found"])


@pytest.mark.parametrize("scheme", CREDENTIALS)
def test_credentials(prober, scheme):
    lengths = {"LONGEST": "a" * 8192, "LONGER": "a" * 8193}
    for values, expected in CREDENTIALS[scheme]:
        for name, text in lengths.items():
            values = [value.replace(name, text) for value in values]
            expected = expected.replace(name, text) if isinstance(expected, str) else expected
        answer = ask(prober, scheme, [("Authorization", value.encode()) for value in values])
        case = [value[:40] for value in values]
        if expected in ("reject", "pass"):
            assert answer.status == 401, case
            asked = {"message": "decision", "request_id": answer.header("x-request-id")}
            [line] = eventually(lambda: prober.logged(**asked), "the decision is logged")
            assert f"prober: {expected}" in str(line["steps"]), case
            continue
        assert answer.status == 200, case
        read = json.loads(answer.json()["attributes"]["found"])
        assert read[:2] == (expected if scheme == "basic" else [expected[:40], len(expected)]), case


def test_settings(prober):
    for given, expected in SETTINGS:
        assert found(prober, f"settings {json.dumps(given, separators=(',', ':'))}") == expected, given


def test_the_schema_is_the_same_in_both_languages(prober):
    assert found(prober, "schema") == {
        "type": "object",
        "required": ["text", "secret"],
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string", "description": "A text."},
            "secret": {"type": "string", "minLength": 1, "writeOnly": True, "description": "A secret."},
            "whole": {"type": "integer", "default": 3, "description": "A whole number."},
            "number": {"type": "number", "default": 0.5, "description": "A number."},
            "flag": {"type": "boolean", "default": False, "description": "A flag."},
            "wait": {
                "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h|d)$"}],
                "default": "90s",
                "description": "A duration.",
                "x-portcullis-requests": 2,
            },
            "many": {"type": "array", "items": {"type": "string"}, "default": ["a"], "description": "Texts."},
            "map": {
                "type": "object",
                "additionalProperties": {"type": "integer"},
                "default": {},
                "description": "Numbers by name.",
            },
            "maybe": {"type": "string", "description": "A URL, or none.", "x-portcullis-grant": "http"},
        },
    }


LEVELS = {"trace": None, "debug": None, "info": "INFO", "warn": "WARN", "error": "ERROR", "critical": "ERROR"}


@pytest.mark.parametrize("level", LEVELS)
def test_log_levels(prober, level):
    """The gateway of these tests logs at `info`."""
    found(prober, f"log {level} {level}-line")
    lines = prober.logged(target="portcullis::plugin", message=f"{level}-line")
    assert [line["level"] for line in lines] == [LEVELS[level]] * (LEVELS[level] is not None)
