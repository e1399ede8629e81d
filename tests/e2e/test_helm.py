"""deploy/helm: the chart has the objects of the Kustomize base, does as its values say, and tells which of them are wrong.
`test_kubernetes.py` has what holds for both, and `test_kubernetes_page.py` the section of the page."""

import json
import tomllib

import pytest
import yaml

from harness.manifests import CHART, EVERY_VALUE, chart, helm, kustomization, with_secrets
from harness.paths import ROOT

LABELS = {"app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"}
"""Those that Helm's conventions add."""


HTTPS_ONLY = "ports.http=null,ports.https=8443,service.ports.http=null,service.ports.https=443"


def bare(found):
    """A part of an object without the labels of Helm."""
    if isinstance(found, list):
        return [bare(each) for each in found]
    if isinstance(found, dict):
        return {key: bare(value) for key, value in found.items() if key not in LABELS}
    return found


def leaves(values, path=()):
    """Each single value, by its path."""
    if not isinstance(values, dict | list) or not values:
        return {path: values}
    parts = values.items() if isinstance(values, dict) else enumerate(values)
    return {leaf: value for key, part in parts for leaf, value in leaves(part, (*path, key)).items()}


def test_it_has_the_objects_of_the_base(tmp_path):
    """But for the namespace, which Helm makes or finds, and the Secret, which somebody else makes."""
    expected, made = kustomization(with_secrets(tmp_path / "kubernetes") / "base"), bare(chart())
    del expected["Namespace", "portcullis"], expected["Secret", "portcullis"]
    texts = [objects["ConfigMap", "portcullis"]["data"].pop("portcullis.toml") for objects in (expected, made)]
    assert tomllib.loads(texts[0]) == tomllib.loads(texts[1])
    assert made == expected


def test_it_is_of_the_version_of_the_program():
    program = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (described["version"], described["appVersion"]) == (program, program)


@pytest.mark.parametrize("options", [[], ["--values", EVERY_VALUE]], ids=["nothing", "everything"])
def test_lint_has_no_complaint(options):
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, *options).stdout


def test_every_value_is_used():
    """Each of `data/helm.yaml` is somewhere in what is rendered. It has one for all that the chart has."""
    values, changed = (leaves(yaml.safe_load(path.read_text())) for path in (CHART / "values.yaml", EVERY_VALUE))
    switches = {path for path, value in values.items() if isinstance(value, bool)}
    assert values.keys() - switches <= {leaf[:length] for leaf in changed for length in range(1, len(leaf) + 1)}
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert {path[0] for path in values} == schema["properties"].keys() - {"global"}
    before, after = (yaml.safe_dump(list(objects.values()), width=1000) for objects in (chart(), chart("--values", EVERY_VALUE)))
    for path, value in changed.items():
        if isinstance(value, str | int) and not isinstance(value, bool) and path != ("config",):
            assert str(value) in after and str(value) not in before, path


def test_a_configuration_is_taken_as_it_is(tmp_path):
    """Also with the braces of its own templates."""
    written = yaml.safe_load(EVERY_VALUE.read_text())["config"]
    assert "{{{user}}}" in written
    file = tmp_path / "portcullis.toml"
    file.write_text(written)
    for options in (["--values", EVERY_VALUE], ["--set-file", f"config={file}"]):
        assert chart(*options)["ConfigMap", "portcullis"]["data"] == {"portcullis.toml": written}


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("networkPolicy.enabled=false", {"NetworkPolicy"}),
        ("podDisruptionBudget.enabled=false", {"PodDisruptionBudget"}),
        ("replicas.min=4", {"HorizontalPodAutoscaler"}),
    ],
)
def test_what_is_switched_off_is_not_there(value, kinds):
    whole, rest = chart(), chart("--set", value)
    assert {kind for kind, _ in whole.keys() - rest.keys()} == kinds
    assert "Ingress" not in {kind for kind, _ in whole}


def test_as_many_gateways_as_are_said_run_without_a_scaler():
    assert chart("--set", "replicas.min=4")["StatefulSet", "portcullis"]["spec"]["replicas"] == 4
    assert "replicas" not in chart()["StatefulSet", "portcullis"]["spec"], "the number is the scaler's"


def test_two_releases_have_nothing_in_common():
    one, other = chart(release="one"), chart(release="two-portcullis")
    assert {name for _, name in one} == {"one-portcullis", "one-portcullis-peers"}
    assert {name for _, name in other} == {"two-portcullis", "two-portcullis-peers"}
    assert "http://one-portcullis-3.one-portcullis-peers:8000" in one["ConfigMap", "one-portcullis"]["data"]["portcullis.toml"]
    for objects, instance in ((one, "one"), (other, "two-portcullis")):
        found = [each["spec"]["selector"] for (kind, _), each in objects.items() if kind == "Service"]
        found += [each["spec"]["selector"]["matchLabels"] for (kind, _), each in objects.items() if kind in ("StatefulSet", "PodDisruptionBudget")]
        assert [labels["app.kubernetes.io/instance"] for labels in found] == [instance] * 4


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("replica.max=3", "additional properties 'replica' not allowed"),
        ("replicas.max=1", "replicas.min is 2, which is more than replicas.max, 1"),
        ("replicas.max=many", "at '/replicas/max': got string, want integer"),
        ("ports.admin=null", "missing property 'admin'"),
        (HTTPS_ONLY, "ports.http is missing, at which the configuration of the chart listens"),
        ("ports.http=80", "at '/ports/http': minimum: got 80, want 1,024"),
        ("service.ports.https=443", "service.ports.https is none of `ports`"),
        ("service.ports.admin=9180", "admin"),
        ("service.type=ExternalName", "at '/service/type': value must be one of 'ClusterIP', 'LoadBalancer', 'NodePort'"),
        ("ingress.enabled=true", "ingress.hosts is empty"),
        ("secret=", "at '/secret': minLength: got 0, want 1"),
    ],
)
def test_a_wrong_value_is_told(value, said):
    done = helm("template", "portcullis", CHART, "--set", value, check=False)
    assert done.returncode == 1 and said in done.stderr, done.stderr
