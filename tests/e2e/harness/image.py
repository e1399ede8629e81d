"""The container image, built by buildah in a store of its own, and its root as a folder."""

import json
import os
import subprocess

from .machine import ROOT_ONLY
from .paths import ROOT

NAME = "localhost/portcullis:test"


class Image:
    """The image of these programs. `root` is what a container of it has at `/`, `config` how its program is run, and `store` tells buildah
    where it is."""

    def __init__(self, folder, programs):
        self.store = ["--root", f"{folder}/store", "--runroot", f"{folder}/run", "--storage-driver", "vfs"]
        self._buildah = [*ROOT_ONLY, "buildah", *self.store]
        environment = os.environ | {"BUILDAH": " ".join(self._buildah)}
        subprocess.run([ROOT / "deploy/image/build", NAME, programs], env=environment, check=True, capture_output=True, timeout=120)
        self.config = json.loads(self.buildah("inspect", "--type", "image", NAME))["OCIv1"]["config"]
        self._container = self.buildah("from", NAME)
        self.root = folder / "root"
        subprocess.run([*ROOT_ONLY, "cp", "-a", self.buildah("mount", self._container), self.root], check=True, timeout=60)

    def buildah(self, *arguments):
        """What a command of buildah says."""
        ran = subprocess.run([*self._buildah, *arguments], check=True, capture_output=True, text=True, timeout=120)
        return ran.stdout.strip()

    def run(self, *arguments):
        """What the program in a container says."""
        return self.buildah("run", "--isolation", "chroot", self._container, "--", "/usr/bin/portcullis", *arguments)

    def remove(self):
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all")
