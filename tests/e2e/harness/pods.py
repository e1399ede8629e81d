"""Plays a cluster, as far as the gateway sees one: what is applied runs in containers of systemd on a copy of this machine, from the
image that is built here. Volumes are written as the kubelet writes them (AtomicWriter), names of pods lead to addresses of their own, and
curl finds the ports of services.

What a cluster decides isn't played: scheduling, scaling, admission, the rules of network policies.
"""

import base64
import itertools
import shlex
import subprocess

from .machine import ROOT_ONLY, Machine
from .process import eventually

ADDRESS = "127.0.0.1{}"
"""The address of a pod, by its number."""


class Cluster:
    """Runs the pods of a StatefulSet."""

    def __init__(self, folder, image):
        self.shared = folder / "shared"
        self.shared.mkdir()
        subprocess.run([*ROOT_ONLY, "cp", "-a", image.root, self.shared / "image"], check=True, timeout=60)
        self.program = [*image.config["Entrypoint"], *image.config["Cmd"]]
        self.variables = image.config["Env"]
        self.machine = Machine(folder, self.shared)
        # systemd runs a service as a user that its machine knows.
        self.machine.run("echo pod:x:65532:65532::/: >>/etc/passwd && echo pod:x:65532: >>/etc/group")
        self.machine.run("ln -sf /mnt/hosts /etc/hosts && ln -sf /mnt/curlrc /root/.curlrc")
        self.objects, self._versions = {}, itertools.count()

    def apply(self, objects):
        """Writes the volumes anew, and starts the pods that don't run. Those that do have taken up what has changed at the end."""
        before, self.objects = self.objects, self.objects | objects
        if ("StatefulSet", "portcullis") not in self.objects:
            return
        names = self.pods()
        self._publish(names)
        running = {name: self._reloads(name) for _, name in names if self.runs(name)}
        for number, name in names:
            self._write_volumes(number, name)
            if name not in running:
                self._start(number, name)
        if self._content(before) != self._content(self.objects):
            for name, count in running.items():
                eventually(lambda name=name, count=count: self._reloads(name) > count, f"{name} has taken up the change", seconds=30)

    def _publish(self, names):
        """Makes the names of pods and services known, and tells curl which port of the pods is behind one of a service."""
        namespace = self._set["metadata"]["namespace"]
        services = {f"{name}.{namespace}": each["spec"] for (kind, name), each in self.objects.items() if kind == "Service"}
        # A service is found at every pod, and clients try one after the other.
        peers = self._set["spec"]["serviceName"]
        hosts = [f"{ADDRESS.format(number)} {name} {name}.{peers} {' '.join(services)}\n" for number, name in names]
        (self.shared / "hosts").write_text("127.0.0.1 localhost\n" + "".join(hosts))
        found = [(host, port["port"], self._ports[port["targetPort"]]) for host, spec in services.items() for port in spec["ports"]]
        (self.shared / "curlrc").write_text("".join(f'connect-to = "{host}:{port}:{host}:{target}"\n' for host, port, target in found))

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

    @property
    def _ports(self):
        """The ports of a pod, by their names."""
        [container] = self._set["spec"]["template"]["spec"]["containers"]
        return {port["name"]: port["containerPort"] for port in container["ports"]}

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
            *(f"Environment={variable}" for variable in self.variables),
        ]
        for mount in container["volumeMounts"]:
            bind = "BindReadOnlyPaths" if mount.get("readOnly") else "BindPaths"
            properties.append(f"{bind}=/mnt/{name}/{mount['name']}:{mount['mountPath']}")
        options = " ".join(shlex.quote(f"--property={each}") for each in properties)
        self.machine.run(f"systemctl reset-failed {name} 2>/dev/null; systemd-run --quiet --unit={name} {options} {shlex.join(self.program)}")

    def _write_volumes(self, number, name):
        pod = self._set["spec"]["template"]["spec"]
        claims = [{"name": claim["metadata"]["name"], "emptyDir": {}} for claim in self._set["spec"]["volumeClaimTemplates"]]
        for volume in [*pod["volumes"], *claims]:
            folder = self.shared / name / volume["name"]
            folder.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                self.machine.run(f"chgrp 65532 /mnt/{name}/{volume['name']} && chmod 2777 /mnt/{name}/{volume['name']}")
                continue
            [settings] = [value for key, value in volume.items() if key != "name"]
            mode = settings.get("defaultMode", 0o644)
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
        probe = container["readinessProbe"]["httpGet"]
        for number, name in self.pods():
            ask = f"curl -sf http://{ADDRESS.format(number)}:{self._ports[probe['port']]}{probe['path']}"
            eventually(lambda ask=ask: self.machine.run(ask, check=False).returncode == 0, f"{name} is ready\n{self.log(name)}", seconds=60)

    def execute(self, name, command):
        """Runs a command in a running pod, as `kubectl exec` does."""
        pid = self.machine.run(f"systemctl show --value --property MainPID {name}").stdout.strip()
        inside = f"/usr/sbin/chroot --userspec=65532:65532 --groups= /proc/{pid}/root"
        return self.machine.run(f"env -i {shlex.join(self.variables)} {inside} {command}", check=False)

    def log(self, name):
        return self.machine.run(f"journalctl --no-pager --output cat --unit {name}", check=False).stdout

    def stop(self):
        self.machine.stop()


RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
