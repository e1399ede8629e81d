"""The built-in authorizer `cedar` in a gateway: what it permits, what the log and `explain` say, mistakes with their places, changes
of its files, and that it decides in the sandbox as the crate `cedar-policy` does by itself."""

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from harness.build import cedar_oracle
from harness.gateway import run
from harness.process import eventually
from harness.tokens import forge, hmac_with

SECRET = "k" * 32

PEOPLE = """
[authenticators.people]
plugin = "jwt"
[authenticators.people.settings]
issuers = [{ issuer = "https://id.example", insecure_any_audience = true, insecure_no_expiry = true, secret = "env:SECRET" }]
groups_claim = "groups"
admin_claim = "admin"
attributes = { email = "email" }
"""

POLICIES = """
@id("readers")
permit (principal, action in Action::"read", resource in Path::"/api");

@id("writers")
permit (principal in Group::"editors", action, resource in Path::"/api");

@id("frozen")
@message("This is frozen.")
forbid (principal, action in Action::"write", resource in Path::"/api/frozen");
"""


def token(user="alice", groups=(), **claims):
    """The header of a user who has these groups."""
    claims = {"iss": "https://id.example", "sub": user, "groups": list(groups)} | claims
    return {"Authorization": f"Bearer {forge({'alg': 'HS256'}, claims, hmac_with(SECRET.encode()))}"}


def route(upstream, policies='["file:policies.cedar"]', more=""):
    return f"""{PEOPLE}
[authorizers.rules]
plugin = "cedar"
[authorizers.rules.settings]
policies = {policies}
{more}
[[routes]]
path = "/"
authenticators = ["people"]
authorizers = ["rules"]
upstream = "{upstream}"
"""


def start(serve, tmp_path, config, server="", **files):
    """A gateway with these files beside its configuration: `policies="…"` is `policies.cedar`."""
    folder = tmp_path / "gateway-0"
    folder.mkdir()
    written(folder, files)
    return folder, serve(config, server=server, SECRET=SECRET)


def written(folder, files):
    for name, content in files.items():
        (folder / f"{name}.{'json' if name == 'teams' else 'cedar'}").write_text(content)


def checked(folder, config, **files):
    """What `check` says."""
    written(folder, files)
    return run("check", folder=folder, config=config, SECRET=SECRET)


def test_policies_permit_and_forbid(serve, upstream, tmp_path):
    _, gateway = start(serve, tmp_path, route(upstream.url), policies=POLICIES)
    reader, writer = token("bob"), token("alice", ["editors"])
    for method, path, who, status in [
        ("GET", "/api/x", reader, 200),
        ("POST", "/api/x", reader, 403),
        ("POST", "/api/x", writer, 200),
        ("PURGE", "/api/x", reader, 403),
        ("GET", "/apis", writer, 403),
        ("POST", "/api/%66rozen/x", writer, 403),
        ("GET", "/api/frozen/x", writer, 200),
        ("GET", "/api/x", {}, 401),
    ]:
        assert gateway.send(path, who, method=method).status == status, (method, path)
    assert len(upstream.seen) == 3


def test_a_denial_names_its_policy_in_the_log_and_to_nobody_else(serve, upstream, tmp_path):
    _, gateway = start(serve, tmp_path, route(upstream.url), policies=POLICIES)
    answer = gateway.send("/api/frozen", token("alice", ["editors"]), method="POST")
    assert answer.status == 403 and b"frozen" not in answer.body
    gateway.send("/other", token())
    for path, why in [("/api/frozen", 'the policy "frozen" forbids it'), ("/other", "no policy permits it")]:
        [line] = gateway.logged(message="the user was denied", path=path)
        assert (line["authorizer"], line["why"]) == ("rules", why)


def test_a_client_reads_the_message_if_the_operator_wants_that(serve, upstream, tmp_path):
    _, gateway = start(serve, tmp_path, route(upstream.url, more="messages = true"), policies=POLICIES)
    answer = gateway.send("/api/frozen", token("alice", ["editors"]), method="POST")
    assert (answer.status, answer.body) == (403, b"This is frozen.")
    assert gateway.logged(authorizer="rules", message='the policy "frozen" forbids it')
    assert b"frozen" not in gateway.send("/other", token()).body


def test_explain_names_the_policies_that_decide(upstream, tmp_path):
    (tmp_path / "policies.cedar").write_text(POLICIES)
    (tmp_path / "portcullis.toml").write_text(route(upstream.url))

    def explained(method, url, *groups):
        header = f"Authorization: {token('alice', groups)['Authorization']}"
        return run("explain", method, url, "-H", header, "--config", "portcullis.toml", folder=tmp_path, SECRET=SECRET).stdout

    forbidden = explained("POST", "http://localhost/api/frozen", "editors")
    assert 'the policy "frozen" forbids it' in forbidden, forbidden
    assert "no policy permits it" in explained("POST", "http://localhost/api/x")
    permitted = explained("POST", "http://localhost/api/x", "editors")
    assert 'says policy: "writers"' in permitted, permitted


def test_check_names_file_line_and_policy_of_every_mistake(upstream, tmp_path):
    bad = '@id("typo")\npermit (principal, action, resource)\nwhen { context.clint.isLoopback() };\n\n@id("never")\npermit (principal, action, resource in Path::"/a/");\n'
    found = checked(tmp_path, route(upstream.url, '["file:good.cedar", "file:policies.cedar"]'), good=POLICIES, policies=bad)
    assert found.returncode == 1
    lines = found.stderr.splitlines()
    place = tmp_path / "policies.cedar"
    assert any(line.startswith(f"{place}:3: ") and "`typo`" in line and "did you mean `client`?" in line for line in lines), lines
    assert f'{place}:5: policy "never": no path is Path::"/a/"; write Path::"/a"' in lines, lines
    syntax = checked(tmp_path, route(upstream.url), policies="permit (principal, action, resource)\n")
    assert syntax.stderr.startswith(f"{place}:1: unexpected end of input"), syntax.stderr


def test_check_reads_policies_in_the_configuration_and_entities(upstream, tmp_path):
    config = route(upstream.url, "'''permit (principal in Grop::\"x\", action, resource);'''")
    found = checked(tmp_path, config)
    assert "portcullis.toml:13: authorizers.rules.settings.policies: line 1: " in found.stderr, found.stderr
    assert "did you mean `Group`?" in found.stderr
    config = route(upstream.url, more='entities = "file:teams.json"')
    found = checked(tmp_path, config, policies=POLICIES, teams="[\n{]")
    assert found.stderr.startswith(f"{tmp_path / 'teams.json'}:2: "), found.stderr
    team = {"uid": {"type": "Team", "id": "a"}, "attrs": {}, "parents": []}
    found = checked(tmp_path, config, teams=json.dumps([team]))
    assert "authorizers.rules.settings.entities: " in found.stderr and "Team" in found.stderr, found.stderr
    good = checked(tmp_path, config, teams="[]")
    assert (good.returncode, good.stderr) == (0, "")


def test_changed_policies_are_taken_up_and_bad_ones_are_not(serve, upstream, tmp_path):
    folder, gateway = start(serve, tmp_path, route(upstream.url, more='entities = "file:teams.json"'), policies=POLICIES, teams="[]")

    def post():
        return gateway.send("/api/x", token("bob"), method="POST").status

    assert post() == 403
    bob = {"uid": {"type": "User", "id": "bob"}, "attrs": {}, "parents": [{"type": "Group", "id": "editors"}]}
    written(folder, {"teams": json.dumps([bob])})
    eventually(lambda: post() == 200, "the file of entities is taken up")
    written(folder, {"policies": POLICIES + "permit (principal, action, resorce);"})
    eventually(lambda: [line for line in gateway.logged(level="ERROR") if "policies.cedar:" in line["message"]], "the mistake is told")
    assert post() == 200, "the policies from before go on"
    written(folder, {"policies": POLICIES + '@id("shut") forbid (principal, action, resource);'})
    eventually(lambda: post() == 403, "the file of policies is taken up")


def test_policies_of_a_folder_come_and_go(serve, upstream, tmp_path):
    config = route(upstream.url, '"files:policies/*.cedar"')
    folder = tmp_path / "gateway-0"
    (folder / "policies").mkdir(parents=True)
    (folder / "policies/api.cedar").write_text(POLICIES)
    gateway = serve(config, SECRET=SECRET)

    def statuses():
        return [gateway.send("/api/x", token("bob"), method=method).status for method in ("GET", "POST")]

    assert statuses() == [200, 403]
    (folder / "policies/bob.cedar").write_text('@id("bob") permit (principal == User::"bob", action, resource);')
    eventually(lambda: statuses() == [200, 200], "the new file")
    (folder / "policies/bob.cedar").write_text('@id("bob")\npermit (principal == Usr::"bob", action, resource);')
    eventually(lambda: [line for line in gateway.logged(level="ERROR") if "policies/bob.cedar:2: " in line["message"]], "its place")
    assert statuses() == [200, 200]
    (folder / "policies/bob.cedar").unlink()
    eventually(lambda: statuses() == [200, 403], "the file is gone")


def test_many_policies_and_entities_are_taken(upstream, tmp_path):
    policies = "".join(f'permit(principal in Group::"team-{team}", action, resource in Path::"/{team}");\n' for team in range(10_000))
    entity = [{"uid": {"type": "User", "id": f"user-{n}"}, "attrs": {}, "parents": [{"type": "Group", "id": f"team-{n}"}]} for n in range(9_000)]
    assert len(policies) < 1 << 20 and 800_000 < len(json.dumps(entity)) < 1 << 20
    config = route(upstream.url, more='entities = "file:teams.json"\n[authorizers.rules.limits]\nmemory = "256 MiB"\ndeadline = "1m"')
    good = checked(tmp_path, config, policies=policies, teams=json.dumps(entity))
    assert (good.returncode, good.stderr) == (0, "")


def test_policies_that_are_nested_too_deep_are_a_mistake_and_no_permission(upstream, tmp_path):
    deep = f"permit (principal, action, resource) when {{ {'(' * 50_000}true{')' * 50_000} }};"
    found = checked(tmp_path, route(upstream.url), policies=deep)
    assert found.returncode == 1 and "authorizers.rules" in found.stderr, found.stderr


@pytest.mark.parametrize("seed", range(20))
def test_the_sandbox_decides_as_the_crate_does(serve, upstream, tmp_path, seed):
    """Five hundred requests of each of twenty sets of policies. The oracle has no code of the plugin."""
    world, *cases = map(json.loads, cedar_oracle(seed, 40, 500))
    settings = {"policies": ["file:policies.cedar"], "entities": "file:teams.json", "captures": world["captures"]}
    more = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items() if name != "policies")
    config = route("portcullis:whoami", more=more)
    server = 'trusted_proxies = ["127.0.0.1"]\n'
    _, gateway = start(serve, tmp_path, config, server, policies=world["policies"], teams=world["entities"])
    assert world["authenticator"] == "people"

    def ask(cases):
        connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=60)
        for case in cases:
            headers = token(case["user"], case["groups"], admin=case["admin"])
            headers |= {"Host": case["host"], "X-Forwarded-For": case["client"]}
            connection.request(case["method"], case["path"], headers=headers)
            answer = connection.getresponse()
            answer.read()
            yield answer.status, case

    with ThreadPoolExecutor(4) as threads:
        answers = [answer for part in threads.map(lambda n: list(ask(cases[n::4])), range(4)) for answer in part]
    # The page of the gateway itself knows GET and HEAD alone.
    wrong = [(status, case) for status, case in answers if (status in (200, 405)) != case["permitted"] or status not in (200, 403, 405)]
    assert not wrong, wrong[:3]
    assert 25 < sum(case["permitted"] for case in cases) < 475


def test_after_many_requests_each_begins_with_parsed_policies(serve, upstream, tmp_path):
    policies = POLICIES + "".join(f'permit(principal in Group::"g{n}", action, resource in Path::"/{n}");\n' for n in range(1000))
    _, gateway = start(serve, tmp_path, route(upstream.url, more="[authorizers.rules.limits]\nreuse_decisions = \"0s\""), policies=policies)

    def copied():
        assert gateway.send("/api/x", token("bob")).status == 200
        return gateway.logged(message="each call begins with a configured copy of the plugin")

    eventually(copied, "the plugin is copied", seconds=150)
    assert gateway.send("/7/x", token("bob", ["g7"])).status == 200
    assert gateway.send("/8/x", token("bob", ["g7"])).status == 403
