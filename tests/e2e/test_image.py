"""The container image: how small it is, what it lacks, and that a registry takes it. `test_kubernetes_page.py` runs it."""

import json
import os
import re
import stat
from pathlib import Path

import pytest

from harness.image import NAME
from harness.paths import ROOT
from harness.registry import PASSWORD, USER, Registry

MAX_SIZE = 45_000_000
"""Bytes of the whole image."""

MAX_PROGRAM = int(re.search(r"-le (\d+)", (ROOT / "deploy/programs").read_text())[1])
"""The most bytes of the gateway in a release with `cedar`. The tests' own build is larger."""


@pytest.fixture(scope="module")
def contents(image):
    """Each file of the image with what it is."""
    found = {}
    for folder, _, names in os.walk(image.root):
        for name in names:
            path = Path(folder, name)
            found[f"/{path.relative_to(image.root)}"] = path.lstat()
    return found


def test_the_image_has_room_for_the_program_alone(contents):
    rest = sum(status.st_size for path, status in contents.items() if path != "/usr/bin/portcullis")
    assert rest < MAX_SIZE - MAX_PROGRAM


def test_it_has_no_other_programs_and_no_file_is_writable(contents):
    programs = {path for path, status in contents.items() if status.st_mode & 0o111 and not path.startswith("/lib")}
    assert programs == {"/usr/bin/portcullis", "/usr/bin/portcullis-negotiate"}
    odd = [path for path, status in contents.items() if status.st_uid != 0 or status.st_mode & 0o7022 or not stat.S_ISREG(status.st_mode)]
    assert odd == []


def test_scanners_find_the_packages_of_the_libraries(image, contents):
    libraries = [path for path in contents if ".so" in path]
    described = "".join(Path(f"{image.root}{path}").read_text() for path in contents if path.startswith("/var/lib/dpkg/status.d/"))
    assert len(libraries) > 8
    for package in ("libc6", "libgcc-s1", "libgssapi-krb5-2", "libkrb5-3"):
        assert f"Package: {package}\n" in described
    components = json.loads((Path(image.root) / "usr/share/portcullis/sbom.cdx.json").read_text())["components"]
    assert {"wasmtime", "portcullis-plugin-cedar", "libgssapi"} <= {component["name"] for component in components}


def test_it_runs_as_a_user_without_rights(image):
    assert (image.config["User"], image.config["Entrypoint"], image.config["Cmd"]) == ("65532:65532", ["/usr/bin/portcullis"], ["serve"])
    assert "PATH=/usr/bin" in image.config["Env"], "so that `kubectl exec` finds the command"
    assert image.run("plugin", "list").splitlines()[0].split()[0]


def test_a_registry_takes_it(image, authority, tmp_path):
    registry = Registry(tmp_path, authority)
    try:
        certificates = tmp_path / "certificates"
        certificates.mkdir()
        (certificates / "ca.crt").write_bytes(Path(authority.ca).read_bytes())
        image.buildah("push", "--cert-dir", certificates, "--creds", f"{USER}:{PASSWORD}", NAME, f"docker://{registry.host}/portcullis:0.1.0")
        manifest = registry.get("portcullis/manifests/0.1.0").json()
        assert len(manifest["layers"]) == 1
    finally:
        registry.stop()
