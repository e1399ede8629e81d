"""The list of what the programs are made of, which packages hold: deploy/sbom."""

import json
import subprocess
import tomllib

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from harness.paths import ROOT


@pytest.fixture(scope="module")
def bill(packaged_programs):
    return (packaged_programs / "sbom.cdx.json").read_text()


@pytest.fixture(scope="module")
def scopes(bill):
    """Whether each crate is in the programs (`required`), or runs only while they are compiled (`excluded`)."""
    return {component["name"]: component["scope"] for component in json.loads(bill)["components"]}


@pytest.fixture(scope="module", params=["programs", "wheel"])
def any_bill(request, bill):
    """That of the programs, or of the Python package."""
    if request.param == "programs":
        return bill
    return subprocess.run([ROOT / "deploy/sbom", "wheel"], check=True, capture_output=True, text=True, timeout=60).stdout


def test_the_bill_is_valid(any_bill):
    """The validator takes 20 s for all addresses of repositories, so it gets those of ten crates."""
    whole = json.loads(any_bill)
    for component in whole["components"][10:]:
        component.pop("externalReferences", None)
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(whole)) is None


@pytest.mark.parametrize("name", ["portcullis-gateway", "wasmtime", "portcullis-plugin-oidc", "wit-bindgen", "cedar-policy-core", "libgssapi"])
def test_crates_of_the_gateway_its_plugins_and_the_helper_are_listed(scopes, name):
    assert scopes[name] == "required"


@pytest.mark.parametrize("name", ["proc-macro2", "serde_derive", "cc"])
def test_crates_that_compile_the_programs_are_not_in_them(scopes, name):
    assert scopes[name] == "excluded"


@pytest.mark.parametrize("name", ["clap_mangen", "divan", "portcullis-python", "tower-http"])
def test_crates_of_tests_and_other_programs_are_not_listed(scopes, name):
    assert name not in scopes


def test_every_crate_has_the_version_and_the_digest_of_the_lock_files_and_a_licence(bill):
    locked = {}
    for folder in ("", "plugins/cedar", "host/negotiate"):
        for package in tomllib.loads((ROOT / folder / "Cargo.lock").read_text())["package"]:
            locked[package["name"], package["version"]] = package.get("checksum")
    for component in json.loads(bill)["components"]:
        digests = [each["content"] for each in component.get("hashes", [])]
        assert digests == [each for each in [locked[component["name"], component["version"]]] if each], component
        assert component["licenses"], component
