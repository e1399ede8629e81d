//! Plugins from registries: their references, the sections of registries, and the keys of `[plugins]` for them.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::errors_in;
use crate::config::Draft;
use crate::config::Environment;
use crate::config::PluginSource;
use crate::testing::write;

const ROUTE: &str = "[[routes]]\npath = \"/\"\npublic = true\nupstream = \"portcullis:whoami\"\n";
const SHA: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn environment() -> Environment {
    Environment::from([("TOKEN", "hunter2"), ("USER", "robot"), ("HOME", "/home/p")])
}

fn text(registry: &str, plugin: &str) -> String {
    format!("{registry}\n[authenticators.badge]\nplugin = \"{plugin}\"\n{ROUTE}")
}

#[test]
fn a_plugin_is_named_by_tag_or_digest() {
    for plugin in [
        "oci://registry.example/team/badge:1.0",
        &format!("oci://[::1]:5000/badge@{SHA}"),
    ] {
        let draft = Draft::parse(Path::new("/etc/p/portcullis.toml"), &text("", plugin), &environment());
        assert_eq!(draft.errors, []);
        let [authenticator] = draft.config.plugin_entries.as_slice() else {
            panic!("one authenticator")
        };
        assert_eq!(authenticator.plugin, PluginSource::Registry(plugin.parse().unwrap()));
        // Only a tag needs a pin, whose file is watched and guarded as the configuration is.
        let lock = PathBuf::from("/etc/p/portcullis.lock");
        assert_eq!(
            draft.guarded.contains(&lock),
            !plugin.contains('@'),
            "{:?}",
            draft.guarded
        );
        assert_eq!(
            draft.watched.iter().any(|(path, _)| *path == lock),
            !plugin.contains('@')
        );
    }
}

#[test]
fn all_keys_of_a_registry_are_read_and_no_secret_is_shown() {
    let registry = "[plugins]\nstore_directory = \"store\"\npull_timeout = \"10s\"\n[registries.\"Registry.example:5000\"]\n\
                    username = \"env:USER\"\npassword = \"env:TOKEN\"\nplain_http = true\n\
                    mirrors = [\"mirror.example\", \"registry.example:5000/cache\"]";
    let draft = Draft::parse(Path::new("/etc/p/p.toml"), &text(registry, "simple"), &environment());
    assert_eq!(draft.errors, []);
    let plugins = &draft.config.plugins;
    assert_eq!(plugins.store_directory.as_deref(), Some(Path::new("/etc/p/store")));
    assert_eq!(plugins.pull_timeout, Some(Duration::from_secs(10)));
    let shown = format!("{:?}", draft.config);
    assert!(shown.contains("\"registry.example:5000\": Host"), "{shown}");
    assert!(shown.contains("/home/p/.docker"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("robot"), "{shown}");
}

#[test]
fn the_store_lies_below_the_cache_unless_it_is_configured() {
    for (lines, expected) in [
        ("", Some("/home/p/.cache/portcullis/registry")),
        ("[plugins]\ncache_directory = \"/c\"", Some("/c/registry")),
        (
            "[plugins]\ncache_directory = \"/c\"\nstore_directory = \"/s\"",
            Some("/s"),
        ),
    ] {
        let draft = Draft::parse(Path::new("p.toml"), &text(lines, "simple"), &environment());
        assert_eq!(
            draft.config.plugins.store_directory.as_deref(),
            expected.map(Path::new),
            "{lines}"
        );
    }
    let draft = Draft::parse(Path::new("p.toml"), &text("", "simple"), &Environment::from([]));
    assert_eq!(draft.config.plugins.store_directory, None);
}

#[test]
fn a_mistake_names_the_key_and_says_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("open"), "hunter2", 0o644);
    write(&folder.path().join("garbage.pem"), "garbage", 0o644);
    let section = |lines: &str| format!("[registries.\"r.example\"]\n{lines}");
    for (registry, plugin, expected) in [
        (
            String::new(),
            "oci://registry.example/badge",
            "authenticators.badge.plugin: \"oci://registry.example/badge\" names no version",
        ),
        (
            String::new(),
            "oci://registry.example/Badge:1",
            "has no valid repository",
        ),
        (
            String::new(),
            &format!("oci://registry.example/badge:1@{SHA}"),
            "has a tag and a digest",
        ),
        (
            "[registries.\"a/b\"]".to_owned(),
            "simple",
            "registries.\"a/b\": \"a/b\" is no registry: expected HOST or HOST:PORT",
        ),
        (
            "[registries.r.example]".to_owned(),
            "simple",
            "registries.r.example: unknown key",
        ),
        (section("username = \"a\""), "simple", "username: needs its password"),
        (
            section("password = \"env:TOKEN\""),
            "simple",
            "password: needs its user name",
        ),
        (
            section("username = \"a\"\npassword = \"hunter2\""),
            "simple",
            "password: a secret can't be written in the configuration",
        ),
        (
            section("username = \"a\"\npassword = \"file:open\""),
            "simple",
            "is accessible to other users",
        ),
        (
            section("username = \"a:b\"\npassword = \"env:TOKEN\""),
            "simple",
            "username: can't have a colon",
        ),
        (section("ca = \"garbage.pem\""), "simple", "garbage.pem"),
        (
            section("ca = \"garbage.pem\"\nplain_http = true"),
            "simple",
            "ca: has no effect with plain_http",
        ),
        (
            section("mirrors = [\"https://m.example\"]"),
            "simple",
            "mirrors[0]: \"https://m.example\" is not a mirror: HOST[:PORT][/PREFIX]",
        ),
        (
            section("mirrors = [\"r.example\"]"),
            "simple",
            "mirrors: names the registry itself",
        ),
        (
            section(&format!("mirrors = [{}]", "\"m.example\",".repeat(17))),
            "simple",
            "mirrors: more than 16 mirrors",
        ),
        (
            section("plain-http = true"),
            "simple",
            "unknown key; did you mean \"plain_http\"?",
        ),
        (
            section("[registries.\"R.EXAMPLE\"]"),
            "simple",
            "is the same registry as another section",
        ),
        (
            "[plugins]\npull_timeout = \"1h\"".to_owned(),
            "simple",
            "plugins.pull_timeout: must be 1s to 3m",
        ),
        (
            "[plugins]\nstor_directory = \"x\"".to_owned(),
            "simple",
            "did you mean \"store_directory\"?",
        ),
    ] {
        let errors = errors_in(&folder.path().join("p.toml"), &text(&registry, plugin), &environment());
        let found = errors.iter().any(|error| error.contains(expected));
        assert!(found, "{registry} {plugin}: {expected}: {errors:?}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
    }
}
