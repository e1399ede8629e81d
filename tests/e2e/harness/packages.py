"""What `deploy/programs` gathers for packages and `deploy/wheel` packs, of the tests' own builds instead of a release's."""

import os
import shutil
import subprocess

from . import build, python_package
from .paths import PEERS, PORTCULLIS, ROOT

MANUAL = ROOT / "target" / "debug" / "portcullis-manual"


def programs(folder):
    """The folder that the scripts in `deploy` pack."""
    for program in (PORTCULLIS, build.negotiate_helper()):
        # A release has no symbols either.
        subprocess.run(["strip", "-o", folder / program.name, program], check=True, timeout=60)
    subprocess.run([MANUAL, folder / "manual"], check=True, timeout=20)
    with open(folder / "sbom.cdx.json", "w") as bill:
        subprocess.run([ROOT / "deploy" / "sbom"], stdout=bill, check=True, timeout=60)
    return folder


def debian(folder, programs):
    """The Debian package, which isn't compressed: that would take longer than all the rest."""
    command = [ROOT / "deploy" / "debian" / "build", folder, programs]
    built = subprocess.run(command, env=os.environ | {"BUILDDEB": "-Znone"}, check=True, capture_output=True, text=True, timeout=120)
    return folder / built.stdout.strip().rpartition("/")[2]


def wheel(folder, *options):
    """Runs `deploy/wheel` with a cargo that is played: see `peers/cargo`. Returns the completed process, with the output as text."""
    module = folder / python_package.MODULE.name
    # A release has no symbols either.
    subprocess.run(["strip", "-o", module, python_package.MODULE], check=True, timeout=60)
    (folder / "bin").mkdir()
    (folder / "bin" / "cargo").symlink_to(PEERS / "cargo")
    environment = {
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "REAL_CARGO": shutil.which("cargo"),
        "PLAYED_MODULE": str(module),
    }
    command = [ROOT / "deploy" / "wheel", folder / "dist", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=120)
