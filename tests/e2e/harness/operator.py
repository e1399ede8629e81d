"""An operator who follows docs/kubernetes.md. It runs the commands of the page, and plays those that need a cluster."""

import re
import subprocess

import yaml

from .manifests import HELM, KUBECTL, kustomization, objects
from .paths import PORTCULLIS
from .pods import ADDRESS
from .process import eventually

APPLIED = " | kubectl apply -f -"


class Operator:
    """Works in `folder`, a copy of what the page names. `here` replaces what is called otherwise in the tests."""

    def __init__(self, folder, cluster, here=None):
        self.folder, self.cluster, self.here = folder, cluster, here or {}

    def __call__(self, command):
        """What the command says."""
        for written, name in self.here.items():
            command = command.replace(written, name)
        if command.endswith(APPLIED):
            return self.apply(self.run(command.removesuffix(APPLIED)))
        for start, play in self.PLAYED.items():
            if command.startswith(start):
                return play(self, command) or ""
        assert command.split()[0] in self.RUN, command
        return self.run(command)

    def run(self, command):
        """What a command says that needs no cluster."""
        programs = (self.folder / "bin", PORTCULLIS.parent, KUBECTL.parent, HELM.parent, "/usr/bin", "/bin")
        place = {"PATH": ":".join(map(str, programs)), "HOME": str(self.folder)}
        return subprocess.run(["bash", "-c", command], cwd=self.folder, env=place, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    def apply(self, text):
        self.cluster.apply(objects(text))
        return ""

    def apply_folder(self, command):
        self.cluster.apply(kustomization(self.folder / command.split()[-1]))

    def create(self, command):
        self.apply(self.run(f"{command} --dry-run=client -o yaml"))

    def release(self, command):
        self.apply(self.run(command.replace("helm upgrade --install", "helm template", 1)))

    def wait(self, _):
        self.cluster.wait()

    def execute(self, command):
        ran = self.cluster.execute(command.split()[2], command.split(" -- ")[1])
        assert ran.returncode == 0, ran
        return ran.stdout

    def logs(self, command):
        wanted = command.split()[-1]
        logs = {name: self.cluster.log(name).splitlines() for _, name in self.cluster.pods()}
        return "".join(f"[pod/{name}/portcullis] {line}\n" for name, lines in logs.items() for line in lines if wanted in line)

    def delete(self, command):
        self.cluster.machine.run(f"systemctl stop {command.split()[-1]}")

    def curl(self, command):
        return self.cluster.machine.run(command).stdout

    def monitor(self, command):
        """Starts a Prometheus that asks what the operator of Prometheus would tell it to ask, by its documentation of a PodMonitor."""
        spec = yaml.safe_load((self.folder / command.split()[-1]).read_text())["spec"]
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
        return eventually(lambda: self._query(command.replace("prometheus-operated.monitoring", "127.0.0.1")), command, seconds=60)

    def _query(self, command):
        said = sorted(self.cluster.machine.run(command, check=False).stdout.splitlines(keepends=True))
        return "".join(said) if sum("=> 1" in line for line in said) == len(self.cluster.pods()) else None

    def nothing(self, _):
        """What the cluster would only remember."""

    PLAYED = {
        "curl ": curl,
        "helm upgrade --install ": release,
        "kubectl apply -f ": monitor,
        "kubectl apply -k ": apply_folder,
        "kubectl config set-context ": nothing,
        "kubectl create ": create,
        "kubectl delete pod ": delete,
        "kubectl exec ": execute,
        "kubectl label namespace ": nothing,
        "kubectl logs ": logs,
        "kubectl rollout status ": wait,
        "promtool query ": query,
    }
    RUN = ["buildah", "cp", "deploy/image/build", "helm", "mkdir", "portcullis", "sed"]

    def session(self, user):
        """The cookie of a new session. Browsers send it over https only, and so does curl by itself."""
        head = self.cluster.machine.run(f"curl -s -o /dev/null -D - -u {user}: http://portcullis.portcullis/").stdout
        return re.findall(r"(?mi)^set-cookie: ([^;]+);", head)[0]

    def statuses(self, cookie):
        """What each running gateway answers to a request with this session."""
        ask = "curl -s -o /dev/null -w '%{{http_code}}' -H 'Cookie: {}' http://{}:8000/"
        running = [name for _, name in self.cluster.pods() if self.cluster.runs(name)]
        return [self.cluster.machine.run(ask.format(cookie, name)).stdout for name in running]
