"""deploy/kubernetes and deploy/helm: what Kustomize and Helm render is valid, and its configurations are right."""

import base64
import re

import kubernetes_validate
import pytest
import yaml

from harness.client import ALICE, send
from harness.gateway import run
from harness.manifests import EVERY_VALUE, KUSTOMIZE, chart, kustomization, with_secrets
from harness.paths import ROOT
from harness.prometheus import promtool

KUSTOMIZATIONS = ["base", "overlays/dask-gateway", "overlays/ingress-nginx"]
CHARTS = {"chart": [], "chart with every value": ["--values", EVERY_VALUE]}
VERSIONS = ["1.30", "1.37"]
"""The oldest that dask-gateway's chart supports, and the newest."""

PAGE = (ROOT / "docs/kubernetes.md").read_text()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A copy of the Kustomizations, with the secrets that an operator makes."""
    return with_secrets(tmp_path_factory.mktemp("kubernetes") / "kubernetes")


@pytest.fixture(params=[*KUSTOMIZATIONS, *CHARTS])
def objects(request, files):
    """What one of them is rendered to."""
    return chart(*CHARTS[request.param]) if request.param in CHARTS else kustomization(files / request.param)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_rendered_is_valid(objects, version):
    for each in objects.values():
        kubernetes_validate.validate(each, version, strict=True)


def test_the_example_of_an_application_is_valid(files):
    example = yaml.safe_load((files / "overlays/ingress-nginx/app.yaml").read_text())
    for version in VERSIONS:
        kubernetes_validate.validate(example, version, strict=True)


def test_everything_selects_the_pods_and_nothing_else(objects):
    template = objects["StatefulSet", "portcullis"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "portcullis"
    selectors = [objects["StatefulSet", "portcullis"]["spec"]["selector"]["matchLabels"]]
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in template["spec"]["topologySpreadConstraints"]]
    selectors.append(objects["PodDisruptionBudget", "portcullis"]["spec"]["selector"]["matchLabels"])
    selectors.append(objects["NetworkPolicy", "portcullis"]["spec"]["podSelector"]["matchLabels"])
    selectors += [each["spec"]["selector"] for (kind, _), each in objects.items() if kind == "Service"]
    assert selectors == [labels] * len(selectors)


def test_every_port_that_is_named_is_one_of_the_pod(objects):
    [container] = objects["StatefulSet", "portcullis"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    named = {port["targetPort"] for (kind, _), each in objects.items() if kind == "Service" for port in each["spec"]["ports"]}
    named |= {port["port"] for rule in objects["NetworkPolicy", "portcullis"]["spec"]["ingress"] for port in rule["ports"]}
    named |= {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert named <= set(ports)
    listened = re.findall(r'"0\.0\.0\.0:(\d+)"', objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"])
    assert sorted(map(int, listened)) == sorted(ports.values())


@pytest.mark.parametrize("objects", [*KUSTOMIZATIONS, "chart"], indirect=True)
def test_as_many_gateways_are_named_as_there_may_be(objects):
    most = objects["HorizontalPodAutoscaler", "portcullis"]["spec"]["maxReplicas"]
    peers = set(re.findall(r"//(portcullis-\d+)\.portcullis-peers", objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"]))
    assert peers == {f"portcullis-{number}" for number in range(most)}


def test_every_configuration_is_right(objects, files, tmp_path, authority):
    text = objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"]
    # The chart takes a Secret that somebody else makes.
    secret = (kustomization(files / "base") | objects)["Secret", "portcullis"]
    for name, content in secret["data"].items():
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(content))
    (tmp_path / "plugins").mkdir()
    cert, key = authority.issue("gateway.example")
    places = {"/etc/portcullis-plugins": tmp_path / "plugins", "/etc/portcullis-tls/tls.crt": cert, "/etc/portcullis-tls/tls.key": key}
    for place, here in places.items():
        text = text.replace(place, str(here))
    checked = run("check", folder=tmp_path, config=text)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_values_of_the_release_have_the_class_of_the_documentation(files):
    values = yaml.safe_load((files / "overlays/dask-gateway/values.yaml").read_text())
    written = values["gateway"]["extraConfig"]["portcullis"]
    page = (ROOT / "docs/dask-gateway/dask_gateway_config.py").read_text()
    [documented] = re.findall(r"(?ms)^class PortcullisAuthenticator.*?(?=^\S)", page[page.index("class ") :] + "\nend")
    assert documented.strip() in written
    compile(written, "values.yaml", "exec")


def test_ingress_nginx_is_answered(serve):
    """The request that ingress-nginx makes for `auth-url`, by its template."""
    gateway = serve(
        '[authenticators.people]\nplugin = "simple"\n[forward_auth]\n[[routes]]\npath = "/"\nhosts = ["app.example"]\nauthenticators = ["people"]\n',
        server='trusted_proxies = ["127.0.0.0/8"]\n',
    )
    asked = {
        "X-Request-ID": "1",
        "Host": "portcullis-auth.portcullis.svc.cluster.local",
        "X-Original-URL": "https://app.example/page?x=1",
        "X-Original-Method": "POST",
        "X-Sent-From": "nginx-ingress-controller",
        "X-Real-IP": "192.0.2.1",
        "X-Forwarded-For": "192.0.2.1",
        "X-Auth-Request-Redirect": "/page?x=1",
    }
    path = "/.portcullis/auth/nginx"
    granted = send(gateway.url, path, {**asked, **dict(ALICE)})
    example = yaml.safe_load((KUSTOMIZE / "overlays/ingress-nginx/app.yaml").read_text())
    passed_on = example["metadata"]["annotations"]["nginx.ingress.kubernetes.io/auth-response-headers"].lower().split(",")
    assert granted.status == 200 and granted.header("x-forwarded-user") == "alice"
    assert {"x-forwarded-user", "x-forwarded-groups", "authorization", "cookie"} == set(passed_on)
    assert send(gateway.url, path, asked).status == 401


def test_a_prometheus_without_the_operator_understands_the_page(files, tmp_path):
    [text] = re.findall(r"(?ms)^```yaml\n(scrape_configs:.*?)^```", PAGE)
    (tmp_path / "prometheus.yml").write_text(text)
    promtool("check", "config", "prometheus.yml", folder=tmp_path)
    [job] = yaml.safe_load(text)["scrape_configs"]
    [found] = job["dns_sd_configs"]
    [name], base = found["names"], kustomization(files / "base")
    service, namespace, _ = name.split(".", 2)
    # Only such a service has the addresses of its pods for its name.
    assert base["Service", service]["spec"]["clusterIP"] == "None" and ("Namespace", namespace) in base
    [container] = base["StatefulSet", "portcullis"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "admin", "containerPort": found["port"]} in container["ports"]
