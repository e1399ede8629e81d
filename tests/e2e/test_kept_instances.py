"""Instances that are kept for later requests: what the operator is told, what a reload drops, and what metrics count."""

import re

import pytest

from harness import build
from harness.config import drop, route
from harness.gateway import ADMIN, run
from harness.hostile import instruct
from harness.paths import ROOT
from harness.process import eventually
from harness.upstream import values

DESCRIPTION = """
{kept}
[settings]
url = "{url}"
[grants]
headers = ["x-do"]
[limits]
breaker = 0
"""
KEPT = 'instances = {{ keep = 2, requests = 1000, age = "{age}" }}'


def description(url="http://127.0.0.1:1", kept=KEPT.format(age="1h")):
    return DESCRIPTION.format(url=url, kept=kept)


def configured(folder, component, upstream, **options):
    return ADMIN + drop(folder, "hostile", component, description(**options)) + route(upstream, "hostile")


def count(gateway):
    """Which instance answers, and how many requests have asked it to count."""
    [user] = values(gateway.send("/", instruct("count")).json(), "x-forwarded-user")
    name, number = user.split()
    return name, int(number)


def metric(gateway, name, **labels):
    return gateway.metric(f"portcullis_authenticator_{name}", authenticator="hostile", **labels) or 0


def test_requests_share_an_instance_until_it_fails(serve, upstream, tmp_path, hostile_component):
    gateway = serve(configured(tmp_path, hostile_component, upstream))
    assert [count(gateway)[1] for _ in range(3)] == [1, 2, 3]
    assert (metric(gateway, "kept_instances"), metric(gateway, "instance_reuses_total")) == (1, 2)
    assert gateway.send("/", instruct("panic")).status == 503
    assert (metric(gateway, "kept_instances"), metric(gateway, "instances_dropped_total", reason="failed")) == (0, 1)
    assert count(gateway)[1] == 1
    assert gateway.send("/", instruct("read stdin")).status == 200
    assert metric(gateway, "instances_dropped_total", reason="handles") == 1
    assert gateway.logged(message="an instance isn't kept, because it keeps a handle, such as that of a response's body or of a stream")


def test_each_request_has_its_own_without(serve, upstream, tmp_path, hostile_component):
    gateway = serve(configured(tmp_path, hostile_component, upstream, kept=""))
    assert [count(gateway)[1] for _ in range(3)] == [1, 1, 1]
    assert gateway.metric("portcullis_authenticator_kept_instances", authenticator="hostile") is None


def test_an_idle_instance_goes_when_it_is_too_old(serve, upstream, tmp_path, hostile_component):
    gateway = serve(configured(tmp_path, hostile_component, upstream, kept=KEPT.format(age="1s")))
    count(gateway)
    eventually(lambda: metric(gateway, "instances_dropped_total", reason="age") == 1, "no request comes, and it is dropped")
    assert metric(gateway, "kept_instances") == 0


def test_a_reload_drops_the_instances_of_what_it_replaces(serve, upstream, tmp_path, hostile_component):
    gateway = serve(configured(tmp_path, hostile_component, upstream))
    before = count(gateway)
    assert count(gateway) == (before[0], 2)
    file = next(tmp_path.rglob("hostile.toml"))
    file.write_text(description(url="http://127.0.0.1:2"))
    eventually(lambda: count(gateway)[0] != before[0], "the next configuration has its own instances")
    assert metric(gateway, "instances_dropped_total", reason="replaced") == 1
    assert metric(gateway, "kept_instances") == 1


def test_check_and_explain_tell(tmp_path, upstream, hostile_component):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    config = configured(plugins, hostile_component, upstream)
    checked = run("check", folder=tmp_path, config=config)
    rules = "up to 2, each for 1000 requests and 1h at most"
    assert f"\n  hostile: requests share the plugin's memory, because its instances are kept: {rules}\n" in checked.stdout
    explained = run("explain", "GET", "http://app.test/", "-H", "X-Do: count", folder=tmp_path, config=config)
    assert f"            its instances are kept: {rules}. The requests of one share its memory\n" in explained.stdout


@pytest.mark.parametrize(
    "plugin, instances, mistake",
    [
        ("simple", "{ keep = 1 }", "instances: isn't allowed for a built-in plugin"),
        ("x.wasm", "true", "instances: expected a table, found a boolean"),
        ("x.wasm", "{}", 'instances: the key "keep" is missing'),
        ("x.wasm", "{ keep = 0 }", "instances.keep: must be 1 to 1024"),
        ("x.wasm", "{ keep = 9 }", "instances.keep: must be at most 8, as many calls as limits.concurrency allows"),
        ("x.wasm", "{ keep = 8, requests = 1 }", "instances.requests: must be 2 to 1000000"),
        ("x.wasm", '{ keep = 8, age = "10ms" }', "instances.age: must be 1s to 1day"),
        ("x.wasm", '{ keep = 8, ages = "1m" }', 'instances.ages: unknown key; did you mean "age"?'),
    ],
)
def test_a_mistake_is_named(tmp_path, plugin, instances, mistake):
    config = f'[authenticators.a]\nplugin = "{plugin}"\nlimits.concurrency = 8\ninstances = {instances}\n'
    done = run("check", folder=tmp_path, config=config)
    assert done.returncode == 1
    assert mistake in done.stderr


@pytest.mark.timeout(500)
@pytest.mark.parametrize("language", ["python", "c"])
def test_bench_measures_them(tmp_path, language):
    """`test_conformance.py` compares their answers with those of new instances."""
    component = build.language_example(language, "api_key")
    cases = (ROOT / "examples" / language / "api_key/cases.toml").read_text()
    (tmp_path / "cases.toml").write_text(f"instances = {{ keep = 8 }}\n{cases}")
    done = run("plugin", "bench", component, "cases.toml", "--calls", "20", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    titles = re.findall(r"(?m)^\S.*:$", done.stdout)
    assert titles[-1] == "calls share instances that are kept:"
    rows = [line for line in done.stdout.splitlines() if re.match(r" +\d", line)]
    assert len(rows) % cases.count("[[cases]]") == 0 and not [row for row in rows if "(fail)" in row], done.stdout


def test_the_conformance_kit_finds_what_is_shared(tmp_path, hostile_component):
    cases = f"{description()}[[cases]]\nname = 'a'\nrequest.headers = {{ X-Do = 'count' }}\nexpect.status = 200\n"
    (tmp_path / "cases.toml").write_text(cases)
    done = run("plugin", "conformance", hostile_component, "cases.toml", folder=tmp_path)
    assert "FAILED  an instance that is kept gives the same answers\n" in done.stdout
