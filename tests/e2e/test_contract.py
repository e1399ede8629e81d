"""Every version of the contract that was released is still spoken: its text never changes, and what was built for it loads.

`current` and its neighbours are for the text in `wit`, which may be the next version; freezing it is tested in a copy.
"""

import re
import shutil
import subprocess

import pytest

from harness import build
from harness.gateway import run
from harness.paths import ROOT


def crates(root=ROOT):
    return sorted(path for path in (root / "tests/contract").iterdir() if path.is_dir())


def crates_of(number):
    """Those of a version, one for each role."""
    return [f"{number}{role}" for role in ("", "-login", "-authorizer")]


def texts(folder):
    """The WIT files of one version, by name."""
    found = [*folder.glob("*.wit"), *folder.glob("deps/*.wit")]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def version(folder):
    return re.search(r"(?m)^package portcullis:auth@(\S+);$", (folder / "world.wit").read_text())[1]


def violations(root=ROOT):
    """What is wrong with the versions that are kept."""
    current = root / "wit"
    for kept in sorted(path for path in (current / "released").iterdir() if path.is_dir()):
        if version(kept) != kept.name:
            yield f"{kept.name} has the text of {version(kept)}"
        if version(current) == kept.name and texts(current) != texts(kept):
            yield f"wit has another text than the released {kept.name}: it needs a version of its own"
        for name in crates_of(kept.name):
            crate = root / "tests/contract" / name
            if not crate.is_dir() or (crate / "wit").resolve() != kept.resolve():
                yield f"{kept.name} has no crate {name} that is built against it"


def test_a_released_version_never_changes():
    assert list(violations()) == []


def loads(crate, tmp_path):
    component = build.contract_component(crate)
    done = run("plugin", "test", component, crate / "cases.toml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "4 passed"
    return component


@pytest.mark.timeout(900)
@pytest.mark.parametrize("crate", crates(), ids=lambda crate: crate.name)
def test_what_was_built_for_a_version_loads(tmp_path, crate):
    loads(crate, tmp_path)


def test_freezing_a_version_is_one_step(tmp_path):
    root = tmp_path / "root"
    for folder in ("wit", "tests/contract"):
        shutil.copytree(ROOT / folder, root / folder, symlinks=True, ignore=shutil.ignore_patterns("target"))
    shutil.copy(ROOT / "tests/freeze", root / "tests/freeze")
    now = version(root / "wit")
    # As before it was released, if it is.
    for kept in (root / "wit/released" / now, *(root / "tests/contract" / name for name in crates_of(now))):
        shutil.rmtree(kept, ignore_errors=True)

    def freeze(number):
        return subprocess.run([root / "tests/freeze", number], capture_output=True, text=True, timeout=60)

    assert freeze("9.9.9").returncode == 1
    assert freeze(now).returncode == 0
    assert freeze(now).returncode == 1, "it never changes again"
    assert list(violations(root)) == []
    # The next version changes a name: what was built for the kept one still loads.
    types = root / "wit/types.wit"
    types.write_text(types.read_text().replace("client-address: func", "peer-address: func"))
    assert list(violations(root)) == [f"wit has another text than the released {now}: it needs a version of its own"]
    world = root / "wit/world.wit"
    world.write_text(world.read_text().replace(f"auth@{now};", "auth@9.9.9;"))
    assert list(violations(root)) == []
    # `test_what_was_built_for_a_version_loads` has the crates of released versions.
    for name in crates_of(now):
        assert texts(root / "tests/contract" / name / "wit") == texts(ROOT / "wit"), name
    (root / "wit/released" / now / "world.wit").write_text("package portcullis:auth@8.8.8;\n")
    assert list(violations(root)) == [f"{now} has the text of 8.8.8"]


def test_a_component_for_another_version_is_told_both(tmp_path):
    component = build.contract_component(ROOT / "tests/contract/current").read_bytes()
    for asked, error in [
        (b"0.3.0", "the component asks for portcullis:auth@0.3.0, and this program speaks portcullis:auth@0.2.0"),
        (b"1.0.0", "the component asks for portcullis:auth@1.0.0, and this program speaks portcullis:auth@0.2.0"),
    ]:
        other = tmp_path / "other.wasm"
        other.write_bytes(re.sub(rb"(portcullis:auth/[a-z]+@)0\.2\.0", rb"\g<1>" + asked, component))
        done = run("plugin", "inspect", other, folder=tmp_path)
        assert (done.returncode, error in done.stderr) == (1, True), done.stderr
