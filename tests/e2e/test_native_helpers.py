"""The helper modules for Go and C: each part of them does what it says, and calls leave nothing behind."""

import pytest

from harness import build
from harness.gateway import run

CASES = """
[settings]
url = "https://id.test/a"
secret = "open \\"sesame\\""
groups = ["h"]

[grants]
headers = ["authorization"]
cookies = ["c"]
query = ["q"]
http = ["https://id.test"]

[[servers]]
url = "https://id.test"
responses = [{ path = "/a", status = 201, headers = { X-First = "1" }, body = "pong" }]

[[cases]]
name = "a request to another server"
request.headers = { Authorization = "bearer fetch" }
[cases.expect]
user = "201 pong"
attributes.first = "x-first"
calls = [{ method = "POST", url = "https://id.test/a", headers = { X-A = "1", X-B = "2" }, body = "ping" }]

[[cases]]
name = "a server that fails"
request.headers = { Authorization = "Bearer fetch" }
expect = { status = 503, verdict = "unavailable" }
servers = [{ url = "https://id.test", responses = [{ hang_up = true }] }]

[[cases]]
name = "a server that is too slow"
request.headers = { Authorization = "Bearer fetch" }
expect = { status = 503, verdict = "unavailable" }
servers = [{ url = "https://id.test", responses = [{ delay = "4s" }] }]

[[cases]]
name = "signatures"
request.headers = { Authorization = "Bearer verify" }
expect = { user = "true false true true true" }

[[cases]]
name = "the cache"
request.headers = { Authorization = "Bearer cache" }
expect = { user = "false v" }
[[cases.then]]
request.headers = { Authorization = "Bearer cache" }
expect = { user = "vtrue v" }

[[cases]]
name = "everything that a grant may have"
request = { url = "http://localhost/p?q=1", headers = { Authorization = "Bearer all", Cookie = "c=2" } }
[cases.expect]
groups = ["g", "h"]
attributes.secret = "open \\"sesame\\""

[[cases]]
name = "a user who isn't allowed"
request.headers = { Authorization = "Bearer forbid" }
expect = { status = 403, verdict = "forbid", challenge = 'realm="prober"' }

[[cases]]
name = "a response of its own"
request.headers = { Authorization = "Bearer respond" }
expect = { status = 303, verdict = "respond" }

[[cases]]
name = "an error"
request.headers = { Authorization = "Bearer fail" }
expect = { status = 503, verdict = "unavailable" }

[[cases]]
name = "a token that isn't known"
request.headers = { Authorization = "Bearer other" }
expect = { status = 401, verdict = "reject", challenge = 'realm="prober"' }

[[cases]]
name = "no token"
expect = { status = 401, verdict = "pass", challenge = 'realm="prober"' }

[[cases]]
name = "another scheme"
request.headers = { Authorization = "Basic YTpi" }
expect = { status = 401, verdict = "pass" }

[[cases]]
name = "two tokens"
request.headers = { Authorization = ["Bearer all", "Bearer all"] }
expect = { status = 401, verdict = "reject" }

[[cases]]
name = "a list of tokens"
request.headers = { Authorization = "Bearer all,all" }
expect = { status = 401, verdict = "reject" }
"""


@pytest.mark.parametrize("language", ["go", "c"])
def test_each_part_does_what_it_says(tmp_path, language):
    (tmp_path / "cases.toml").write_text(CASES)
    done = run("plugin", "test", build.helper_prober(language), "cases.toml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("language, words", [("go", ["said: panic: requested by the test\n", "main.go:"]), ("c", [])])
def test_a_plugin_that_panics_fails_and_its_author_sees_where(tmp_path, language, words):
    case = '[[cases]]\nname = "it ends"\nrequest.headers = { Authorization = "Bearer panic" }\nexpect = { status = 200 }\n'
    (tmp_path / "cases.toml").write_text(CASES.split("[[cases]]")[0] + case)
    done = run("plugin", "test", build.helper_prober(language), "cases.toml", folder=tmp_path)
    assert done.returncode == 1
    for expected in ["expected 200, found 503\n", "it was stopped: it panicked or aborted", *words]:
        assert expected in done.stdout, done.stdout


@pytest.mark.parametrize("language", ["go", "c"])
def test_a_mistake_in_the_settings_is_told(tmp_path, language):
    for wrong, mistake in [("count = -1", "must not be negative"), ("count = true", "settings.count"), ("other = 1", "settings.other")]:
        (tmp_path / "cases.toml").write_text(CASES.replace("[settings]", f"[settings]\n{wrong}", 1))
        done = run("plugin", "test", build.helper_prober(language), "cases.toml", folder=tmp_path)
        assert (done.returncode, mistake in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("language", ["go", "c"])
def test_an_instance_that_is_kept_gives_the_same_answers(tmp_path, language):
    """Whatever the helper allocates in one call is free in the next."""
    calls = CASES.split("[[cases]]")
    kept = "instances = { keep = 1 }\n" + "[[cases]]".join([calls[0], *calls[4:]])
    (tmp_path / "cases.toml").write_text(kept)
    done = run("plugin", "conformance", build.helper_prober(language), "cases.toml", folder=tmp_path)
    assert "ok      an instance that is kept gives the same answers\n" in done.stdout, done.stdout
    many = run("plugin", "bench", build.helper_prober(language), "cases.toml", "--calls", "300", folder=tmp_path)
    rows = many.stdout.split("calls share instances that are kept:\n")[1].splitlines()[1:]
    assert rows and "(fail)" not in many.stdout, many.stdout
