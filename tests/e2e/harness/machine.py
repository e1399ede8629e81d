"""A copy of this machine that runs systemd, for what installs and starts services. Nothing that is done to it is left: what it writes
is in memory, and goes with it.

It is a process in namespaces of its own. Its root is this machine's, below a layer that takes what is written (overlayfs). It has a
network of its own that leads nowhere, so its ports are all free.
"""

import contextlib
import os
import secrets
import subprocess
from pathlib import Path

import psutil

from .process import Child, eventually

ROOT_ONLY = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
"""What goes before a command that only root may run."""

NAMESPACES = ["--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net"]

FORBIDDEN = "-sys_module,-sys_time,-sys_rawio,-syslog,-sys_boot,-mac_admin"
"""What the copy may not do, because it would do it to this machine."""

BOOT = r"""
set -e
group=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET)/$1
mkdir -p "$group"
echo $$ >"$group/cgroup.procs"
exec unshare --cgroup sh -ec '
root=$1 shared=$2
mount --make-rprivate /
mount -t tmpfs tmpfs "$root"
mkdir "$root/written" "$root/work" "$root/whole"
mount -t overlay overlay -o lowerdir=/,upperdir="$root/written",workdir="$root/work" "$root/whole"
cd "$root/whole"
mount -t proc proc proc
mount -o bind,ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
for folder in run tmp mnt; do mount -t tmpfs tmpfs "$folder"; done
mount --bind "$shared" mnt
# systemd mounts the credentials of a service from elsewhere.
mount --make-rshared .
# Only what a service needs: a journal, and none of the services of this machine.
rm -rf etc/systemd/system/*.wants usr/lib/systemd/system/sysinit.target.wants usr/lib/systemd/system/multi-user.target.wants
rm -f usr/sbin/policy-rc.d usr/lib/systemd/system/sockets.target.wants/dbus.socket
exec setpriv --bounding-set="$3" env -i container=portcullis PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --unit=basic.target
' sh "$2" "$3" "$4"
"""


class Machine:
    """A running copy. `shared` is a folder of the tests, which is `/mnt` there."""

    def __init__(self, folder, shared):
        root = folder / "root"
        root.mkdir()
        # systemd makes its groups within one of the copy's own.
        self._group = f"portcullis-tests-{secrets.token_hex(8)}"
        # `unshare` blocks SIGTERM, which other children get when the tests die.
        command = [*ROOT_ONLY, "setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "sh", "-c", BOOT, "sh", self._group, root, shared, FORBIDDEN]
        self.child = Child(command, folder / "machine.log")
        self.child.wait_until(self._is_up, "systemd is up", seconds=60)

    def _is_up(self):
        self._pid = None
        for each in psutil.Process(self.child.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if each.name() == "systemd":
                    self._pid = each.pid
                    return self.run("systemctl is-active basic.target", check=False).stdout == "active\n"
        return False

    def run(self, command, check=True, timeout=60):
        """Runs a command of bash there, as root."""
        inside = ["nsenter", f"--target={self._pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root"]
        clean = ["env", "-i", "--chdir=/root", "HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        ran = subprocess.run(
            [*ROOT_ONLY, *inside, *clean, "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert not check or ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}\n{self.journal()}"
        return ran

    def journal(self):
        """The end of what its services have said."""
        return self.run("journalctl --no-pager --output cat --lines 60", check=False).stdout

    def stop(self):
        self.child.kill()
        # The groups that systemd has made are empty once all its processes are gone.
        found = subprocess.run(["findmnt", "-n", "-f", "-t", "cgroup2", "-o", "TARGET"], capture_output=True, text=True, check=True)
        group = Path(found.stdout.strip()) / self._group
        remove = [*ROOT_ONLY, "find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]
        eventually(lambda: subprocess.run(remove, capture_output=True) and not group.exists(), "its groups are gone")
