"""What Kustomize and Helm make of the files in `deploy`, as objects by kind and name."""

import shutil
import subprocess

import yaml

from .paths import PORTCULLIS, ROOT, STATE, TESTS, VENV_BIN

KUBECTL = VENV_BIN / "kubectl"
HELM = STATE / "helm" / "helm"
CHART = ROOT / "deploy/helm/portcullis"
EVERY_VALUE = TESTS / "data" / "helm.yaml"
KUSTOMIZE = ROOT / "deploy/kubernetes"

SECRETS = [
    "base/secrets/session.key",
    "base/secrets/admin.token",
    "overlays/dask-gateway/secrets/dask-gateway",
    "overlays/dask-gateway/secrets/hub",
]


def with_secrets(copy):
    """A copy of the Kustomizations, with the secrets that an operator makes."""
    shutil.copytree(KUSTOMIZE, copy, ignore=shutil.ignore_patterns("secrets"))
    for secret in SECRETS:
        (copy / secret).parent.mkdir(exist_ok=True)
        subprocess.run([PORTCULLIS, "keygen", "--out", copy / secret], check=True, timeout=60)
    return copy


def kustomization(folder):
    """The objects of a Kustomization."""
    return objects(subprocess.run([KUBECTL, "kustomize", folder], check=True, capture_output=True, text=True, timeout=60).stdout)


def chart(*options, release="portcullis"):
    """The objects of a release of the chart, in the namespace `portcullis`."""
    return objects(helm("template", release, CHART, "--namespace", "portcullis", *options).stdout)


def helm(*arguments, check=True):
    """What Helm says. Without the environment, it finds nothing of the user's."""
    done = subprocess.run([HELM, *arguments], env={}, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stderr
    return done


def objects(text):
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}
