"""docs/security-cases.md: what it says of each case stands in a test, and every test that it names exists."""

import re
import tomllib

import pytest

from harness.named_tests import exists, named
from harness.paths import ROOT

PAGE = ROOT / "docs" / "security-cases.md"
ROWS = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if re.match(r"\| L?\d+ \|", line)]
CASES = {number.strip(): [cell.strip() for cell in cells] for number, *cells in ROWS}
NUMBERS = [*map(str, range(1, 61)), *(f"L{number}" for number in range(1, 36))]


def test_every_case_is_there_once():
    assert [number.strip() for number, *_ in ROWS] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_a_case_has_a_test_or_says_why_not(number):
    identifiers, behaviour, tests = CASES[number]
    assert identifiers and behaviour.endswith(".")
    assert named(tests) or re.match(r"None: \w", tests)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_tests_of_a_case_exist(number):
    for file, name in named(CASES[number][2]):
        assert exists(file, name), f"{file}::{name}"


def test_a_test_with_a_number_is_in_the_row_of_its_case():
    found = set()
    for file in (ROOT / "tests" / "e2e").glob("test_*.py"):
        for name, kind, number in re.findall(r"^def (test_(case|login)_(\d+)_\w+)", file.read_text(), re.M):
            found.add((f"{'L' * (kind == 'login')}{int(number)}", file.name, name))
    assert found
    assert found <= {(number, *test) for number, cells in CASES.items() for test in named(cells[2])}


def test_case_36_the_engine_is_one_that_the_advisories_do_not_name():
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    [version] = [package["version"] for package in packages if package["name"] == "wasmtime"]
    assert tuple(map(int, version.split("."))) >= (48, 0, 8)
    assert "winch" not in {package["name"] for package in packages}
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["dependencies"]
    assert "cranelift" in workspace["wasmtime"]["features"]


def test_case_37_no_crate_with_an_open_advisory_verifies_or_signs():
    """RUSTSEC-2023-0071: `rsa` has no fix. CVE-2026-25537: `jsonwebtoken` before 10.3 skips a date in words.
    CVE-2023-42811: `aes-gcm` before 0.10.3 shows what it could not authenticate."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    versions = {package["name"]: tuple(map(int, package["version"].split("+")[0].split("-")[0].split("."))) for package in packages}
    assert "rsa" not in versions
    assert versions["jsonwebtoken"] >= (10, 3, 0)
    assert versions["aes-gcm"] >= (0, 10, 3)
