"""The machine, and the versions of the programs that are compared."""

import datetime
import os
import platform
import re
import resource
import subprocess
import time
from pathlib import Path

from programs.envoy import ENVOY
from programs.process import machine_seconds, program


def describe(portcullis):
    """What a reader has to know to repeat a run: names and values."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} processors",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
        "date": f"{datetime.date.today():%d %B %Y}",
        "portcullis": first(r"portcullis (\S+)", portcullis, "--version"),
        "haproxy": first(r"version (\S+)", program("haproxy"), "-v"),
        "nginx": first(r"nginx/(\S+)", program("nginx"), "-v"),
        "envoy": first(r"/(\d[\d.]+)/", ENVOY, "--version"),
        "wrk": first(r"wrk (\S+)", program("wrk"), "-v"),
    }


def processor():
    """The processor by its name and, because virtual machines often name a whole series, its family and model."""
    known = dict(re.findall(r"(?m)^(.+?)\s*: (.*)$", Path("/proc/cpuinfo").read_text()))
    number = f" (family {known['cpu family']}, model {known['model']})" if "cpu family" in known else ""
    return known.get("model name", platform.machine()) + number


class Disturbance:
    """What else happened on the machine while a run lasted. Its end is when it is printed, after the programs of the run
    have ended."""

    def __init__(self):
        self._began = self._now()

    def __str__(self):
        elapsed, busy, own, stolen = (now - then for now, then in zip(self._now(), self._began, strict=True))
        available = elapsed * os.cpu_count()
        return (
            f"{max(busy - own, 0) / available:.0%} of the processors' time went to other programs, "
            f"{stolen / available:.1%} to other machines"
        )

    @staticmethod
    def _now():
        used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        busy, stolen = machine_seconds()
        return time.monotonic(), busy, sum(each.ru_utime + each.ru_stime for each in used), stolen


def first(pattern, *command):
    ended = subprocess.run(command, capture_output=True, text=True)
    found = re.search(pattern, ended.stdout + ended.stderr)
    return found[1] if found else "unknown"
