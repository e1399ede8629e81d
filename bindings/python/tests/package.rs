//! The parts of the package agree. Cargo builds the extension module for this test, as it does for the tests in Python.

const MANIFEST: &str = include_str!("../pyproject.toml");
const STUB: &str = include_str!("../python/portcullis/_portcullis.pyi");
const MODULE: &str = include_str!("../src/lib.rs");

#[test]
fn the_wheel_has_the_version_of_the_crate() {
    assert!(MANIFEST.contains("dynamic = [\"version\"]"), "{MANIFEST}");
}

#[test]
fn the_stub_declares_what_the_module_has() {
    let exported = MODULE
        .lines()
        .filter_map(|line| line.trim().strip_prefix("use super::"));
    let names = Vec::from_iter(exported.filter_map(|path| path.trim_end_matches(';').rsplit("::").next()));
    assert!(names.len() > 10, "{names:?}");
    for name in names
        .into_iter()
        .filter(|name| !["main", "settle", "unknown_key", "PlayedServers"].contains(name))
    {
        let declared = [format!("class {name}"), format!("def {name}")];
        assert!(declared.iter().any(|text| STUB.contains(text)), "{name}");
    }
}
