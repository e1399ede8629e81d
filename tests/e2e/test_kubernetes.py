"""deploy/kubernetes: what Kustomize renders is valid, its configurations are right, and the walk of docs/kubernetes.md works on a played
cluster with the image that is built here."""

import base64
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from harness import raw_plugins
from harness.client import ALICE, send
from harness.gateway import run
from harness.page import comparable
from harness.paths import PORTCULLIS, ROOT
from harness.pods import ADDRESS, KUBECTL, Cluster, render
from harness.process import eventually
from harness.prometheus import promtool

FOLDER = ROOT / "deploy/kubernetes"
KUSTOMIZATIONS = ["base", "overlays/dask-gateway", "overlays/ingress-nginx"]
VERSIONS = ["1.30", "1.37"]
"""The oldest that dask-gateway's chart supports, and the newest."""

SECRETS = [
    "base/secrets/session.key",
    "base/secrets/admin.token",
    "overlays/dask-gateway/secrets/dask-gateway",
    "overlays/dask-gateway/secrets/hub",
]

PAGE = (ROOT / "docs/kubernetes.md").read_text()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A copy of the folder, with the secrets that an operator makes."""
    copy = tmp_path_factory.mktemp("kubernetes") / "kubernetes"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("secrets"))
    for secret in SECRETS:
        (copy / secret).parent.mkdir(exist_ok=True)
        subprocess.run([PORTCULLIS, "keygen", "--out", copy / secret], check=True, timeout=60)
    return copy


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_what_is_rendered_is_valid(files, kustomization, version):
    for each in render(files / kustomization).values():
        kubernetes_validate.validate(each, version, strict=True)


def test_the_example_of_an_application_is_valid(files):
    example = yaml.safe_load((files / "overlays/ingress-nginx/app.yaml").read_text())
    for version in VERSIONS:
        kubernetes_validate.validate(example, version, strict=True)


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_everything_selects_the_pods_and_nothing_else(files, kustomization):
    objects = render(files / kustomization)
    labels = {"app.kubernetes.io/name": "portcullis"}
    template = objects["StatefulSet", "portcullis"]["spec"]["template"]
    assert template["metadata"]["labels"] == labels
    selectors = [objects["StatefulSet", "portcullis"]["spec"]["selector"]["matchLabels"]]
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in template["spec"]["topologySpreadConstraints"]]
    selectors.append(objects["PodDisruptionBudget", "portcullis"]["spec"]["selector"]["matchLabels"])
    selectors.append(objects["NetworkPolicy", "portcullis"]["spec"]["podSelector"]["matchLabels"])
    selectors += [each["spec"]["selector"] for (kind, _), each in objects.items() if kind == "Service"]
    assert selectors == [labels] * len(selectors)


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_every_port_that_is_named_is_one_of_the_pod(files, kustomization):
    objects = render(files / kustomization)
    [container] = objects["StatefulSet", "portcullis"]["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    named = {port["targetPort"] for (kind, _), each in objects.items() if kind == "Service" for port in each["spec"]["ports"]}
    named |= {port["port"] for rule in objects["NetworkPolicy", "portcullis"]["spec"]["ingress"] for port in rule["ports"]}
    named |= {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert named <= set(ports)
    listened = re.findall(r'"0\.0\.0\.0:(\d+)"', objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"])
    assert sorted(map(int, listened)) == sorted(ports.values())


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_as_many_gateways_are_named_as_there_may_be(files, kustomization):
    objects = render(files / kustomization)
    most = objects["HorizontalPodAutoscaler", "portcullis"]["spec"]["maxReplicas"]
    peers = set(re.findall(r"//(portcullis-\d+)\.portcullis-peers", objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"]))
    assert peers == {f"portcullis-{number}" for number in range(most)}


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS)
def test_every_configuration_is_right(files, kustomization, tmp_path, authority):
    objects = render(files / kustomization)
    text = objects["ConfigMap", "portcullis"]["data"]["portcullis.toml"]
    for name, content in objects["Secret", "portcullis"]["data"].items():
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
    example = yaml.safe_load((FOLDER / "overlays/ingress-nginx/app.yaml").read_text())
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
    [name], objects = found["names"], render(files / "base")
    service, namespace, _ = name.split(".", 2)
    # Only such a service has the addresses of its pods for its name.
    assert objects["Service", service]["spec"]["clusterIP"] == "None" and ("Namespace", namespace) in objects
    [container] = objects["StatefulSet", "portcullis"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "admin", "containerPort": found["port"]} in container["ports"]


def shown():
    """The commands of the page with the lines of their output."""
    found = []
    walk = re.sub(r"(?ms)^```.*?^```$", "", PAGE.split("## In front of dask-gateway")[0])
    for line in re.findall(r"(?m)^    (.*)$", walk):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return found


class Operator:
    """Runs the commands of the page: those of `kubectl` are played."""

    def __init__(self, folder, cluster):
        self.folder, self.cluster = folder, cluster

    def __call__(self, command):
        """What the command says."""
        words = command.split()
        if words[:3] == ["kubectl", "apply", "-k"]:
            self.cluster.apply(render(self.folder / words[-1]))
        elif words[:3] == ["kubectl", "apply", "-f"]:
            self.monitor(yaml.safe_load((self.folder / words[-1]).read_text()))
        elif command.endswith(" | kubectl apply -f -"):
            made = yaml.safe_load(self.run(command.removesuffix(" | kubectl apply -f -")))
            self.cluster.apply({(made["kind"], made["metadata"]["name"]): made})
        elif words[:2] == ["promtool", "query"]:
            return eventually(lambda: self.query(command), command, seconds=60)
        elif words[:3] == ["kubectl", "rollout", "status"]:
            self.cluster.wait()
        elif words[:2] == ["kubectl", "exec"]:
            ran = self.cluster.execute(words[2], command.split(" -- ")[1])
            assert ran.returncode == 0, ran
            return ran.stdout
        elif words[:2] == ["kubectl", "logs"]:
            wanted = words[-1]
            logs = {name: self.cluster.log(name).splitlines() for name in ("portcullis-0", "portcullis-1")}
            return "".join(f"[pod/{name}/portcullis] {line}\n" for name, lines in logs.items() for line in lines if wanted in line)
        elif words[:3] == ["kubectl", "delete", "pod"]:
            self.cluster.machine.run(f"systemctl stop {words[3]}")
        elif words[0] == "curl":
            return self.cluster.machine.run(command.replace("portcullis.portcullis/", "portcullis.portcullis:8000/")).stdout
        elif words[0] in ("mkdir", "portcullis", "sed"):
            self.run(command)
        else:
            assert words[:3] == ["kubectl", "config", "set-context"], command
        return ""

    def run(self, command):
        """What a command says that needs no cluster."""
        place = {"PATH": f"{PORTCULLIS.parent}:{KUBECTL.parent}:/usr/bin:/bin", "HOME": str(self.folder)}
        return subprocess.run(["bash", "-c", command], cwd=self.folder, env=place, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    def monitor(self, monitor):
        """Starts a Prometheus that asks what the operator would tell it to ask, by its documentation of a PodMonitor."""
        spec = monitor["spec"]
        template = self.cluster.objects["StatefulSet", "portcullis"]["spec"]["template"]
        labels, [container] = template["metadata"]["labels"], template["spec"]["containers"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        [endpoint] = spec["podMetricsEndpoints"]
        assert endpoint["relabelings"] == [{"sourceLabels": ["__meta_kubernetes_pod_name"], "targetLabel": "instance"}]
        pods = [{"targets": [f"{ADDRESS.format(number)}:{ports[endpoint['port']]}"], "labels": {"instance": name}} for number, name in self.cluster.pods()]
        job = {"job_name": labels[spec["jobLabel"]], "scrape_interval": endpoint["interval"], "static_configs": pods}
        (self.cluster.shared / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
        start = "systemd-run --quiet --unit=monitoring prometheus --config.file=/mnt/prometheus.yml --storage.tsdb.path=/tmp/prometheus"
        self.cluster.machine.run(f"{start} --web.listen-address=127.0.0.1:9090")

    def query(self, command):
        """What Prometheus says of all pods, once it does."""
        here = command.replace("prometheus-operated.monitoring", "127.0.0.1")
        said = sorted(self.cluster.machine.run(here, check=False).stdout.splitlines(keepends=True))
        return "".join(said) if sum("=> 1" in line for line in said) == len(self.cluster.pods()) else None

    def session(self, user):
        """The cookie of a new session. Browsers send it over https only, and so does curl by itself."""
        head = self.cluster.machine.run(f"curl -s -o /dev/null -D - -u {user}: http://portcullis.portcullis:8000/").stdout
        return re.findall(r"(?mi)^set-cookie: ([^;]+);", head)[0]

    def statuses(self, cookie):
        """What each running gateway answers to a request with this session."""
        ask = "curl -s -o /dev/null -w '%{{http_code}}' -H 'Cookie: {}' http://{}:8000/"
        running = [name for _, name in self.cluster.pods() if self.cluster.runs(name)]
        return [self.cluster.machine.run(ask.format(cookie, name)).stdout for name in running]


def test_the_page_leads_from_nothing_to_a_replica_that_is_lost(tmp_path, image):
    """Sessions go on meanwhile, for as long as the page says."""
    for folder in (FOLDER, ROOT / "deploy/prometheus", ROOT / "deploy/grafana"):
        shutil.copytree(folder, tmp_path / folder.relative_to(ROOT), ignore=shutil.ignore_patterns("secrets"))
    shutil.copy(raw_plugins.component(), tmp_path / "team.wasm")
    (tmp_path / "team.toml").write_text("")
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(tmp_path / "cluster", image)
    operator = Operator(tmp_path, cluster)
    here, written = None, None
    sessions = {}
    try:
        for command, expected in shown():
            said = operator(command.replace(written, here) if here else command).splitlines()
            if "x-request-id" in command:
                here, written = said[0].split()[-1], expected[0].split()[-1]
            assert comparable(said, here) == comparable(expected, written), command
            if command.endswith("http://portcullis.portcullis/"):
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
        assert cluster.objects["PrometheusRule", "portcullis"]["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
        dashboard = cluster.objects["ConfigMap", "portcullis-dashboard"]
        assert dashboard["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert dashboard["data"]["portcullis.json"] == (ROOT / "deploy/grafana/portcullis.json").read_text()
        assert operator.statuses(sessions["bob"]) == ["200", "200"]
        assert operator.statuses(sessions["alice"]) == ["401", "401"], "a restart changes nothing"
    finally:
        cluster.stop()
