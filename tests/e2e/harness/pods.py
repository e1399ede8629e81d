"""Plays a cluster, as far as the gateway sees one: what `kubectl apply -k` renders runs in containers of systemd on a copy of this
machine, from the image that is built here. Volumes are written as the kubelet writes them (AtomicWriter), and names of pods lead to
addresses of their own.

What a cluster decides isn't played: scheduling, scaling, admission, the rules of network policies.
"""

import base64
import itertools
import shlex
import subprocess

import yaml

from .machine import ROOT_ONLY, Machine
from .paths import VENV_BIN
from .process import eventually

KUBECTL = VENV_BIN / "kubectl"
ADDRESS = "127.0.0.1{}"
"""The address of a pod, by its number."""


def render(folder):
    """The objects of a Kustomization, by kind and name."""
    text = subprocess.run([KUBECTL, "kustomize", folder], check=True, capture_output=True, text=True, timeout=60).stdout
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}


class Cluster:
    """Runs the pods of a StatefulSet."""

    def __init__(self, folder, image):
        self.shared = folder / "shared"
        self.shared.mkdir()
        subprocess.run([*ROOT_ONLY, "cp", "-a", image.root, self.shared / "image"], check=True, timeout=60)
        self.machine = Machine(folder, self.shared)
        # systemd runs a service as a user that its machine knows.
        self.machine.run("echo pod:x:65532:65532::/: >>/etc/passwd && echo pod:x:65532: >>/etc/group && ln -sf /mnt/hosts /etc/hosts")
        self.objects, self._versions = {}, itertools.count()

    def apply(self, objects):
        """Writes the volumes anew, and starts the pods that don't run. Those that do have taken up what has changed at the end."""
        before, self.objects = self.objects, self.objects | objects
        names = self.pods()
        peers = self._set["spec"]["serviceName"]
        # The service is found at every pod, and clients try one after the other.
        hosts = [f"{ADDRESS.format(number)} {name} {name}.{peers} portcullis.portcullis\n" for number, name in names]
        (self.shared / "hosts").write_text("127.0.0.1 localhost\n" + "".join(hosts))
        running = {name: self._reloads(name) for _, name in names if self.runs(name)}
        for number, name in names:
            self._write_volumes(number, name)
            if name not in running:
                self._start(number, name)
        if self._content(before) != self._content(self.objects):
            for name, count in running.items():
                eventually(lambda name=name, count=count: self._reloads(name) > count, f"{name} has taken up the change", seconds=30)

    def _reloads(self, name):
        return self.log(name).count("the configuration was reloaded")

    def _content(self, objects):
        """Of these objects, those that are in volumes of the pods."""
        keys = [self._key(source) for volume in self._set["spec"]["template"]["spec"]["volumes"] for source in self._sources(volume)]
        return {key: objects[key] for key in keys if key in objects}

    @staticmethod
    def _sources(volume):
        """What a volume has its files of."""
        if "emptyDir" in volume:
            return []
        return volume["projected"]["sources"] if "projected" in volume else [volume]

    @staticmethod
    def _key(source):
        """Which object it is."""
        if "secret" in source:
            return "Secret", source["secret"].get("name") or source["secret"]["secretName"]
        return "ConfigMap", source["configMap"]["name"]

    def runs(self, name):
        return self.machine.run(f"systemctl is-active {name}", check=False).stdout == "active\n"

    @property
    def _set(self):
        return self.objects["StatefulSet", "portcullis"]

    def pods(self):
        """The number and the name of each."""
        replicas = self.objects["HorizontalPodAutoscaler", "portcullis"]["spec"]["minReplicas"]
        return [(number, f"portcullis-{number}") for number in range(replicas)]

    def _start(self, number, name):
        """Starts a pod as its specification says. An unknown field is an error, so that none is overlooked."""
        pod = self._set["spec"]["template"]["spec"]
        [container] = pod["containers"]
        rights, limits = pod["securityContext"], container["securityContext"]
        assert rights["runAsNonRoot"] and limits == RESTRICTED, limits
        properties = [
            "RootDirectory=/mnt/image",
            f"User={rights['runAsUser']}",
            f"Group={rights['runAsGroup']}",
            "MountAPIVFS=yes",
            "ReadOnlyPaths=/",
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "SystemCallFilter=@system-service",
            "BindReadOnlyPaths=/mnt/hosts:/etc/hosts",
            f"TimeoutStopSec={pod['terminationGracePeriodSeconds']}",
            *(f"Environment={variable}" for variable in IMAGE_ENVIRONMENT),
        ]
        for mount in container["volumeMounts"]:
            bind = "BindReadOnlyPaths" if mount.get("readOnly") else "BindPaths"
            properties.append(f"{bind}=/mnt/{name}/{mount['name']}:{mount['mountPath']}")
        options = " ".join(shlex.quote(f"--property={each}") for each in properties)
        self.machine.run(f"systemctl reset-failed {name} 2>/dev/null; systemd-run --quiet --unit={name} {options} /usr/bin/portcullis serve")

    def _write_volumes(self, number, name):
        pod = self._set["spec"]["template"]["spec"]
        claims = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in self._set["spec"]["volumeClaimTemplates"]]
        for volume in [*pod["volumes"], *claims]:
            folder = self.shared / name / volume["name"]
            folder.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                self.machine.run(f"chgrp 65532 /mnt/{name}/{volume['name']} && chmod 2777 /mnt/{name}/{volume['name']}")
                continue
            mode = volume.get("projected", volume.get("configMap", {})).get("defaultMode", 0o644)
            files = {}
            for source in self._sources(volume):
                files |= self._files(source)
            # The pod's address, in place of a network of its own.
            files = {path: content.replace(b'"0.0.0.0:', f'"{ADDRESS.format(number)}:'.encode()) for path, content in files.items()}
            self._write(folder, files, mode)

    def _files(self, source):
        """The files of a ConfigMap or a Secret."""
        found = self.objects.get(self._key(source))
        if "secret" in source:
            return {key: base64.b64decode(value) for key, value in found["data"].items()}
        if found is None:
            assert source["configMap"]["optional"]
            return {}
        texts = {key: value.encode() for key, value in found.get("data", {}).items()}
        return texts | {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}

    def _write(self, folder, files, mode):
        """Changes all files of a volume at once: a new folder, to which the link `..data` is then moved."""
        version = folder / f"..{next(self._versions)}"
        version.mkdir()
        for path, content in files.items():
            (version / path).write_bytes(content)
            (version / path).chmod(mode)
        inside = f"/mnt/{folder.relative_to(self.shared)}"
        self.machine.run(f"chgrp -R 65532 {inside}/{version.name}")
        for path in files:
            link = folder / path
            if not link.is_symlink():
                link.symlink_to(f"..data/{path}")
        (folder / "..data_tmp").symlink_to(version.name)
        (folder / "..data_tmp").rename(folder / "..data")
        for link in folder.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()

    def wait(self):
        """Starts the pods that have gone, and waits until every pod passes its readiness probe."""
        for number, name in self.pods():
            if not self.runs(name):
                self._start(number, name)
        [container] = self._set["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        probe = container["readinessProbe"]["httpGet"]
        for number, name in self.pods():
            ask = f"curl -sf http://{ADDRESS.format(number)}:{ports[probe['port']]}{probe['path']}"
            eventually(lambda ask=ask: self.machine.run(ask, check=False).returncode == 0, f"{name} is ready\n{self.log(name)}", seconds=60)

    def execute(self, name, command):
        """Runs a command in a running pod, as `kubectl exec` does."""
        pid = self.machine.run(f"systemctl show --value --property MainPID {name}").stdout.strip()
        variables = " ".join([*IMAGE_ENVIRONMENT, "PATH=/usr/bin"])
        return self.machine.run(f"env -i {variables} /usr/sbin/chroot --userspec=65532:65532 --groups= /proc/{pid}/root {command}", check=False)

    def log(self, name):
        return self.machine.run(f"journalctl --no-pager --output cat --unit {name}", check=False).stdout

    def stop(self):
        self.machine.stop()


RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}

IMAGE_ENVIRONMENT = ["PORTCULLIS_CONFIG=/etc/portcullis/portcullis.toml", "XDG_CACHE_HOME=/var/cache", "STATE_DIRECTORY=/var/lib/portcullis"]
