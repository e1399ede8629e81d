"""Debian's Prometheus, with a job for gateways that are asked every second."""

import json
import re
import subprocess
import time

import requests

from .paths import ROOT
from .peer import Peer
from .process import eventually

DEPLOY = ROOT / "deploy/prometheus"
JOB = "portcullis"


class Prometheus(Peer):
    """A running Prometheus on `url` that watches these gateways, with the project's alerts. `admin_urls`: their admin listeners."""

    NAME, PORTS = "prometheus", 1

    def __init__(self, folder, admin_urls):
        self.instances = [url.removeprefix("http://") for url in admin_urls]
        super().__init__(folder)

    def _launch(self, port):
        self.url = f"http://127.0.0.1:{port}"
        config = self.folder / "prometheus.yml"
        # JSON is YAML, too.
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(DEPLOY / "alerts.yml")],
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": self.instances}]}],
        }))
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
        return command, {}, f"{self.url}/-/ready"

    def query(self, expression):
        """The samples of an expression at this moment: a list of labels and value. An invalid expression is an error."""
        answer = requests.get(f"{self.url}/api/v1/query", {"query": expression}, timeout=20).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        return [(sample["metric"], float(sample["value"][1])) for sample in answer["data"]["result"]]

    def alerts(self):
        """The alerts that are pending or fire, with their labels and annotations."""
        answer = requests.get(f"{self.url}/api/v1/alerts", timeout=20).json()
        return answer["data"]["alerts"]

    def wait_for_scrapes(self):
        """Waits until every gateway was asked anew."""
        now = time.time()

        def asked():
            found = self.query(f'timestamp(up{{job="{JOB}"}}) * up')
            return len(found) == len(self.instances) and all(at > now for _, at in found)

        eventually(asked, "Prometheus has asked every gateway")


def promtool(*arguments, folder=DEPLOY):
    """Runs promtool, by default in the folder of the project's alerts, and returns what it says. It must succeed."""
    done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(expression):
    """The metrics that an expression names, without the suffixes of the parts of a histogram."""
    found = re.findall(r"\b(?:portcullis|process)_[a-z_]+", expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}
