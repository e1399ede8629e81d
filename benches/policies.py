"""What policies cost. Each team may read the pages of its own; with ten teams and with a thousand:

none      the gateway without an authorizer
reused    with the authorizer cedar, which may reuse its decisions
fresh     the same, asked about every request
envoy     Envoy's RBAC filter with the same rules, of which each names a team in a header
native    Cedar in a process of its own, without gateway and sandbox: all policies as one set, and the plugin's code

The cost is processor time for each request, the median of the rounds. Run it by `benches/policies`.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from programs.envoy import DIRECT, ENVOY, envoy
from programs.portcullis import RELEASE, copied, portcullis
from programs.process import ROOT, need, status_of
from programs.wrk import wrk

COUNTS = (10, 1000)
BASIC = "Authorization: Basic YWxpY2U6"  # alice, without a password
MEMBER = 7

CONFIG = """
[server]
listen = "127.0.0.1:0"

[authenticators.people]
plugin = "simple"
{authorizer}
[[routes]]
path = "/"
authenticators = ["people"]
upstream = "portcullis:whoami"
{asked}
"""

AUTHORIZER = """
[authorizers.teams]
plugin = "cedar"
[authorizers.teams.settings]
policies = ["file:teams.cedar"]
entities = "file:teams.json"
{limits}
"""

FRESH = '[authorizers.teams.limits]\nreuse_decisions = "0s"\n'

RBAC = """- name: envoy.filters.http.rbac
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules: {rules}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--portcullis", type=Path, default=RELEASE, help="a release with the feature cedar")
    parser.add_argument("--seconds", type=int, default=5, help="length of a round (default 5)")
    parser.add_argument("--rounds", type=int, default=5, help="after one that doesn't count (default 5)")
    arguments = parser.parse_args()
    need("wrk", "taskset", str(ENVOY))
    print(f"{'policies':>8} {'what':<10} {'µs a request':>13} {'beside none':>12}")
    for count in COUNTS:
        none = cost(arguments, ours(arguments, count, None), denies=False)
        rows = {
            "none": none,
            "reused": cost(arguments, ours(arguments, count, "")),
            "fresh": cost(arguments, ours(arguments, count, FRESH)),
            "envoy": cost(arguments, theirs(count)),
        }
        for name, value in rows.items():
            beside = f"{value - none:>12.1f}" if name in ("reused", "fresh") else ""
            print(f"{count:>8} {name:<10} {value:>13.1f} {beside}".rstrip(), flush=True)
        for name, value in native(count).items():
            print(f"{count:>8} {name:<10} {value:>13.1f}", flush=True)


def policies(count):
    """Each team reads what is below its own path."""
    return "".join(f'permit (principal in Group::"team-{team}", action in Action::"read", resource in Path::"/team-{team}");\n' for team in range(count))


@contextlib.contextmanager
def ours(arguments, count, limits):
    """The gateway. `limits` are those of the authorizer, `None` for no authorizer."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        (files / "teams.cedar").write_text(policies(count))
        alice = {"uid": {"type": "User", "id": "alice"}, "attrs": {}, "parents": [{"type": "Group", "id": f"team-{MEMBER}"}]}
        (files / "teams.json").write_text(json.dumps([alice]))
        authorizer = "" if limits is None else AUTHORIZER.format(limits=limits).replace("file:", f"file:{files}/")
        config = CONFIG.format(authorizer=authorizer, asked="" if limits is None else 'authorizers = ["teams"]')
        with portcullis(Path(folder), arguments.portcullis, config) as server:
            if limits:
                # Until the plugin is copied, each call parses the policies.
                log = Path(folder) / "portcullis.log"
                while "each call begins" not in log.read_text(errors="replace"):
                    check(server)
                copied(log)
            yield server


@contextlib.contextmanager
def theirs(count):
    """Envoy, which believes the header."""
    rules = {
        f"team-{team}": {
            "permissions": [
                {
                    "and_rules": {
                        "rules": [
                            {"url_path": {"path": {"prefix": f"/team-{team}/"}}},
                            {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
                        ]
                    }
                }
            ],
            "principals": [{"header": {"name": "x-team", "string_match": {"exact": f"team-{team}"}}}],
        }
        for team in range(count)
    }
    with tempfile.TemporaryDirectory() as folder:
        rbac = RBAC.format(rules=json.dumps({"action": "ALLOW", "policies": rules}))
        with envoy(Path(folder), DIRECT, rbac) as server:
            yield server


def check(server, denies=True):
    """That a program decides as it should."""
    for team, status in [(MEMBER, 200), (MEMBER + 1, 403 if denies else 200)]:
        found = status_of(server.port, f"/team-{team}/page", [BASIC, f"X-Team: team-{MEMBER}"])
        assert found == status, (server.name, team, found)


def cost(arguments, started, denies=True):
    """Microseconds of processor time for each request."""
    with started as server:
        check(server, denies)
        url = server.url(f"/team-{MEMBER}/page")
        rounds = [wrk(server, url, arguments.seconds, headers=[BASIC, f"X-Team: team-{MEMBER}"]).cost for _ in range(arguments.rounds + 1)]
    return statistics.median(rounds[1:])


def native(count):
    """Microseconds of a decision in a process without gateway and sandbox."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "tests/.state/guests")}
    command = ["cargo", "run", "--quiet", "--release", "--locked", "--example", "cost", "--", str(count)]
    ran = subprocess.run(command, cwd=ROOT / "plugins/cedar", env=environment, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout)


if __name__ == "__main__":
    main()
