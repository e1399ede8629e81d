"""The commands of docs/kubernetes.md lead where the page says, on a played cluster with the image that is built here."""

import base64
import json
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from harness import raw_plugins
from harness.machine import ROOT_ONLY
from harness.manifests import KUSTOMIZE
from harness.operator import Operator
from harness.page import comparable, sessions
from harness.paths import ROOT
from harness.pods import Cluster
from harness.process import eventually
from harness.registry import PASSWORD, USER, Registry

PAGE = (ROOT / "docs/kubernetes.md").read_text()


def shown(start, end="\n## "):
    """The commands from one heading of the page to another with the lines of their output."""
    return sessions((PAGE + "\n## ").split(f"\n## {start}\n")[1].split(end)[0])


@pytest.fixture
def operator(tmp_path, image):
    """Follows the page in a copy of what it names. What `deploy/programs` compiles for ten minutes is what the image has already."""
    for folder in ("helm", "kubernetes", "prometheus", "grafana", "image"):
        shutil.copytree(ROOT / "deploy" / folder, tmp_path / "deploy" / folder, ignore=shutil.ignore_patterns("secrets"))
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", image)
    yield Operator(tmp_path, cluster)
    cluster.stop()


def follow(operator, commands):
    for command, expected in commands:
        assert comparable(operator(command).splitlines(), None) == comparable(expected, None), command


def buildah(operator, image, packaged, registry):
    """Lets the operator build with programs that are there, in the store of the image, and push to this registry without a look at its
    certificate."""
    settings, passwords = operator.folder / "registries.conf", operator.folder / "auth.json"
    settings.write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
    passwords.write_text(json.dumps({"auths": {registry.host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}))
    known = ["env", f"CONTAINERS_REGISTRIES_CONF={settings}", f"REGISTRY_AUTH_FILE={passwords}"]
    scripts = {
        "bin/buildah": f'exec {shlex.join([*ROOT_ONLY, *known, "/usr/bin/buildah", *image.store])} "$@"',
        "deploy/programs": f'cp -a {packaged} "$1"',
    }
    for path, script in scripts.items():
        (operator.folder / path).parent.mkdir(exist_ok=True)
        (operator.folder / path).write_text(f"#!/bin/sh\n{script}\n")
        (operator.folder / path).chmod(0o755)
    shutil.copy(ROOT / "Cargo.toml", operator.folder)
    operator.here["registry.example"] = registry.host


def test_the_page_leads_from_nothing_to_a_replica_that_is_lost(tmp_path, operator, image, packaged_programs, authority):
    """Sessions go on meanwhile, for as long as the page says."""
    shutil.copy(raw_plugins.component(), tmp_path / "team.wasm")
    (tmp_path / "team.toml").write_text("")
    (tmp_path / "registry").mkdir()
    registry = Registry(tmp_path / "registry", authority)
    buildah(operator, image, packaged_programs, registry)
    cluster = operator.cluster
    here, written = None, None
    sessions = {}
    try:
        for command, expected in shown("1. The image", "\n## In front of dask-gateway"):
            said = operator(command.replace(written, here) if here else command).splitlines()
            if "x-request-id" in command:
                here, written = said[0].split()[-1], expected[0].split()[-1]
            assert comparable(said, here) == comparable(expected, written), command
            if command.startswith("buildah push"):
                assert len(registry.get("portcullis/manifests/0.1.0").json()["layers"]) == 1
            elif command.endswith("http://portcullis.portcullis/"):
                sessions.setdefault("old", operator.session("alice"))
            elif command.startswith("kubectl apply") and sessions:
                keys = cluster.objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"].split("keys = [")[1].split("]")[0]
                kept = "session.key" in keys
                assert operator.statuses(sessions["old"]) == ["200" if kept else "401"] * 2, keys
                sessions |= {user: operator.session(user) for user in ("alice", "bob")}
            elif "revoke user alice" in command:
                eventually(lambda: operator.statuses(sessions["alice"]) == ["401"] * 2, "alice is out everywhere", seconds=5)
            elif command.startswith("kubectl delete"):
                assert operator.statuses(sessions["bob"]) == ["200"]
    finally:
        registry.stop()
    assert cluster.objects["PrometheusRule", "portcullis"]["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    dashboard = cluster.objects["ConfigMap", "portcullis-dashboard"]
    assert dashboard["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert dashboard["data"]["portcullis.json"] == (ROOT / "deploy/grafana/portcullis.json").read_text()
    assert operator.statuses(sessions["bob"]) == ["200", "200"]
    assert operator.statuses(sessions["alice"]) == ["401", "401"], "a restart changes nothing"


def test_it_stands_in_front_of_dask_gateway(operator, authority):
    """Of dask-gateway's chart, which no package registry has, a chart that shows its values takes the place."""
    chart = operator.folder / "dask-gateway"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: dask-gateway\nversion: 2026.3.0\n")
    shown_values = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "values"}, "data": {{ .Values | toJson }}}'
    (chart / "templates/values.yaml").write_text(shown_values)
    operator.here["dask-gateway --repo https://helm.dask.org"] = "./dask-gateway"
    certificate, key = (Path(file).read_bytes() for file in authority.issue("gateway.example", host="gateway.example"))
    files = {"tls.crt": certificate, "tls.key": key}
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    operator.cluster.apply({("Secret", "gateway-tls"): {"data": data}})
    shutil.copy(authority.ca, operator.cluster.shared / "ca.crt")
    # The name leads to the load balancer, whose certificate clients trust.
    operator.here["curl "] = "curl --cacert /mnt/ca.crt --connect-to gateway.example:443:portcullis.dask-gateway:8443 "
    follow(operator, [*shown("2. Secrets"), *shown("In front of dask-gateway")])
    values = yaml.safe_load((KUSTOMIZE / "overlays/dask-gateway/values.yaml").read_text())
    assert operator.cluster.objects["ConfigMap", "values"]["data"] == values


def test_it_stands_beside_ingress_nginx(operator):
    operator.here["10.42.0.0/16"] = "127.0.0.0/8"
    follow(operator, [*shown("2. Secrets"), *shown("Beside ingress-nginx")])


def test_helm_installs_it(operator):
    follow(operator, shown("With Helm"))
